"""Which runs are alive: each holds a session advisory lock while it works.

A lock goes with its connection, so a killed process or a lost host frees it without a word (after
the server's keepalives). A run that Dagster calls started and whose lock is free has died: it is
reported as failed, so that it does not stay started for ever nor hold a slot of the queue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import dagster as dg

from dagster_project.warehouse.connection import Warehouse

_GRACE = timedelta(minutes=2)
_ALIVE = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
SOURCE_TAG = "source"


@contextmanager
def alive(warehouse: Warehouse, run_id: str) -> Iterator[None]:
    """Hold the run's lock."""
    with warehouse.connect(what="run", autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock_shared(%s)", (_key(run_id),))
        yield


def bury_dead_runs(
    instance: dg.DagsterInstance, warehouse: Warehouse, *, grace: timedelta = _GRACE
) -> list[str]:
    """Report runs as failed that are called started and hold no lock; answers their ids.

    ``grace`` spares runs that have just been started and are about to take their lock.
    """
    records = instance.get_run_records(dg.RunsFilter(statuses=list(_ALIVE)))
    dead = []
    with warehouse.connect(what="liveness", autocommit=True) as connection:
        for record in records:
            run = record.dagster_run
            if SOURCE_TAG not in run.tags:
                continue
            if record.update_timestamp.replace(tzinfo=UTC) > datetime.now(UTC) - grace:
                continue
            row = connection.execute(
                "SELECT pg_try_advisory_lock(%s)", (_key(run.run_id),)
            ).fetchone()
            if row is None or not row[0]:
                continue
            connection.execute("SELECT pg_advisory_unlock(%s)", (_key(run.run_id),))
            instance.report_run_failed(
                run,
                "The process of this run ended without a word: it was killed, or its host was lost."
                " Days that it committed stay; re-execute it to do the others.",
            )
            dead.append(run.run_id)
    return dead


def _key(run_id: str) -> int:
    digest = hashlib.blake2b(f"run/{run_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
