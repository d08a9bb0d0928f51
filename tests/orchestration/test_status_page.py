"""Status: what is red is told with its reason, where it is told, and the line that mends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from dagster_project.cli.main import warehouse as command
from dagster_project.monitoring.status import Health, health
from dagster_project.orchestration import status_page
from dagster_project.pipeline import services
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.support.operating import (
    NO_SITE,
    SITE,
    House,
    again,
    calltouch_alone,
    days_back,
    operating,
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock=datetime.now(UTC)) as running:
        yield running


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse,
    sandbox: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    given = calltouch_alone(sandbox, CALLTOUCH_DAILY_POINTS="1000")
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        yield running


def look(house: House) -> Health:
    with house.warehouse.connect(autocommit=True) as connection:
        return health(services.settings(), house.warehouse, connection, ["calltouch"])


def as_json() -> dict[str, Any]:
    done = CliRunner().invoke(command, ["status", "--json"], standalone_mode=False)
    assert done.return_value == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def mended_by(house: House, line: str) -> None:
    """Do what the line says, and find its days no longer red."""
    words = line.split()
    assert words[0] == "warehouse"
    done = CliRunner().invoke(command, words[1:], standalone_mode=False)
    assert done.return_value == 0, done.output


def test_a_gap_is_red_until_the_line_beside_it_was_run(house: House) -> None:
    first, second, third = days_back(3)
    house.refresh([first])
    house.refresh([third])
    [account] = look(house).accounts
    assert account.status.gaps == (second,)
    assert account.status.last_good_day == first
    [entry] = account.red_days
    assert entry.days == (second,)
    assert "never loaded" in entry.why
    assert "1 day red, of 1 account" in status_page.page(look(house))
    mended_by(house, entry.hint)
    [account] = look(house).accounts
    assert account.red_days == ()
    assert account.status.last_good_day == third
    done = CliRunner().invoke(command, ["status", "--source", "calltouch"], standalone_mode=False)
    assert done.stdout.rstrip().endswith("Nothing is red.")


def test_days_that_were_asked_for_in_vain_are_red_though_nothing_was_ever_loaded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = days_back(2)
    again(monkeypatch, CALLTOUCH_SITE_IDS=f"{SITE},{NO_SITE}")
    assert not house.refresh(days)
    assert f"warehouse backfill --source calltouch --account {NO_SITE} --from {days[0]}" in failed(
        house
    )
    loaded, never = look(house).accounts
    assert loaded.red_days == ()
    [entry] = never.red_days
    assert list(entry.days) == days
    [(extraction,)] = house.rows(
        "SELECT max(extraction_id) FROM ops.extraction WHERE account = %s", NO_SITE
    )
    assert entry.recorded_in == f"extraction {extraction}"
    assert entry.hint.endswith(f"--account {NO_SITE} --from {days[0]} --to {days[-1]}")


def failed(house: House) -> str:
    """What the failed step of the last run tells beside its message."""
    [run] = house.instance.get_runs(limit=1)
    [record] = house.instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
    ).records
    assert record.event_log_entry.dagster_event is not None
    data = record.event_log_entry.dagster_event.step_failure_data.user_failure_data
    assert data is not None
    return str(data.metadata["once mended"].value)


def test_points_that_were_spent_are_no_longer_left(house: House) -> None:
    [before] = as_json()["accounts"]
    house.refresh(days_back(2))
    [after] = as_json()["accounts"]
    assert before["points"] == {"spent": 0, "held": 0, "left": 1000}
    assert after["points"]["spent"] > 0
    assert after["points"]["left"] == 1000 - after["points"]["spent"]


def test_sources_without_credentials_are_named_with_what_is_missing(house: House) -> None:
    left_out = as_json()["left_out"]
    assert left_out["tellody_activity"] == ["TELLODY_USERNAME", "TELLODY_PASSWORD"]
    assert "TRUST_COMPANY_IDS" in left_out["trust"]


def test_a_failed_attempt_on_a_day_that_stands_names_receipt_and_extraction(
    house: House, sandbox: Sandbox
) -> None:
    days = days_back(1)
    house.refresh(days)
    token = sandbox.world.calltouch.config.token
    sandbox.world.calltouch.config.token = "another"
    try:
        assert not house.refresh(days)
    finally:
        sandbox.world.calltouch.config.token = token
    found = look(house)
    [entry] = found.red_days
    assert "the rows before it stand" in entry.why
    [(receipt, extraction)] = house.rows(
        "SELECT (SELECT receipt_id FROM ops.day_state),"
        " (SELECT max(extraction_id) FROM ops.extraction)"
    )
    assert entry.recorded_in == f"receipt {receipt}, extraction {extraction}"
    assert f"`{entry.hint}`" in status_page.page(found)


def test_the_page_is_written_when_something_on_it_changed_and_not_before(house: House) -> None:
    def tick(cursor: str | None) -> tuple[str | None, list[Any]]:
        context = dg.build_sensor_context(instance=house.instance, cursor=cursor)
        done = status_page.status_sensor.evaluate_tick(context)
        return done.cursor or cursor, list(done.asset_events)

    cursor, [written] = tick(None)
    assert SITE in written.metadata["status"].value
    cursor, events = tick(cursor)
    assert events == []
    house.refresh(days_back(1))
    cursor, [written] = tick(cursor)
    assert written.asset_key == status_page.KEY
    assert days_back(1)[0].isoformat() in written.metadata["status"].value


def test_materializing_the_page_writes_it_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(monkeypatch, CALLTOUCH_SITE_IDS=f"{SITE},{NO_SITE}")
    done = dg.materialize([status_page.status_asset(house.settings)], instance=house.instance)
    assert done.success
    event = house.instance.get_latest_materialization_event(status_page.KEY)
    assert event is not None
    assert event.asset_materialization is not None
    assert NO_SITE in str(event.asset_materialization.metadata["status"].value)


def test_what_a_vendor_says_cannot_break_out_of_the_page() -> None:
    said = "<img src=x> & | `x` [a](javascript:1)\nsecond line"
    plain = "&lt;img src=x&gt; &amp; \\| \\`x\\` \\[a\\](javascript:1) second line"
    assert status_page._plain(said) == plain
