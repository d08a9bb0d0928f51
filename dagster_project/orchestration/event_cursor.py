"""Reads Dagster's events of one kind on from a cursor: each once, however late it is committed.

Postgres numbers an event before it is committed, so that a newer one may be seen first. The cursor moves
past a number only once every transaction that might still commit an older one has ended. What was read
above it meanwhile stands in the cursor by number.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.event_log import EventLogStorage
from sqlalchemy import Connection, text

from dagster_project.orchestration.event_log import SilentEventLog

PATIENCE_SECONDS = 2.0
"""So long is waited for those that write now; one that takes longer is waited for at the next evaluation."""
# An INSERT holds this lock from before it takes a number until what it wrote can be seen.
_WRITERS = text(
    "SELECT virtualtransaction FROM pg_locks WHERE relation = 'event_logs'::regclass"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND mode = 'RowExclusiveLock' AND granted"
)


@dataclass(frozen=True)
class EventCursor:
    """``complete``: all events up to this number were read; ``beyond``: the numbers above it that were."""

    complete: int | None = None
    beyond: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, written: str | None) -> EventCursor:
        complete, _, beyond = (written or "").partition("+")
        numbers = frozenset(int(number) for number in beyond.split(",") if number)
        return cls(int(complete) if complete else None, numbers)

    def __str__(self) -> str:
        complete = "" if self.complete is None else str(self.complete)
        return complete + ("+" + ",".join(map(str, sorted(self.beyond))) if self.beyond else "")

    def moved(self, read: Iterable[int], complete: int | None) -> EventCursor:
        """With these numbers read too, and up to ``complete`` (None: as far as before) nothing left to come."""
        known = [number for number in (self.complete, complete) if number is not None]
        reached = max(known, default=None)
        beyond = self.beyond.union(read)
        return EventCursor(reached, frozenset(n for n in beyond if reached is None or n > reached))


def unread_events(
    storage: EventLogStorage,
    kind: dg.DagsterEventType,
    cursor: EventCursor,
    *,
    since: float,
    at_once: int,
) -> Iterator[tuple[Sequence[dg.EventLogRecord], EventCursor]]:
    """Batches of what was not read yet, oldest first, each with the cursor that holds once it is noted.

    ``since``: a cursor that never moved begins with the events of this time.
    """
    complete = complete_up_to(storage)
    last = cursor.complete
    while True:
        found = storage.get_event_records(
            dg.EventRecordsFilter(
                kind, after_cursor=last, after_timestamp=since if last is None else None
            ),
            limit=at_once,
            ascending=True,
        )
        is_last = len(found) < at_once
        reached = complete
        if found:
            last = found[-1].storage_id
            reached = complete if is_last or complete is None else min(complete, last)
        new = [record for record in found if record.storage_id not in cursor.beyond]
        cursor = cursor.moved((record.storage_id for record in new), reached)
        yield new, cursor
        if is_last:
            return


def complete_up_to(storage: EventLogStorage) -> int | None:
    """The newest event's number, once no older one can appear; None: somebody still writes that may be older.

    Nothing is locked, and nobody waits for this. A storage that is not ours commits in the order of numbers.
    """
    if not isinstance(storage, SilentEventLog):
        return storage.get_maximum_record_id() or 0
    with storage.index_connection() as connection:
        newest: int = connection.execute(
            text("SELECT coalesce(max(id), 0) FROM event_logs")
        ).scalar_one()
        until = time.monotonic() + PATIENCE_SECONDS
        writers = _writers(connection)
        while writers:
            if time.monotonic() > until:
                return None
            time.sleep(0.02)
            writers &= _writers(connection)
    return newest


def _writers(connection: Connection) -> set[str]:
    return set(connection.execute(_WRITERS).scalars())
