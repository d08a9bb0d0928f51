"""``warehouse demo`` as a person runs it: all sources loaded, a second time nothing written.

One demo of thirty days serves what is asked of it here and by ``docs/questions.md``; a longer one has its own home.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from dagster_project.cli import demo as demo_command
from dagster_project.cli import labels
from dagster_project.clock import CLOCK_FILE as SHIFT_FILE
from dagster_project.pipeline import services
from dagster_project.sandbox.server import SandboxProcess
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.server import embedded
from dagster_project.warehouse.server.home import read_private
from tests.support.erasing import command
from tests.support.programs import need
from tests.support.prometheus import Scrape, firing
from tools import questions

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

TABLES = (
    "calltouch_sms",
    "tellody_activity",
    "tellody_credit_purchase",
    "trust_campaign_statistics",
)


@pytest.fixture(scope="module")
def first_demo() -> Iterator[tuple[questions.Demo, str]]:
    """A demo of thirty days, made once, where the environment names a site that is not the demo's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("CALLTOUCH_")]:
            patch.delenv(name)
        patch.setenv("CALLTOUCH_SITE_IDS", "1")
        with questions.demo() as made:
            yield made


@pytest.fixture
def home(scratch: Path) -> Iterator[Path]:
    yield scratch / "home"
    embedded.stop(scratch / "home-demo")


def run_warehouse(home: Path, *arguments: str) -> str:
    """What ``warehouse`` writes with these arguments, in this process; it has to end well."""
    others = {k: v for k, v in os.environ.items() if not k.startswith("CALLTOUCH_")}
    given = {**others, "WAREHOUSE_HOME": str(home), "CALLTOUCH_SITE_IDS": "1"}
    with patch.dict(os.environ, given, clear=True):
        forget_settings()
        done = command(*arguments)
    forget_settings()
    assert done.return_value == 0, done.output
    return done.output


def forget_settings() -> None:
    services.settings.cache_clear()
    services.warehouse.cache_clear()


def row_versions(warehouse: Warehouse) -> dict[str, Any]:
    with warehouse.connect() as connection:
        return {
            table: connection.execute(
                f"SELECT count(*), md5(string_agg(xmin::text || ctid::text || tableoid::text, ','"
                f" ORDER BY tableoid, ctid)) FROM warehouse.{table}"
            ).fetchone()
            for table in TABLES
        }


def test_the_answers_of_the_page_are_those_of_the_demo(
    first_demo: tuple[questions.Demo, str],
) -> None:
    demo, _ = first_demo
    page = questions.PAGE.read_text(encoding="utf-8")
    answered = questions.answered(page, demo.warehouse)
    assert answered == page, "run `python -m tools.questions`"


def test_a_second_demo_finds_nothing_changed_and_writes_no_row(
    first_demo: tuple[questions.Demo, str],
) -> None:
    demo, first = first_demo
    warehouse = demo.warehouse
    versions = row_versions(warehouse)
    assert all(count > 0 for count, _ in versions.values())
    assert "calltouch: 30 of 30 days" in first
    assert "applying" not in first, "no list of migrations"
    assert "making the schema (half a minute) …" in first
    own = [line for line in first.splitlines() if str(demo.root) not in line and "/" not in line]
    assert [line for line in own if len(line) > 80] == []
    assert "SMS a day by outcome" in first
    check_names_and_opt_outs(warehouse)
    assert "postgresql://warehouse_bi@127.0.0.1:" in first
    for secret in embedded.ensure_running(demo.home).passwords.values():
        assert secret.get_secret_value() not in first

    trip_no_alert(demo)
    assert "Nothing is red." in demo.run("--demo", "status")

    second = demo.run("demo")
    assert row_versions(warehouse) == versions
    assert "nothing changed: every day stands as the vendors answer it" in second
    assert not (demo.root / "home").exists(), "the real home is not touched"
    check_special_days(warehouse)


def trip_no_alert(demo: questions.Demo) -> None:
    """However long it stands like this, none of the alerts that are shipped fires."""
    (promtool,) = need("promtool")
    scrape = Scrape(demo.run("--demo", "metrics"))
    assert len([name for name, _ in scrape.values if name == "warehouse_gap_days"]) == 7
    assert firing(promtool, demo.root, [scrape] * 30, 60) == set()


def check_names_and_opt_outs(warehouse: Warehouse) -> None:
    """A dashboard over the demo reads like one over real data."""
    with warehouse.connect_admin() as connection:
        unnamed = connection.execute(
            "SELECT account FROM bi.account WHERE account_label = account"
        ).fetchall()
        named = connection.execute(
            "SELECT count(*) FILTER (WHERE template_label <> template_text), count(campaign)"
            " FROM bi.template"
        ).fetchone()
        per_thousand = connection.execute(
            "SELECT 1000.0 * sum(optouts) / sum(sms_sent + email_sent) FROM bi.tellody_activity_day"
        ).fetchone()
    assert unnamed == []
    assert named is not None
    assert min(named) >= 5
    assert per_thousand is not None
    assert 0.5 < per_thousand[0] < 6


def test_of_two_first_demos_at_once_the_longer_is_remembered(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_slowly(path: Path) -> str | None:
        kept = read_private(path)
        time.sleep(0.1 if threading.current_thread().name == "400" else 1)
        return kept

    monkeypatch.setenv("WAREHOUSE_HOME", str(home))
    monkeypatch.setattr(demo_command, "read_private", read_slowly)
    demos = [
        threading.Thread(target=demo_command._first_demo, args=(days,), name=str(days))
        for days in (400, 31)
    ]
    for one in demos:
        one.start()
    for one in demos:
        one.join(timeout=60)
    assert json.loads((home.with_name("home-demo") / "demo.json").read_text())["days"] == 400


def test_each_demo_plays_its_evenings_by_a_clock_of_its_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ended first would take the clock of the other away."""
    clocks: list[str] = []
    monkeypatch.setenv("WAREHOUSE_HOME", str(home))
    monkeypatch.setattr(
        demo_command.backfill, "run", lambda *_: clocks.append(os.environ[SHIFT_FILE])
    )
    services.settings.cache_clear()
    home.mkdir()
    for _ in range(2):
        demo_command.play_evenings(datetime.now(UTC), FrozenSandbox(), 31)
    assert len(clocks) == 6
    assert len(set(clocks)) == 2


class FrozenSandbox(SandboxProcess):
    """One whose clock is not there to be set."""

    def __init__(self) -> None:
        pass

    def post(self, path: str, value: Any) -> Any:
        return None


def test_a_demo_that_was_killed_before_it_gave_names_leaves_them_to_the_next(
    warehouse: Warehouse, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("WAREHOUSE_HOME", str(home))
    monkeypatch.setattr(services, "warehouse", lambda: warehouse)
    monkeypatch.setattr(labels.labelling, "load_labels", killed)
    monkeypatch.setattr(services, "ready_warehouse", lambda *_: warehouse)
    services.settings.cache_clear()
    home.mkdir(mode=0o700)
    with pytest.raises(KeyboardInterrupt):
        demo_command.give_names()
    assert not (home / "accounts.csv").exists()


def test_a_longer_demo_tells_how_long_statuses_take(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual one is a day shorter than this one, and short: it is the evenings that tell."""
    monkeypatch.setattr(demo_command, "USUAL_DAYS", 4)
    monkeypatch.setattr(demo_command, "CHANGING_DAYS", 3)
    run_warehouse(home, "demo", "--days", "5")
    warehouse = Warehouse.on_server(embedded.ensure_running(home.with_name("home-demo")))
    with warehouse.connect_admin() as connection:
        found = connection.execute(
            "SELECT count(DISTINCT observed_on), sum(turned_final),"
            " sum(hours_to_final) / sum(turned_final) FROM bi.sms_maturity"
        ).fetchone()
    assert found is not None
    evenings, turned, hours = found
    assert evenings == 4
    assert turned > 0
    assert 0 < hours < 240
    assert not (home.with_name("home-demo") / "clock").exists()
    assert "Nothing is red." in run_warehouse(home, "--demo", "status")


def check_special_days(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        states = connection.execute(
            "SELECT account, rows FROM ops.day_state WHERE source = 'calltouch' AND account = '40101'"
        ).fetchall()
        differing = connection.execute(
            "SELECT d.day FROM ops.day_state d LEFT JOIN LATERAL (SELECT count(*) AS n"
            "  FROM warehouse.calltouch_sms s WHERE s.sent_on = d.day"
            "  AND s.site_id = d.account::bigint) AS c ON true"
            " WHERE d.source = 'calltouch' AND c.n <> d.rows"
        ).fetchall()
    assert {0, 1, 9_999, 10_000, 10_001, 35_000} <= {rows for _, rows in states}
    assert differing == []
