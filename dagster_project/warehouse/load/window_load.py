"""Load a window in one transaction: make the table's rows equal to the vendor's.

Grain: one account and the days of one window. New rows go into the table by binary COPY while pages still
arrive; unchanged rows are not touched; changed rows are updated and vanished ones deleted at the end.
Readers see the old days until the commit, and the new ones afterwards.

Advisory locks by source, account and day, taken in ascending order, keep two processes from loading the
same days. A day that a later extraction has already loaded is skipped. ``benchmarks/README.md`` has the
measured alternatives (staging and MERGE, DELETE + INSERT, swapping partitions).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Self

import numpy as np
import psycopg
from numpy.typing import NDArray

from dagster_project.errors import AnswerNotTrusted
from dagster_project.model.batch import Batch, Reject
from dagster_project.model.receipt import DayState, Extraction, Receipt
from dagster_project.model.table import Table
from dagster_project.model.window import Window, day_number, day_of
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.ledger.receipt_writer import write_receipts
from dagster_project.warehouse.ledger.rejects import NewRejects, new_rejects, write_rejects
from dagster_project.warehouse.load.day_counts import (
    MOVED_IN,
    MOVED_OUT,
    MULTIPLIER,
    DayCounts,
    checksums_of_days,
    rejected_figures,
)
from dagster_project.warehouse.load.day_figures import figures_of
from dagster_project.warehouse.load.day_locks import lock_days
from dagster_project.warehouse.load.existing_rows import read_existing_rows
from dagster_project.warehouse.load.holds import (
    HeldDays,
    HoldChecks,
    RejectGuard,
    ShapeWatch,
    ShrinkGuard,
    doubt_reason,
    find_absent_names,
    undocumented_names,
)
from dagster_project.warehouse.load.row_index import (
    ExistingRows,
    Flags,
    Identities,
    Positions,
    SeenIdentities,
)
from dagster_project.warehouse.load.row_writer import EnsureMonth, RowWriter

AfterRows = Callable[[Connection, list[Receipt]], None]
IsSettled = Callable[[Receipt], bool]


@dataclass(slots=True)
class _Incoming:
    """A row that is decided on only after its page: it is equal to another, or changed."""

    day: int
    content_hash: int
    record: bytes
    observed: bool


class WindowLoad:
    """The load of one window inside the caller's open transaction.

    Call ``begin``, ``add`` for each batch, ``finish``, then commit. Roll back if anything is raised.
    ``skip``: days of the window whose rows are left alone; ``held``: those of them that a first attempt of
    this load held. ``wanted_days``: days that get a receipt even if nothing changed (default: all). A guard
    of None holds nothing. ``encoding``: by what code and settings its batches were encoded.
    """

    def __init__(
        self,
        connection: Connection,
        table: Table,
        window: Window,
        extraction: Extraction,
        *,
        ensure_month: EnsureMonth,
        skip: Collection[date] = (),
        held: Collection[date] = (),
        wanted_days: Collection[date] | None = None,
        is_replay: bool = False,
        guard: ShrinkGuard | None = None,
        reject_guard: RejectGuard | None = None,
        lock_whole: bool = False,
        encoding: str | None = None,
        is_settled: IsSettled = lambda receipt: False,
    ) -> None:
        self.connection = connection
        self.table = table
        self.window = window
        self.extraction = extraction
        self.is_replay = is_replay
        self.guard = guard
        self.reject_guard = reject_guard
        self.ensure_month = ensure_month
        self.wanted_days = wanted_days
        self.lock_whole = lock_whole
        self.encoding = encoding
        self.is_settled = is_settled
        self.skip = {*skip, *held}
        self.held = frozenset(held)
        self.superseded: dict[date, datetime] = {}
        self.rejects: list[Reject] = []
        self.counts: Counter[str] = Counter()
        self._rows = 0
        self._nulls: Counter[str] = Counter()
        self._absent: Counter[str] = Counter()
        self._elsewhere: set[tuple[int, int]] = set()
        self._moves: list[tuple[int, int]] = []
        self._by_day: dict[int, DayCounts] = defaultdict(DayCounts)
        self._seen = SeenIdentities()
        self._updates: dict[int, _Incoming] = {}
        self._close: dict[tuple[int, int], list[_Incoming]] = defaultdict(list)
        self._existing: ExistingRows
        self._writer: RowWriter

    def begin(self) -> Self:
        """Lock the days, find those that a later extraction has loaded, and read the existing rows; return the load."""
        days = self.window.days
        of_account = self.connection, self.extraction.source, self.extraction.account
        loaded_at = lock_days(*of_account, [date.min] if self.lock_whole else days)
        assert loaded_at is not None, "a window has days"
        self.find_superseded(load_receipts.day_states(*of_account, days))
        self.compare_with(
            loaded_at, read_existing_rows(self.connection, self.table, self.window, self.skip)
        )
        return self

    def find_superseded(self, states: Mapping[date, DayState]) -> None:
        """Skip the days that a later extraction has loaded."""
        for day in self.window.days:
            # By the extraction's number, which the database gave it, never by a clock.
            state = states.get(day)
            if state is not None and state.extraction_id > self.extraction.extraction_id:
                self.superseded[day] = state.observed_at
        self.skip |= self.superseded.keys()

    def compare_with(self, loaded_at: datetime, existing: ExistingRows) -> None:
        """Take the existing rows, read while the days are locked in a transaction of this time."""
        self._existing = existing
        for number, rows in _by_day(existing.days, ~existing.matched):
            self._by_day[number].before = rows
        self._writer = RowWriter(
            self.connection,
            self.table,
            self.window,
            loaded_at,
            self.extraction.started_at,
            self.ensure_month,
        )

    def add(self, batch: Batch) -> None:
        """Add the rows of one response; new ones are written at once."""
        self._take_rejects(batch)
        self.counts.update(batch.counts)
        self._rows += len(batch)
        self._nulls.update(batch.nulls)
        self._absent.update(batch.absent)
        self._take_elsewhere(batch)
        observed = np.array(batch.observed or [False] * len(batch), np.bool_)
        wanted = self._wanted_rows(batch)
        if not wanted.any():
            return
        identities = Identities.from_keys(
            batch.keys, batch.days, with_day=self.table.identity_has_day
        )
        self._count_rows(batch, identities, observed, wanted)
        positions, alone, close = self._existing.find(identities)
        fresh = wanted & ~alone & ~close
        again = np.zeros(len(batch), np.bool_)
        fresh_at = np.flatnonzero(fresh)
        again[fresh_at] = self._seen.add(identities.take(fresh_at))
        self._write_new(batch, observed, fresh & ~again)
        self._compare(batch, identities, observed, positions, wanted & alone)
        for at in np.flatnonzero((wanted & close) | again).tolist():
            self._close[identities.exact(at)].append(_incoming(batch, observed, at))

    def stands_as(self, receipts: Collection[Receipt]) -> bool:
        """Whether each day's existing rows are, by number and checksum, those of its receipt."""
        found = checksums_of_days(self._existing)
        return all(found[day_number(r.day)] == r.checksum for r in receipts)

    def repeat(self, receipts: Sequence[Receipt]) -> None:
        """Instead of ``add``: the answer is the one that the existing rows are of, by these receipts."""
        self._existing.matched[:] = True
        for receipt in receipts:
            self._by_day[day_number(receipt.day)].repeat(receipt)
        self.counts.update(receipts[0].notes.get(load_receipts.IN_WINDOW, {}))

    @property
    def changes_nothing(self) -> bool:
        """Whether what was added is, row by row, what stands: nothing was written, and nothing needs to be."""
        return (
            bool(self._existing.matched.all())
            and not any(counts.inserted for counts in self._by_day.values())
            and not (self.skip or self.rejects or self._updates or self._close)
        )

    def unchanged_receipts(self) -> list[Receipt]:
        """Instead of ``finish``, where it ``changes_nothing``: the receipts, still to be written."""
        return self._receipts(NewRejects())

    def finish(
        self, after_rows: AfterRows | None = None, run_id: str | None = None
    ) -> list[Receipt]:
        """Apply the remaining changes, write rejects and receipts; the caller commits.

        Raises:
            HeldDays: days of the answer are held.
        """
        for identity, incoming in self._close.items():
            self._match_equals(identity, incoming)
        for position, row in self._updates.items():
            self._update(position, row)
        self._delete_vanished()
        self._writer.end_stream()
        standing = self._read_receipts()
        new = new_rejects(
            self.connection, self.extraction, self.rejects, self._days_to_check(), standing
        )
        watch = self._shape_watch()
        self._writer.finish()
        self._raise_if_held(new, watch)
        receipts = self._receipts(new)
        zone = self.window.account.time_zone.key
        write_receipts(self.connection, receipts, run_id, zone, self.encoding)
        self._write_rejects([receipt.day for receipt in receipts])
        if after_rows is not None and receipts:
            after_rows(self.connection, receipts)
        return receipts

    def abandon(self) -> None:
        """Roll back the load at any point."""
        self._writer.abandon()
        with suppress(psycopg.Error):
            self.connection.rollback()

    def _take_rejects(self, batch: Batch) -> None:
        only_day = self.window.first_day if len(self.window.days) == 1 else None
        for reject in batch.rejects:
            day = reject.day if reject.day in self.window else only_day
            if day in self.skip:
                continue
            self.rejects.append(replace(reject, day=day))
            if day is not None:
                counts = self._by_day[day_number(day)]
                counts.rejected += 1
                counts.received += 1
                counts.reasons[reject.reason] += 1

    def _take_elsewhere(self, batch: Batch) -> None:
        """Note records that are now outside the window: they moved, and are not lost."""
        days = np.zeros(len(batch.elsewhere) // 16, np.int32)
        found = Identities.from_keys(batch.elsewhere, days, with_day=self.table.identity_has_day)
        self._elsewhere.update(found.exact(at) for at in range(len(found)))

    def _wanted_rows(self, batch: Batch) -> Flags:
        first, last = day_number(self.window.first_day), day_number(self.window.last_day)
        inside = (batch.days >= first) & (batch.days <= last)
        if not self.skip:
            return inside
        skipped = np.array([day_number(day) for day in self.skip], np.int32)
        return inside & ~np.isin(batch.days, skipped)

    def _count_rows(
        self, batch: Batch, identities: Identities, observed: Flags, wanted: Flags
    ) -> None:
        mixed = (batch.hashes * np.uint64(MULTIPLIER)) ^ identities.mixed
        for day, rows in _by_day(batch.days, wanted):
            of_day = wanted & (batch.days == day)
            counts = self._by_day[day]
            counts.received += rows
            counts.final += int((of_day & observed).sum())
            counts.checksum += int(mixed[of_day].sum(dtype=np.uint64))

    def _write_new(self, batch: Batch, observed: Flags, new: Flags) -> None:
        self._writer.copy(batch, observed, np.flatnonzero(new))
        for day, rows in _by_day(batch.days, new):
            self._by_day[day].inserted += rows

    def _compare(
        self,
        batch: Batch,
        identities: Identities,
        observed: Flags,
        positions: Positions,
        known: Flags,
    ) -> None:
        """Compare rows with the one existing row of their identity: equal, changed, or come a second time."""
        at = np.flatnonzero(known)
        if not len(at):
            return
        standing = self._existing
        where = positions[at]
        first_here = np.zeros(len(at), np.bool_)
        first_here[np.unique(where, return_index=True)[1]] = True
        second = ~first_here | standing.matched[where]
        same = ~second & (standing.hashes[where] == batch.hashes[at])
        standing.matched[where[~second]] = True
        for day, rows in _by_day(standing.days[where], same):
            self._by_day[day].unchanged += rows
        for n in np.flatnonzero(~second & ~same):
            self._updates[int(where[n])] = _incoming(batch, observed, int(at[n]))
        for n in np.flatnonzero(second):
            self._close[identities.exact(int(at[n]))].append(_incoming(batch, observed, int(at[n])))

    def _match_equals(self, identity: tuple[int, int], incoming: list[_Incoming]) -> None:
        """Match the old and new rows of one identity as multisets: keep equal ones; change, add or delete the rest."""
        positions = self._existing.positions_of(*identity)
        if not self.table.has_occurrence and len(incoming) + (not positions) > 1:
            raise AnswerNotTrusted("the answer holds a row twice whose key allows it once.")
        if not positions:
            # The first row was written as it came, unless it shares its mixed word with an existing row.
            first = 1 if self._existing.shares_mixed(*identity) else 2
            for number, row in enumerate(incoming, start=first):
                self._insert(row, number)
            return
        if len(positions) == 1 and self._existing.matched[positions[0]]:
            incoming = self._recall_first(positions[0], incoming)
        keep = positions[: len(incoming)]
        left = list(incoming)
        unequal = []
        for position in keep:
            content_hash = int(self._existing.hashes[position])
            equal = next((row for row in left if row.content_hash == content_hash), None)
            if equal is None:
                unequal.append(position)
            else:
                left.remove(equal)
                self._keep(position)
        for position, row in zip(unequal, left, strict=False):
            self._updates[position] = row
            self._existing.matched[position] = True
        for number, row in enumerate(left[len(unequal) :], start=len(positions) + 1):
            self._insert(row, number)

    def _recall_first(self, position: int, incoming: list[_Incoming]) -> list[_Incoming]:
        """Undo the decision on the first row of an identity that came again."""
        changed = self._updates.pop(position, None)
        if changed is not None:
            return [changed, *incoming]
        day = int(self._existing.days[position])
        self._by_day[day].unchanged -= 1
        unchanged = _Incoming(day, int(self._existing.hashes[position]), b"", False)
        return [unchanged, *incoming]

    def _keep(self, position: int) -> None:
        self._existing.matched[position] = True
        self._by_day[int(self._existing.days[position])].unchanged += 1

    def _insert(self, row: _Incoming, occurrence: int) -> None:
        self._writer.copy_one(row.day, row.record, row.content_hash, row.observed, occurrence)
        self._by_day[row.day].inserted += 1

    def _update(self, position: int, row: _Incoming) -> None:
        old_day = int(self._existing.days[position])
        self._writer.update(
            old_day,
            self._existing.identities.exact(position),
            int(self._existing.occurrences[position]),
            (row.day, row.record, row.content_hash, row.observed),
        )
        if old_day == row.day:
            self._by_day[row.day].updated += 1
            return
        self._moves.append((old_day, row.day))
        self._by_day[row.day].inserted += 1
        self._by_day[row.day].notes[MOVED_IN] += 1
        self._by_day[old_day].deleted += 1
        self._by_day[old_day].notes[MOVED_OUT] += 1

    def _delete_vanished(self) -> None:
        for position in np.flatnonzero(~self._existing.matched):
            day = int(self._existing.days[position])
            identity = self._existing.identities.exact(int(position))
            self._writer.delete(day, identity, int(self._existing.occurrences[position]))
            self._by_day[day].deleted += 1
            if identity in self._elsewhere:
                self._by_day[day].notes[MOVED_OUT] += 1

    def _days_to_check(self) -> list[date]:
        return [day for day in self.window.days if day not in self.skip]

    def _read_receipts(self) -> dict[date, Receipt]:
        """Read the days' current receipts, if there are rejects to compare with them."""
        if not self.rejects:
            return {}
        receipts = load_receipts.read_receipts(
            self.connection,
            self.extraction.source,
            self.extraction.account,
            self._days_to_check(),
        )
        return {receipt.day: receipt for receipt in receipts}

    def _shape_watch(self) -> ShapeWatch:
        return ShapeWatch(
            self.connection,
            self.table,
            self.window,
            {day_of(day): c.received - c.rejected for day, c in self._by_day.items()},
            self._nulls,
            self._absent,
            undocumented_names(self.counts),
        )

    def _raise_if_held(self, new: NewRejects, watch: ShapeWatch) -> None:
        """Raise ``HeldDays`` if days of the answer are to be held."""
        held = HoldChecks(
            self.guard,
            self.reject_guard,
            self.lock_whole,
            self._by_day,
            new,
            watch.find_lost() if self.reject_guard is not None else {},
            self._moves,
        ).find_held()
        if not held:
            return
        for day, figures in figures_of(
            self.connection, self.table, self.window, list(held)
        ).items():
            held[day].figures = figures | rejected_figures(self._by_day[day_number(day)].reasons)
        raise HeldDays(held)

    def _receipts(self, new: NewRejects) -> list[Receipt]:
        received = sum(counts.received for counts in self._by_day.values())
        received += sum(reject.day is None for reject in self.rejects)
        absent = find_absent_names(self.table, self._rows, self._absent)
        receipts = []
        for day in filter(self._owes_receipt, self.window.days):
            counts = self._by_day[day_number(day)]
            if not self.held:  # a held answer has already been reported
                counts.doubt = doubt_reason(self.reject_guard, day, counts, new, received, absent)
            receipt = self._receipt(day)
            receipt.settled = self.is_settled(receipt)
            receipts.append(receipt)
        return receipts

    def _write_rejects(self, loaded: list[date]) -> None:
        """Write the rejects; if days are held, not those without a day, which may be of a held day."""
        rejects = [r for r in self.rejects if r.day is not None or not self.held]
        write_rejects(
            self.connection, self.extraction, rejects, None if self.lock_whole else loaded
        )

    def _owes_receipt(self, day: date) -> bool:
        if day in self.skip:
            return False
        if self.wanted_days is None or day in self.wanted_days:
            return True
        counts = self._by_day.get(day_number(day))
        return counts is not None and bool(counts.inserted or counts.updated or counts.deleted)

    def _receipt(self, day: date) -> Receipt:
        counts = self._by_day[day_number(day)]
        return counts.receipt(
            self.extraction,
            day,
            is_replay=self.is_replay,
            in_window=self.counts,
            undated=Counter(reject.reason for reject in self.rejects if reject.day is None),
            tells_final=self.table.observed_column is not None,
        )


def _incoming(batch: Batch, observed: Flags, at: int) -> _Incoming:
    return _Incoming(
        int(batch.days[at]), int(batch.hashes[at]), batch.records[at], bool(observed[at])
    )


def _by_day(days: NDArray[np.int32], chosen: Flags) -> list[tuple[int, int]]:
    """The days of the chosen rows, each with its number of rows."""
    numbers, rows = np.unique(days[chosen], return_counts=True)
    return list(zip(numbers.tolist(), rows.tolist(), strict=True))
