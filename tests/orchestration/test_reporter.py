"""Rows stand whether or not Dagster can be told of them; the next run tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import dagster as dg

from dagster_project.orchestration import liveness
from tests.support.operating import House

DAYS = [date(2024, 5, day) for day in (8, 9, 10)]
LATER = date(2024, 5, 11)
SOURCE = "tellody_activity"
ROWS, RAW = dg.AssetKey(["tellody", "activity"]), dg.AssetKey(["raw", "tellody_activity"])


@contextmanager
def refusing_events(house: House, condition: str) -> Iterator[None]:
    """Dagster's database takes no such events, as it would not on a disk that is full."""
    database = house.warehouse.dagster_database
    with house.warehouse.connect_admin(database=database) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE disk_full; END $$"
        )
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON event_logs FOR EACH ROW"
            f" WHEN ({condition}) EXECUTE FUNCTION refuse()".encode()
        )
        try:
            yield
        finally:
            connection.execute("DROP FUNCTION refuse() CASCADE")


def loaded(house: House) -> list[date]:
    return [day for (day,) in house.rows("SELECT day FROM ops.day_state ORDER BY day")]


def unreported(house: House) -> int:
    [(count,)] = house.rows("SELECT count(*) FROM ops.load_receipt WHERE reported_at IS NULL")
    return int(count)


def materialized(house: House, key: dg.AssetKey, day: date) -> list[dict[str, Any]]:
    """The metadata of the day's materializations, the newest first."""
    wanted = dg.AssetRecordsFilter(key, asset_partitions=[str(day)])
    found = []
    for record in house.instance.fetch_materializations(wanted, limit=10).records:
        assert record.asset_materialization is not None
        metadata = record.asset_materialization.metadata
        found.append({name: value.value for name, value in metadata.items()})
    return found


def checked(house: House, day: date) -> set[str]:
    """The checks that were evaluated of the day, in any run."""
    names = set()
    for run in house.instance.get_runs():
        kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
        for entry in house.instance.all_logs(run.run_id, of_type=kind):
            assert entry.dagster_event is not None
            evaluation = entry.dagster_event.asset_check_evaluation_data
            if evaluation.partition == str(day):
                names.add(evaluation.check_name)
    return names


ANY_MATERIALIZATION = "NEW.dagster_event_type = 'ASSET_MATERIALIZATION'"


def test_days_are_loaded_though_dagster_cannot_be_told_and_the_next_run_tells_it(
    house: House,
) -> None:
    with refusing_events(house, ANY_MATERIALIZATION):
        assert not house.refresh(DAYS, SOURCE)
    assert loaded(house) == DAYS
    [failed] = house.instance.get_runs()
    assert "3 days loaded that Dagster could not be told of" in house.failure()
    assert unreported(house) == 3
    assert not any(materialized(house, ROWS, day) for day in DAYS)

    assert house.refresh([LATER], SOURCE)
    for day in DAYS:
        for key in (RAW, ROWS):
            [told] = materialized(house, key, day)
            assert told["committed by run"] == failed.run_id
        assert {"complete", "no_rejects", "not_shrunk"} <= checked(house, day)
    assert unreported(house) == 0

    assert house.refresh([LATER], SOURCE)
    assert [len(materialized(house, ROWS, day)) for day in (*DAYS, LATER)] == [1, 1, 1, 2]


def test_a_day_that_cannot_be_told_keeps_no_other_from_it(house: House) -> None:
    with refusing_events(house, f"{ANY_MATERIALIZATION} AND NEW.partition = '{DAYS[1]}'"):
        assert not house.refresh(DAYS, SOURCE)
    assert loaded(house) == DAYS
    assert [len(materialized(house, ROWS, day)) for day in DAYS] == [1, 0, 1]
    assert house.replay(DAYS[1:2], SOURCE)
    assert [len(materialized(house, ROWS, day)) for day in DAYS] == [1, 2, 1]


def test_what_fails_only_for_a_while_is_told_before_the_run_ends(house: House) -> None:
    """The last day's events are taken again, and all that waited with them."""
    database = house.warehouse.dagster_database
    with house.warehouse.connect_admin(database=database) as connection:
        connection.execute("CREATE SEQUENCE refused MAXVALUE 3")
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
            " $$ BEGIN IF pg_sequence_last_value('refused') IS DISTINCT FROM 3 THEN"
            " PERFORM nextval('refused'); RAISE disk_full; END IF; RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON event_logs FOR EACH ROW"
            f" WHEN ({ANY_MATERIALIZATION}) EXECUTE FUNCTION refuse()".encode()
        )
    assert house.refresh(DAYS, SOURCE)
    assert [len(materialized(house, ROWS, day)) for day in DAYS] == [1, 1, 1]
    assert unreported(house) == 0


def test_a_run_that_is_alive_reports_its_days_itself(house: House) -> None:
    assert house.refresh(DAYS[:2], SOURCE)
    house.rows("UPDATE ops.load_receipt SET reported_at = NULL, run_id = 'another' RETURNING 1")
    with liveness.alive(house.warehouse, "another"):
        assert house.refresh(DAYS[2:], SOURCE)
        assert unreported(house) == 2
    assert house.refresh(DAYS[2:], SOURCE)
    assert unreported(house) == 0
    assert [len(materialized(house, ROWS, day)) for day in DAYS] == [2, 2, 2]
