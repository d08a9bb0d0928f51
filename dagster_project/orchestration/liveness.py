"""Which runs are alive: each holds a session advisory lock while it works.

A lock goes with its connection, so a killed process or a lost host frees it without a word (after
the server's keepalives). A server that starts anew frees it too: a run that lives takes it again within
seconds, and for as long nobody is buried. A run that Dagster calls started and whose lock is free has died: it is
reported as failed, so that it does not stay started for ever nor hold a slot of the queue. So is a run
that a process was launched for and that does not begin. One that was made and never launched, because
its maker died between the two, is canceled.

Dagster notes that a run will be retried only after it is failed. A backfill that looks in between finds
nothing under way, ends as failed, and takes the retry along; and Dagster's own watch over launched runs
looks at the very seconds at which backfills do. So it is noted here beforehand, and Dagster's own
watch (``start_timeout_seconds``) waits longer than this one.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg

from dagster_project import clock
from dagster_project.concurrency import thread_beside
from dagster_project.errors import WarehouseError
from dagster_project.feeds import FEEDS
from dagster_project.pipeline import services
from dagster_project.warehouse.connection import PATIENCE_SECONDS, Connection, Warehouse
from dagster_project.warehouse.ledger import extractions
from dagster_project.warehouse.queries import fetch_value

_GRACE = timedelta(seconds=30)
_LONGEST_NOT_STARTED = timedelta(hours=1)
_LONGEST_WITHOUT_RUN = timedelta(days=1)
_LONGEST_START = timedelta(seconds=180)
_ALIVE = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
SOURCE_TAG = "source"
WILL_RETRY_TAG = "dagster/will_retry"
CELERY_TASK_TAG = "dagster-celery/task_id"
INTERVAL_SECONDS = 60
PULSE_SECONDS = 5.0


@contextmanager
def alive(warehouse: Warehouse, run_id: str) -> Iterator[None]:
    """Hold the run's lock, over losses of the connection."""
    over = threading.Event()
    with (
        _locked(warehouse, run_id, PATIENCE_SECONDS) as connection,
        thread_beside("run's lock") as keeper,
    ):
        keeper.submit(_keep_locked, warehouse, run_id, connection, over)
        try:
            yield
        finally:
            over.set()


def _keep_locked(
    warehouse: Warehouse, run_id: str, connection: Connection, over: threading.Event
) -> None:
    """Take the lock again where its connection was lost, until it is over."""
    while not over.wait(PULSE_SECONDS):
        with suppress(psycopg.Error):
            connection.execute("SELECT 1")
            continue
        with suppress(psycopg.Error, WarehouseError), _locked(warehouse, run_id, 0) as another:
            _keep_locked(warehouse, run_id, another, over)


@contextmanager
def _locked(warehouse: Warehouse, run_id: str, patience: float) -> Iterator[Connection]:
    with warehouse.connect(what="run", autocommit=True, patience=patience) as connection:
        connection.execute("SELECT pg_advisory_lock_shared(%s)", (_key(run_id),))
        yield connection


def fail_dead_runs(
    instance: dg.DagsterInstance, warehouse: Warehouse, *, grace: timedelta = _GRACE
) -> list[str]:
    """Report dead runs as failed, close their extractions, cancel unbegun runs; answers the ids."""
    with warehouse.connect(what="liveness", autocommit=True) as connection:
        dead = dead_runs(instance, connection, grace)
        for run in dead:
            _report_failed(
                instance,
                run,
                "The process of this run ended without a word: it was killed, or its host was lost."
                " Days that it committed stay; re-execute it to do the others.",
            )
        abandon_dead_extractions(connection)
    never_started = never_started_runs(instance, max(grace, _LONGEST_NOT_STARTED))
    for run in never_started:
        instance.report_run_canceled(run, "It was made and never begun: its maker died.")
    return [run.run_id for run in (*dead, *never_started)]


def fail_never_started(
    instance: dg.DagsterInstance, *, longest: timedelta = _LONGEST_START
) -> list[str]:
    """Report runs as failed that were launched and did not begin; answers their ids.

    One that waits in the broker's queue is spared: it begins when a worker is free.
    """
    given_up = []
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])):
        launched = instance.get_run_stats(run.run_id).launch_time
        age = None if launched is None else clock.now() - datetime.fromtimestamp(launched, UTC)
        if age is None or age < longest or not _is_ours(run) or _waits_for_worker(instance, run):
            continue
        what = f"This run was launched and did not begin within {longest.total_seconds():.0f} s."
        _report_failed(instance, run, what)
        given_up.append(run.run_id)
    return given_up


def _waits_for_worker(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    if CELERY_TASK_TAG not in run.tags:
        return False
    return instance.run_launcher.check_run_worker_health(run).status.value == "UNKNOWN"


def _report_failed(instance: dg.DagsterInstance, run: dg.DagsterRun, what: str) -> None:
    """Dagster sets the tag to what holds once the run is failed; where it never retries, it has none."""
    if instance.run_retries_enabled:
        instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "true"})
    instance.report_run_failed(run, what)


def dead_runs(
    instance: dg.DagsterInstance, connection: Connection, grace: timedelta = _GRACE
) -> list[dg.DagsterRun]:
    """Runs that are called started and hold no lock.

    ``grace`` spares runs that have just been started and are about to take their lock, and all of them
    for as long after a start of the server.
    """
    if fetch_value(connection, "SELECT clock_timestamp() - pg_postmaster_start_time()") < grace:
        return []
    begun = _untouched(instance, _ALIVE, grace)
    return [run for run in begun if is_over(connection, run.run_id)]


def never_started_runs(instance: dg.DagsterInstance, grace: timedelta) -> list[dg.DagsterRun]:
    """Runs that were made so long ago and neither queued nor begun."""
    return _untouched(instance, (dg.DagsterRunStatus.NOT_STARTED,), grace)


def _untouched(
    instance: dg.DagsterInstance, statuses: Sequence[dg.DagsterRunStatus], grace: timedelta
) -> list[dg.DagsterRun]:
    """Our runs that have been in one of these states for longer than ``grace``."""
    return [
        record.dagster_run
        for record in instance.get_run_records(dg.RunsFilter(statuses=list(statuses)))
        if record.update_timestamp.replace(tzinfo=UTC) <= datetime.now(UTC) - grace
        and _is_ours(record.dagster_run)
    ]


def _is_ours(run: dg.DagsterRun) -> bool:
    """Whether it takes a lock: a backfill from the UI gives its runs no tag of ours."""
    chosen = run.asset_selection or frozenset()
    loads = {key for feed in FEEDS for key in (feed.asset, feed.raw_asset)}
    return SOURCE_TAG in run.tags or any(tuple(key.path) in loads for key in chosen)


def abandon_dead_extractions(connection: Connection) -> int:
    """Close the extractions whose process is gone, however its run ended; answers how many.

    A run takes its lock before it asks for anything: where the lock is free there is nobody to spare.
    """
    abandoned = 0
    for run_id, started_at in extractions.runs_under_way(connection):
        is_dead = (
            clock.now() - started_at >= _LONGEST_WITHOUT_RUN
            if run_id is None
            else is_over(connection, run_id)
        )
        if is_dead:
            abandoned += extractions.abandon(connection, run_id, started_at)
    return abandoned


def is_over(connection: Connection, run_id: str) -> bool:
    """Whether nobody holds the run's lock: it has ended, in whatever way."""
    if not fetch_value(connection, "SELECT pg_try_advisory_lock(%s)", (_key(run_id),)):
        return False
    connection.execute("SELECT pg_advisory_unlock(%s)", (_key(run_id),))
    return True


@dg.sensor(
    name="dead_runs",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports runs as failed whose process was killed, whose host was lost, or that never begin.",
)
def dead_runs_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    dead = fail_dead_runs(context.instance, services.warehouse())
    dead += fail_never_started(context.instance)
    return dg.SkipReason(f"reported as failed: {', '.join(dead)}" if dead else "no run has died")


def _key(run_id: str) -> int:
    digest = hashlib.blake2b(f"run/{run_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
