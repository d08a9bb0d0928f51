"""Dagster's own log, pruned so that the UI forgets nothing that it needs.

Whether a day counts as materialized hangs on its latest materialization event, which is stored with
the run that logged it: deleting that run would make the day look missing. A run is deleted only if
no day's latest event is its own. Of the others the rest goes (log lines, engine and step events);
their materializations, checks and status stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable as CheckTable
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as EventTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from dagster_project import clock

IDS_AT_ONCE = 1000
ROWS_AT_ONCE = 5000
_MATERIALIZATION = dg.DagsterEventType.ASSET_MATERIALIZATION
_KEPT = (
    _MATERIALIZATION.value,
    dg.DagsterEventType.ASSET_OBSERVATION.value,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
)


def prune_log(instance: dg.DagsterInstance, days: int) -> Counter[str]:
    """Prune what is older than so many days; answers how many runs, events and checks went."""
    counts: Counter[str] = Counter()
    before = clock.now() - timedelta(days=days)
    latest = _latest_events(instance)
    needed = _runs_of(instance, latest)
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    finished = dg.RunsFilter(statuses=list(FINISHED_STATUSES), created_before=before)
    old_runs = set(instance.get_run_ids(finished))
    for run_id in old_runs - needed:
        instance.delete_run(run_id)
        counts["runs"] += 1
    for run_ids in _batches(sorted(old_runs & needed), IDS_AT_ONCE):
        counts["events"] += _delete(storage, EventTable, _dispensable(run_ids))
    counts["events"] += _delete(storage, EventTable, _old_runless(latest, before))
    counts["checks"] += _delete(storage, CheckTable, _old_checks(before))
    return +counts


def _latest_events(instance: dg.DagsterInstance) -> set[int]:
    """The storage ids of every asset's latest materialization, by partition, and over all."""
    latest: set[int] = set()
    for key in instance.all_asset_keys():
        latest.update(
            instance.event_log_storage.get_latest_storage_id_by_partition(
                key, _MATERIALIZATION
            ).values()
        )
        newest = instance.fetch_materializations(key, limit=1).records
        latest.update(record.storage_id for record in newest)
    return latest


def _runs_of(instance: dg.DagsterInstance, storage_ids: Collection[int]) -> set[str]:
    runs: set[str] = set()
    for ids in _batches(sorted(storage_ids), IDS_AT_ONCE):
        records = instance.event_log_storage.get_event_records(
            dg.EventRecordsFilter(_MATERIALIZATION, storage_ids=ids)
        )
        runs.update(record.run_id for record in records)
    return runs


def _dispensable(run_ids: Sequence[str]) -> sa.ColumnElement[bool]:
    """Of runs that must stay: all but what assets and the run's status are told from."""
    kind = EventTable.c.dagster_event_type
    return sa.and_(
        EventTable.c.run_id.in_(run_ids),
        sa.or_(kind.is_(None), sa.not_(sa.or_(kind.in_(_KEPT), kind.like("PIPELINE%")))),
    )


def _old_runless(latest: Collection[int], before: datetime) -> sa.ColumnElement[bool]:
    """Events that sensors reported, such as earlier states of the status page."""
    return sa.and_(
        EventTable.c.run_id == "",
        EventTable.c.timestamp < before.replace(tzinfo=None),
        EventTable.c.id.not_in(sorted(latest)),
    )


def _old_checks(before: datetime) -> sa.ColumnElement[bool]:
    """All but the latest of each check and day."""
    table = CheckTable.c
    latest = sa.select(sa.func.max(table.id)).group_by(
        table.asset_key, table.check_name, table.partition
    )
    return sa.and_(table.create_timestamp < before.replace(tzinfo=None), table.id.not_in(latest))


def _delete(storage: SqlEventLogStorage, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    """In small batches, each committed."""
    deleted = 0
    while True:
        batch = sa.select(table.c.id).where(which).limit(ROWS_AT_ONCE)
        with storage.index_connection() as connection:
            gone = connection.execute(sa.delete(table).where(table.c.id.in_(batch))).rowcount
        deleted += gone
        if gone < ROWS_AT_ONCE:
            return deleted


def _batches(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for at in range(0, len(items), size):
        yield list(items[at : at + size])
