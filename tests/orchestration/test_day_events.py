"""Events of many days are written together, and each as Dagster itself would have written it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.events.log import EventLogEntry
from dagster_postgres import PostgresEventLogStorage

from dagster_project.orchestration import reporter
from dagster_project.orchestration.event_log import SilentEventLog, event_batch
from dagster_project.sandbox.server import running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.orchestration.test_reporter import (
    RAW,
    ROWS,
    SOURCE,
    checked,
    loaded,
    materialized,
    refusing_events,
    unreported,
)
from tests.support.operating import House, operating

DAYS = [date(2024, 5, day) for day in range(3, 9)]
LATER = date(2024, 5, 11)
OF_SOURCE = ("fresh", "month_adds_up")
CHECK_PLANNED = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
KINDS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    CHECK_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}
LOGGED = (
    "SELECT id, event::jsonb - 'run_id', dagster_event_type, timestamp, step_key, asset_key, partition"
    " FROM event_logs WHERE run_id = %s ORDER BY id"
)
EXECUTED = (
    "SELECT evaluation_event_storage_id, evaluation_event::jsonb - 'run_id', asset_key, check_name,"
    " partition, execution_status, evaluation_event_timestamp, materialization_event_storage_id"
    " FROM asset_check_executions WHERE run_id = %s ORDER BY asset_key, check_name, partition"
)
KEYS = (
    "SELECT asset_key, last_materialization::jsonb #- '{event_log_entry,run_id}' #- '{storage_id}',"
    " last_materialization_timestamp, last_run_id FROM asset_keys ORDER BY asset_key"
)


def stored(house: House, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """What Dagster's database answers."""
    database = house.warehouse.dagster_database
    with house.warehouse.connect_admin(database=database) as connection:
        return connection.execute(query.encode(), values).fetchall()


def events_of_last_run(house: House) -> list[EventLogEntry]:
    run_id = house.instance.get_run_records(limit=1)[0].dagster_run.run_id
    return list(house.instance.all_logs(run_id, of_type=KINDS))


def is_of_days(event: EventLogEntry) -> bool:
    """Not the evaluation of the whole source."""
    told = event.get_dagster_event()
    if told.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return True
    return told.asset_check_evaluation_data.partition is not None


def as_run(events: Sequence[EventLogEntry], run_id: str) -> list[EventLogEntry]:
    return [event._replace(run_id=run_id) for event in events]


def numbered_alike(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows with their events numbered from the first."""
    return [(number, *row[1:]) for number, row in enumerate(rows)]


def test_a_batch_leaves_what_dagster_leaves_event_by_event(house: House) -> None:
    """Where Dagster comes to keep an event otherwise, this fails."""
    assert house.refresh(DAYS, SOURCE)
    events = [event for event in events_of_last_run(house) if is_of_days(event)]
    assert len(events) > 9 * len(DAYS)
    ours = house.instance.event_log_storage
    assert isinstance(ours, SilentEventLog)
    theirs = PostgresEventLogStorage(ours.postgres_url, should_autocreate_tables=False)

    for event in as_run(events, "singly"):
        theirs.store_event(event)
    keys = stored(house, KEYS)
    ours.store_event_batch(
        [e for e in as_run(events, "batch") if e.dagster_event_type is not CHECK_PLANNED]
    )

    singly = [row for row in stored(house, LOGGED, "singly") if row[2] != CHECK_PLANNED.value]
    assert numbered_alike(stored(house, LOGGED, "batch")) == numbered_alike(singly)
    evaluated = [row[1:] for row in stored(house, EXECUTED, "singly") if row[5] != "PLANNED"]
    assert [row[1:] for row in stored(house, EXECUTED, "batch")] == evaluated
    again = stored(house, KEYS)
    assert [row[:3] for row in again] == [row[:3] for row in keys]
    assert {row[3] for row in again} == {"batch"}


def test_evaluations_of_a_batch_take_the_place_of_planned_ones(house: House) -> None:
    assert house.refresh(DAYS, SOURCE)
    run_id = house.instance.get_run_records(limit=1)[0].dagster_run.run_id
    rows = stored(house, EXECUTED, run_id)
    by_day = [row for row in rows if row[3] not in OF_SOURCE]
    assert {row[5] for row in by_day} == {"SUCCEEDED"}
    assert len(by_day) == len({(row[3], row[4]) for row in by_day}) == 7 * len(DAYS)
    materializations = dict(
        stored(
            house,
            "SELECT partition, id FROM event_logs WHERE run_id = %s AND asset_key = %s"
            " AND dagster_event_type = 'ASSET_MATERIALIZATION'",
            run_id,
            ROWS.to_string(),
        )
    )
    assert {row[4]: row[7] for row in by_day} == materializations


def test_a_run_of_many_days_writes_few_transactions(house: House) -> None:
    """Purchases come all at once: their events do, and so does what the run is planned to do."""
    assert house.refresh(DAYS, "tellody_purchases")
    run_id = house.instance.get_run_records(limit=1)[0].dagster_run.run_id
    transactions = dict(
        stored(
            house,
            "SELECT dagster_event_type, count(DISTINCT xmin::text) FROM event_logs"
            " WHERE run_id = %s AND partition IS NOT NULL OR dagster_event_type ="
            " 'ASSET_CHECK_EVALUATION' AND run_id = %s GROUP BY 1",
            run_id,
            run_id,
        )
    )
    assert transactions["ASSET_MATERIALIZATION_PLANNED"] == 1
    assert transactions["ASSET_MATERIALIZATION"] == 1
    assert transactions["ASSET_CHECK_EVALUATION"] == 2  # the days', and the one of the source


def test_days_that_come_one_by_one_wait_for_each_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "WAITING_SECONDS", 600)
    assert house.refresh(DAYS, SOURCE)
    run_id = house.instance.get_run_records(limit=1)[0].dagster_run.run_id
    [(transactions, days)] = stored(
        house,
        "SELECT count(DISTINCT xmin::text), count(DISTINCT partition) FROM event_logs"
        " WHERE run_id = %s AND dagster_event_type = 'ASSET_MATERIALIZATION'",
        run_id,
    )
    assert (transactions, days) == (1, len(DAYS))
    assert unreported(house) == 0


def test_a_day_is_shown_before_a_slow_vendor_answers_for_the_next_one(
    warehouse_with_dagster: Warehouse, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        running_sandbox(clock="2024-05-20T12:00:00+03:00", tellody={"latency": 2}) as slow,
        operating(warehouse_with_dagster, scratch, monkeypatch, slow.settings_env()) as house,
    ):
        assert house.refresh(DAYS[:3], SOURCE)
        loaded_at = house.rows("SELECT day, loaded_at FROM ops.load_receipt ORDER BY loaded_at")
        shown_at = {
            date.fromisoformat(day): at.replace(tzinfo=UTC)
            for day, at in stored(
                house,
                "SELECT partition, timestamp FROM event_logs"
                " WHERE dagster_event_type = 'ASSET_MATERIALIZATION'",
            )
        }
    for (day, at), (_, next_at) in pairwise(loaded_at):
        assert at <= shown_at[day] < next_at


def test_days_whose_checks_cannot_be_written_are_not_materialized_twice(house: House) -> None:
    with refusing_events(house, "NEW.dagster_event_type = 'ASSET_CHECK_EVALUATION'"):
        assert not house.refresh(DAYS, SOURCE)
    assert loaded(house) == DAYS
    for key in (RAW, ROWS):
        assert [len(materialized(house, key, day)) for day in DAYS] == [1] * len(DAYS)
    assert unreported(house) == len(DAYS)
    assert house.refresh([LATER], SOURCE)
    for day in DAYS:
        assert {"complete", "no_rejects", "not_shrunk"} <= checked(house, day)
    assert unreported(house) == 0


def test_what_is_interrupted_inside_a_batch_writes_nothing(house: House) -> None:
    assert house.refresh(DAYS[:1], SOURCE)
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    [event, _] = [e for e in events_of_last_run(house) if e.dagster_event_type is kind]

    def be_interrupted() -> None:
        with event_batch(house.instance):
            house.instance.event_log_storage.store_event(event._replace(run_id="cut off"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    assert stored(house, LOGGED, "cut off") == []
    house.instance.event_log_storage.store_event(event._replace(run_id="after"))
    assert len(stored(house, LOGGED, "after")) == 1


def test_the_outputs_of_checks_are_one_transaction_before_the_step_has_succeeded(
    house: House,
) -> None:
    assert house.refresh(DAYS[:1], SOURCE)
    run_id = house.instance.get_run_records(limit=1)[0].dagster_run.run_id
    query = "SELECT dagster_event_type, xmin::text FROM event_logs WHERE run_id = %s ORDER BY id"
    logged = stored(house, query, run_id)
    kinds = [kind for kind, _ in logged]
    outputs = [at for at, kind in enumerate(kinds) if kind == "STEP_OUTPUT"]
    assert len(outputs) > 2
    assert outputs == list(range(outputs[0], outputs[-1] + 1))
    assert kinds[outputs[0] - 1] == "ASSET_CHECK_EVALUATION"
    assert kinds[outputs[-1] + 1] == "STEP_SUCCESS"
    assert len({logged[at][1] for at in outputs}) == 1
