"""Runs that died or never begin are given up so that a backfill which looks meanwhile waits for the retry."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.execution.asset_backfill import backfill_runs_are_complete

from dagster_project.orchestration import liveness
from dagster_project.warehouse.connection import Warehouse
from tests.support.operating import House, operating
from tests.warehouse.server.homes import wait_until

BACKFILL = "abcdefgh"
AT_ONCE = timedelta()
SOON = timedelta(minutes=3)
Status = dg.DagsterRunStatus


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    given = {"CALLTOUCH_SITE_IDS": "101", "CALLTOUCH_ACCESS_TOKEN": "a token"}
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        yield running


def launched(house: House, *, started: bool = False, **tags: str) -> str:
    """A run of a backfill, to be retried once where it dies, as Dagster's books have it; its id."""
    job = house.definitions.resolve_job_def("refresh_calltouch")
    given = {"dagster/backfill": BACKFILL, "dagster/max_retries": "1", **tags}
    run = house.instance.create_run_for_job(job, tags={liveness.SOURCE_TAG: "calltouch", **given})
    kinds = [DagsterEventType.PIPELINE_STARTING, DagsterEventType.PIPELINE_START]
    for kind in kinds if started else kinds[:1]:
        house.instance.report_dagster_event(DagsterEvent(kind.value, job.name), run.run_id)
    return run.run_id


def status(house: House, run_id: str) -> Status:
    run = house.instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


@pytest.fixture
def seen(house: House, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether a backfill finds itself complete at the moment at which a run of it turns failed."""
    storage = house.instance.run_storage
    handle = storage.handle_run_event
    found: list[bool] = []

    def handle_and_look(run_id: str, event: DagsterEvent, *rest: Any) -> None:
        handle(run_id, event, *rest)
        if event.is_run_failure:
            logger = logging.getLogger("test")
            found.append(backfill_runs_are_complete(BACKFILL, house.instance, logger))

    monkeypatch.setattr(storage, "handle_run_event", handle_and_look)
    return found


def test_a_backfill_that_looks_while_a_dead_run_is_reported_waits_for_its_retry(
    house: House, seen: list[bool]
) -> None:
    run_id = launched(house, started=True)
    assert liveness.fail_dead_runs(house.instance, house.warehouse, grace=AT_ONCE) == [run_id]
    assert status(house, run_id) == Status.FAILURE
    assert seen == [False]


def test_a_run_that_never_begins_is_given_up_and_its_backfill_waits_for_the_retry(
    house: House, seen: list[bool]
) -> None:
    run_id = launched(house)
    assert liveness.fail_never_started(house.instance, longest=SOON) == []
    assert status(house, run_id) == Status.STARTING
    assert liveness.fail_never_started(house.instance, longest=AT_ONCE) == [run_id]
    assert status(house, run_id) == Status.FAILURE
    assert seen == [False]


def test_what_dagster_says_of_the_retry_is_the_last_word(house: House, seen: list[bool]) -> None:
    run_id = launched(house, **{"dagster/max_retries": "0"})
    liveness.fail_never_started(house.instance, longest=AT_ONCE)
    run = house.instance.get_run_by_id(run_id)
    assert run is not None
    assert run.tags[liveness.WILL_RETRY_TAG] == "false"


@pytest.mark.parametrize(("state", "given_up"), [("UNKNOWN", False), ("RUNNING", True)])
def test_a_run_in_the_brokers_queue_is_spared_and_one_that_a_worker_took_is_not(
    house: House, monkeypatch: pytest.MonkeyPatch, state: str, given_up: bool
) -> None:
    run_id = launched(house, **{liveness.CELERY_TASK_TAG: "a task"})
    health = SimpleNamespace(status=SimpleNamespace(value=state))
    monkeypatch.setattr(
        type(house.instance.run_launcher), "check_run_worker_health", lambda launcher, run: health
    )
    found = liveness.fail_never_started(house.instance, longest=AT_ONCE)
    assert found == ([run_id] if given_up else [])


def test_runs_of_others_are_left_alone(house: House) -> None:
    job = dg.GraphDefinition(name="somebody_elses").to_job()
    run = house.instance.create_run_for_job(job)
    house.instance.report_dagster_event(
        DagsterEvent(DagsterEventType.PIPELINE_STARTING.value, job.name), run.run_id
    )
    assert liveness.fail_never_started(house.instance, longest=AT_ONCE) == []


def test_a_live_run_that_lost_its_connection_takes_its_lock_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "PULSE_SECONDS", 0.05)
    run_id = launched(house, started=True)
    with house.warehouse.connect_admin() as admin:
        for _ in range(2):
            with liveness.alive(house.warehouse, run_id):
                for _ in range(2):
                    lost = admin.execute(
                        f"SELECT pid, pg_terminate_backend(pid, 60000) {SESSIONS_OF_RUNS}"
                    ).fetchall()
                    assert len(lost) == 1
                    wait_for_lock(admin, lost[0][0])
                assert liveness.fail_dead_runs(house.instance, house.warehouse, grace=AT_ONCE) == []
            # The server's process may see later than the client that the connection is closed.
            wait_until(lambda: not admin.execute(f"SELECT {SESSIONS_OF_RUNS}").fetchall())
    assert status(house, run_id) == Status.STARTED
    assert liveness.fail_dead_runs(house.instance, house.warehouse, grace=AT_ONCE) == [run_id]


SESSIONS_OF_RUNS = "FROM pg_stat_activity WHERE application_name = 'warehouse:run' AND datname = current_database()"


def wait_for_lock(admin: Any, lost: int) -> None:
    """Until another backend holds the lock of a run."""
    query = (
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE granted AND pid <> %s"
        " AND locktype = 'advisory' AND application_name = 'warehouse:run'"
    )
    wait_until(lambda: admin.execute(query, (lost,)).fetchone()[0] > 0)


def test_nobody_is_buried_right_after_a_start_of_the_server(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = house.instance.get_run_by_id(launched(house, started=True))
    monkeypatch.setattr(liveness, "_untouched", lambda *_: [run])
    longer_than_it_runs = timedelta(days=1000)
    with house.warehouse.connect() as connection:
        assert liveness.dead_runs(house.instance, connection, AT_ONCE) == [run]
        assert liveness.dead_runs(house.instance, connection, longer_than_it_runs) == []
