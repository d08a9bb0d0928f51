"""What an administrator writes down, secrets in files and the rest in docker/.env, reaches the services."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from dagster_project.config.environment import read_environment
from dagster_project.config.settings import Settings, load_settings
from dagster_project.vendors.calltouch.settings import CalltouchSettings
from dagster_project.vendors.tellody.settings import TellodySettings
from dagster_project.vendors.trust.settings import TrustSettings
from tests.docker.conftest import DOCKER, VENDORS


class TestSecrets:
    def test_every_file_that_the_stack_mounts_is_made(
        self, made: tuple[Path, str], stack: dict[str, Any]
    ) -> None:
        folder, told = made
        wanted = {Path(one["file"]).name for one in stack["secrets"].values()}
        assert {path.name for path in folder.iterdir()} == wanted
        assert folder.stat().st_mode & 0o777 == 0o700
        assert "user operator, password " in told
        assert "user viewer, password " in told

    def test_its_urls_say_that_there_is_no_tls_inside_the_host(
        self, made: tuple[Path, str]
    ) -> None:
        for name in ("admin_url", "warehouse_url", "dagster_url"):
            url = read_environment({"DAGSTER_URL_FILE": str(made[0] / name)}, None)["DAGSTER_URL"]
            assert url.endswith("?sslmode=disable")

    def test_a_second_time_nothing_changes(self, made: tuple[Path, str]) -> None:
        folder, _ = made
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        subprocess.run(
            ["sh", str(DOCKER / "make-secrets"), str(folder)], check=True, capture_output=True
        )
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


DOTENV = """
CALLTOUCH_SITE_IDS=101,102
CALLTOUCH_TIMEZONE=Asia/Omsk
CALLTOUCH_DAILY_POINTS=400
CALLTOUCH_DAILY_POINTS_102=40
CALLTOUCH_REQUESTS_PER_SECOND=2
CALLTOUCH_SETTLE_DAYS=5
TELLODY_TIMEZONE=Europe/Paris
TELLODY_CURRENCY=EUR
TRUST_COMPANY_IDS=7
TRUST_TIMEZONE=America/Lima
WAREHOUSE_RANGE_DAYS=31
WAREHOUSE_RECONCILE_MONTHS=1
RAW_RETENTION_DAYS=20
PII_RETENTION_DAYS=60
ALARM_WEBHOOK_URL=https://alarms.example.com/hook
ALARM_OVERDUE_HOURS=12
"""


class TestSettings:
    """What is written into docker/.env is what the services go by."""

    def settings_of(self, service: dict[str, Any], made: Path, folder: Path) -> Settings:
        """As a service that is started has them: its environment over its file."""
        secrets = folder / "secrets"
        shutil.copytree(made, secrets)
        for name in VENDORS:
            (secrets / name).chmod(0o600)
            (secrets / name).write_text("a credential\n")
        (folder / ".env").write_text(DOTENV)
        [given] = service["env_file"]
        file = dotenv_values(folder / given["path"])
        environment = {
            name: value.replace("/run/secrets", str(secrets))
            for name, value in {**file, **service["environment"]}.items()
        }
        return load_settings(environment, None)

    def test_they_reach_the_service_that_loads(
        self, stack: dict[str, Any], made: tuple[Path, str], tmp_path: Path
    ) -> None:
        found = self.settings_of(stack["services"]["code"], made[0], tmp_path)
        calltouch = found.section(CalltouchSettings)
        tellody, trust = found.section(TellodySettings), found.section(TrustSettings)
        assert calltouch
        assert tellody
        assert trust
        assert [(s.time_zone.key, s.daily_points) for s in calltouch.sites] == [
            ("Asia/Omsk", 400),
            ("Asia/Omsk", 40),
        ]
        assert (calltouch.requests_per_second, calltouch.settle_days) == (2, 5)
        assert (tellody.time_zone.key, tellody.currency) == ("Europe/Paris", "EUR")
        assert trust.time_zone.key == "America/Lima"
        assert (found.range_days, found.reconcile_months) == (31, 1)
        assert (found.retention.raw_days, found.retention.pii_days) == (20, 60)
        assert found.alarms.webhook_url
        assert found.alarms.overdue_hours == 12

    def test_metrics_know_every_site_and_its_points_without_a_credential(
        self, stack: dict[str, Any], made: tuple[Path, str], tmp_path: Path
    ) -> None:
        found = self.settings_of(stack["services"]["metrics"], made[0], tmp_path)
        calltouch, trust = found.section(CalltouchSettings), found.section(TrustSettings)
        assert calltouch
        assert trust
        assert [site.daily_points for site in calltouch.sites] == [400, 40]
        assert trust.company_ids == (7,)
        assert found.section(TellodySettings) is None
