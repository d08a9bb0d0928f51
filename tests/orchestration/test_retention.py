"""Retention: what is old goes, what a loaded day needs stays, and Dagster forgets no day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.config.sections import RetentionSettings
from dagster_project.orchestration.dagster_log import prune_log
from dagster_project.orchestration.retention import retention_job
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.prune import prune
from tests.support.nights import PlayedClock
from tests.support.operating import House, calltouch_alone, days_back, operating

ROWS = dg.AssetKey(["calltouch", "sms"])
ROWS_OF_A_DAY = (
    "SELECT sms_key, occurrence, content_hash FROM warehouse.calltouch_sms ORDER BY 1, 2"
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
    given = calltouch_alone(sandbox)
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        yield running


def age(house: House, days: int) -> None:
    """As if everything in the books had happened so many days earlier."""
    with house.warehouse.connect_admin() as connection:
        for table, columns in {
            "ops.extraction": ("started_at", "finished_at"),
            "ops.load_receipt": ("loaded_at", "observed_at"),
            "ops.day_state": ("loaded_at", "observed_at"),
        }.items():
            for column in columns:
                statement = f"UPDATE {table} SET {column} = {column} - interval '{days} days'"
                connection.execute(statement.encode())


def stored(house: House) -> list[int]:
    return [
        row[0] for row in house.rows("SELECT DISTINCT extraction_id FROM raw.response ORDER BY 1")
    ]


def pruned(house: House, **days: int) -> dict[str, int]:
    with house.warehouse.connect(autocommit=True) as connection:
        return dict(prune(connection, RetentionSettings(**days), {}))


def test_the_newest_response_of_a_loaded_day_outlives_the_others_and_still_replays(
    house: House,
) -> None:
    days = days_back(2)
    for _ in range(3):
        house.refresh(days)
    *_, newest = stored(house)
    before = house.rows(ROWS_OF_A_DAY)
    age(house, 31)
    assert pruned(house)["raw.response"] == 2
    assert stored(house) == [newest]
    with house.warehouse.connect_admin() as connection:
        connection.execute("DELETE FROM warehouse.calltouch_sms")
    assert house.replay(days)
    assert house.rows(ROWS_OF_A_DAY) == before
    assert pruned(house) == {}, "a second pruning finds nothing"


def test_young_responses_stay_whatever_became_of_them(house: House) -> None:
    days = days_back(1)
    house.refresh(days)
    house.refresh(days)
    age(house, 29)
    assert pruned(house) == {}
    assert len(stored(house)) == 2


def test_a_pruned_day_says_so_when_it_is_to_be_replayed_and_changes_nothing(house: House) -> None:
    days = days_back(1)
    house.refresh(days)
    with house.warehouse.connect_admin() as connection:
        connection.execute("DELETE FROM raw.response")
    before = house.rows(ROWS_OF_A_DAY)
    assert not house.replay(days)
    assert house.rows(ROWS_OF_A_DAY) == before


def test_receipts_go_but_for_those_of_what_stands(house: House) -> None:
    days = days_back(1)
    for _ in range(3):
        house.refresh(days)
    age(house, 401)
    gone = pruned(house)
    assert gone["ops.load_receipt"] == 2
    assert gone["ops.extraction"] == 2
    assert house.rows(
        "SELECT count(*) FROM ops.day_state JOIN ops.load_receipt USING (receipt_id)"
    ) == [(1,)]


def materialized(house: House) -> set[str]:
    return set(house.instance.get_materialized_partitions(ROWS))


def age_dagster(house: House, days: int) -> None:
    url = house.warehouse.dagster_database
    with house.warehouse.connect_admin(database=url) as connection:
        for statement in (
            "UPDATE runs SET create_timestamp = create_timestamp - interval '{} days'",
            "UPDATE event_logs SET timestamp = timestamp - interval '{} days'",
            "UPDATE asset_check_executions SET create_timestamp = create_timestamp"
            " - interval '{} days'",
        ):
            connection.execute(statement.format(days).encode())


def test_dagster_forgets_runs_and_lines_but_no_day(house: House) -> None:
    days = days_back(3)
    house.refresh(days)
    house.refresh(days[1:])
    house.refresh(days[2:])
    before = materialized(house)
    assert before == {day.isoformat() for day in days}
    house.refresh(days)  # of the three runs before it no day is told any more
    age_dagster(house, 91)
    runs = house.instance.get_runs_count()
    events = _events(house)
    gone = prune_log(house.instance, 90)
    assert gone["runs"] == 3
    assert house.instance.get_runs_count() == runs - 3
    assert _events(house) < events / 2
    assert materialized(house) == before
    for day in days:
        _latest_is_whole(house, day)
    assert prune_log(house.instance, 90) == {}


def _events(house: House) -> int:
    with house.warehouse.connect_admin(database=house.warehouse.dagster_database) as connection:
        row = connection.execute("SELECT count(*) FROM event_logs").fetchone()
    assert row is not None
    return int(row[0])


def _latest_is_whole(house: House, day: date) -> None:
    records = house.instance.fetch_materializations(
        dg.AssetRecordsFilter(ROWS, asset_partitions=[day.isoformat()]), limit=1
    ).records
    assert "receipts" in records[0].asset_materialization.metadata
    [check] = house.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(ROWS, "complete"), limit=1
    )
    assert check.status.value == "SUCCEEDED"


def test_young_runs_stay(house: House) -> None:
    house.refresh(days_back(1))
    house.refresh(days_back(1))
    age_dagster(house, 80)
    assert prune_log(house.instance, 90) == {}


def test_how_old_a_run_is_goes_by_the_clock_that_dated_it(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In nights that are played, last night's failed run is not pruned for being years old."""
    house.refresh(days_back(1))
    house.refresh(days_back(1))
    age_dagster(house, 400)
    played = PlayedClock(tmp_path)
    played.go(datetime.now(UTC) - timedelta(days=400))
    with monkeypatch.context() as patch:
        for name, value in played.setting.items():
            patch.setenv(name, value)
        assert prune_log(house.instance, 90) == {}
    assert prune_log(house.instance, 90)["runs"] == 1


def test_the_job_says_what_it_pruned(house: House) -> None:
    days = days_back(1)
    house.refresh(days)
    house.refresh(days)
    age(house, 31)
    done = retention_job.execute_in_process(instance=house.instance)
    assert done.success
    lines = [entry.message for entry in house.instance.all_logs(done.run_id)]
    assert any("raw.response: 1 rows pruned" in line for line in lines)
