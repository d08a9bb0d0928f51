"""Dagster's storage in Postgres: events of many days in one transaction, no ``NOTIFY``, no plans to check days.

By itself Dagster writes each event in two or three transactions of its own, which took longer than
the load of a small day. Inside of ``event_batch`` a thread's events are collected and written together.

Dagster notifies at each event it writes, for versions of itself that are long gone; nothing listens.
The server has one queue for the notifications of all its databases, which any login can fill: one
session that listens and does not read is enough. No event could be written then, and every run would
die of it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)
from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import EventLogStorage
from dagster._core.storage.event_log.migration import ASSET_KEY_INDEX_COLS
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.runs import RunStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
)
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import Connection, event, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.elements import TextClause

Targets = dict[tuple[dg.AssetKey, str], Target]
"""Materializations by asset and day, as check evaluations name them."""
_BATCHED = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_OUTPUT,
}
_CHECK_KEY = ("asset_key", "check_name", "run_id", "partition")


@contextmanager
def event_batch(instance: dg.DagsterInstance) -> Iterator[Targets]:
    """Have the events that this thread logs inside written together at the end, or, where anything is
    raised inside or while they are written, none of them.

    Yields what is filled at the end: the days' materializations. A storage that is not ours writes
    each event by itself, and leaves it empty.
    """
    storage = instance.event_log_storage
    if isinstance(storage, SilentEventLog):
        with storage.batch() as targets:
            yield targets
    else:
        yield {}


class _Collected(threading.local):
    """What a thread's batch holds so far; None: there is no batch."""

    events: list[EventLogEntry] | None = None


class SilentEventLog(PostgresEventLogStorage):
    """Dagster's event log, which writes batches in one transaction and leaves notifications out."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._collected = _Collected()
        self._tables: set[str] = set()

    def has_table(self, table_name: str) -> bool:
        """Whether the table is there; one that is stays, and is not looked for again."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    @contextmanager
    def batch(self) -> Iterator[Targets]:
        """See ``event_batch``."""
        targets: Targets = {}
        events = self._collected.events = []
        try:
            yield targets
        finally:
            self._collected.events = None
        if events:
            targets |= self._store_together(events)

    def store_event(self, event: EventLogEntry) -> None:
        if self._collected.events is not None and _is_batched(event):
            self._collected.events.append(event)
        else:
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Dagster's own way of writing several at once; by itself it takes materializations alone."""
        together = [event for event in events if _is_batched(event)]
        if together:
            self._store_together(together)
        if rest := [event for event in events if not _is_batched(event)]:
            super().store_event_batch(rest)

    def _store_together(self, events: Sequence[EventLogEntry]) -> Targets:
        """Store the events in one transaction, with what Dagster keeps beside each kind of them."""
        table = SqlEventLogStorageTable
        statement = table.insert().returning(table.c.id, sort_by_parameter_order=True)
        rows = [self._event_to_row(event) for event in events]
        # Known from then on: asked for inside of the transaction it would be over another connection.
        self.has_secondary_index(ASSET_KEY_INDEX_COLS)
        with self.index_transaction() as connection:
            ids = [int(row[0]) for row in connection.execute(statement, rows)]
            stored = list(zip(events, ids, strict=True))
            self._store_assets(connection, stored)
            self._store_checks(connection, stored, rows)
        return dict(_targets(stored))

    def _store_assets(
        self, connection: Connection, stored: Sequence[tuple[EventLogEntry, int]]
    ) -> None:
        """Tags, and of each asset the last event."""
        of_assets = [(entry, number) for entry, number in stored if _kind(entry) in ASSET_EVENTS]
        if not of_assets:
            return
        entries, numbers = zip(*of_assets, strict=True)
        self._store_asset_event_tags(connection, entries, numbers)
        last = {
            (entry.get_dagster_event().asset_key, _kind(entry)): (entry, number)
            for entry, number in of_assets
        }
        for entry, number in last.values():
            self._store_asset_event(connection, entry, number)

    def _store_checks(
        self,
        connection: Connection,
        stored: Sequence[tuple[EventLogEntry, int]],
        logged: Sequence[Mapping[str, Any]],
    ) -> None:
        """The evaluations in place of the planned ones of their run; ``logged``: the log's own rows."""
        rows = {}
        for (entry, number), row in zip(stored, logged, strict=True):
            if _kind(entry) is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                found = _check_row(entry, number, row)
                rows[tuple(found[name] for name in _CHECK_KEY)] = found
        if not rows:
            return
        statement = insert(AssetCheckExecutionsTable)
        new = {
            name: statement.excluded[name]
            for name in next(iter(rows.values()))
            if name not in _CHECK_KEY
        }
        connection.execute(
            # What is returned makes SQLAlchemy write many rows in one statement.
            statement.on_conflict_do_update(index_elements=list(_CHECK_KEY), set_=new).returning(
                AssetCheckExecutionsTable.c.id
            ),
            list(rows.values()),
        )

    def store_asset_check_event(self, event: EventLogEntry, event_id: int | None) -> None:
        """All but plans to check days: what a run does not come to evaluate stays as it was evaluated last.

        Dagster would show it as failed where the run fails, for example for want of points, though
        nobody looked; and once more for each day where a check is of the whole source.
        """
        if not _plans_days(event):
            super().store_asset_check_event(event, event_id)

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with super()._connect() as connection:
            event.listen(connection, "before_execute", _leave_out_notify, retval=True)
            yield connection


def _kind(entry: EventLogEntry) -> dg.DagsterEventType | None:
    return entry.dagster_event_type if entry.is_dagster_event else None


def _check_row(entry: EventLogEntry, number: int, logged: Mapping[str, Any]) -> dict[str, Any]:
    evaluation = entry.get_dagster_event().asset_check_evaluation_data
    status = AssetCheckExecutionRecordStatus
    target = evaluation.target_materialization_data
    return {
        "asset_key": evaluation.asset_key.to_string(),
        "check_name": evaluation.check_name,
        "partition": evaluation.partition,
        "run_id": entry.run_id,
        "execution_status": (status.SUCCEEDED if evaluation.passed else status.FAILED).value,
        "evaluation_event": logged["event"],
        "evaluation_event_timestamp": logged["timestamp"],
        "evaluation_event_storage_id": number,
        "materialization_event_storage_id": target.storage_id if target else None,
    }


def _is_batched(entry: EventLogEntry) -> bool:
    """Whether a batch takes it: no event that changes a run, and no evaluation that is not of one day."""
    kind = _kind(entry)
    if kind is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        evaluation = entry.get_dagster_event().asset_check_evaluation_data
        return bool(entry.run_id) and evaluation.partition is not None
    return kind in _BATCHED


def _targets(
    stored: Sequence[tuple[EventLogEntry, int]],
) -> Iterator[tuple[tuple[dg.AssetKey, str], Target]]:
    for entry, number in stored:
        told = entry.dagster_event
        if told is not None and told.is_step_materialization and told.partition is not None:
            assert told.asset_key is not None
            target = Target(storage_id=number, run_id=entry.run_id, timestamp=entry.timestamp)
            yield (told.asset_key, told.partition), target


def _plans_days(entry: EventLogEntry) -> bool:
    if _kind(entry) is not dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
        return False
    return entry.get_dagster_event().asset_check_planned_data.partitions_subset is not None


def _leave_out_notify(
    connection: Connection, statement: Any, several: Any, values: Any, options: Any
) -> tuple[Any, Any, Any]:
    if isinstance(statement, TextClause) and statement.text.startswith("NOTIFY "):
        return text("SELECT 1"), [], {}
    return statement, several, values


class SettledRuns(PostgresRunStorage):
    """Dagster's runs. By itself it looks for columns in Postgres' catalog whenever it reads or makes a run; one
    that is there stays."""

    _has_times = False
    _has_backfill_id = False

    def has_run_stats_index_cols(self) -> bool:
        self._has_times = self._has_times or super().has_run_stats_index_cols()
        return self._has_times

    def has_backfill_id_column(self) -> bool:
        self._has_backfill_id = self._has_backfill_id or super().has_backfill_id_column()
        return self._has_backfill_id


class SilentPostgresStorage(DagsterPostgresStorage):
    """``DagsterPostgresStorage`` with such an event log and such runs; configured as that is."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        self._events = SilentEventLog(postgres_url, should_autocreate_tables)
        self._runs = SettledRuns(postgres_url, should_autocreate_tables)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> SilentPostgresStorage:
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
        )

    @property
    def event_log_storage(self) -> EventLogStorage:
        return self._events

    @property
    def run_storage(self) -> RunStorage:
        return self._runs
