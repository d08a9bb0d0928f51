"""Decide which days of a load are held: their old rows stay until a person accepts the new answer.

Grain: one ``Held`` for each day. Records that the vendor no longer lists, or that can no longer be read,
must not delete rows unnoticed. A day is held if

* it lost too many of its rows; of a ledger, any record that did not merely move to another day (``shrink``),
* records are rejected that its current load did not reject, and that would delete rows, or they are a
  considerable part of the answer (``rejects``),
* all of its rows lack a value, null or absent, in a field that had values (``rejects``).

A day without rows is never held: what can be read is loaded, and ``doubt_reason`` says whether that was
too little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from psycopg import sql

from dagster_project.model.table import Table
from dagster_project.model.window import Window, day_of
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger.rejects import NewRejects
from dagster_project.warehouse.load.conditions import window_condition
from dagster_project.warehouse.load.day_counts import DayCounts

Kind = Literal["shrink", "rejects"]
"""Why a day is held, as in the option that accepts it: ``--accept-shrink``, ``--accept-rejects``."""

NAMES_SHOWN = 3
FEW = 10
"""In a day of so few rows, a value may be missing everywhere by chance."""


@dataclass(frozen=True, slots=True)
class ShrinkGuard:
    """Holds a day of at least ``from_rows`` rows that would keep less than ``keep_share`` of them.

    A ledger only grows, so any day of it that would lose a record is held.
    """

    from_rows: int
    keep_share: float

    def is_exceeded(self, before: int, after: int) -> bool:
        return before >= self.from_rows and after < before * self.keep_share


@dataclass(frozen=True, slots=True)
class RejectGuard:
    """How much of an answer may be rejected: up to ``above_records`` records, or ``above_share`` of it."""

    above_records: int = 10
    above_share: float = 0.01

    def is_exceeded(self, rejected: int, received: int) -> bool:
        if not rejected:
            return False
        many = rejected > self.above_records and rejected > received * self.above_share
        return many or rejected >= received


@dataclass(slots=True)
class Held:
    """Why a day is held, in words that continue after "it"; and its figures if the answer were accepted."""

    kinds: list[Kind] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    figures: dict[str, int | str] = field(default_factory=dict)

    def add(self, kind: Kind, reason: str) -> None:
        if kind not in self.kinds:
            self.kinds.append(kind)
        self.reasons.append(reason)

    @property
    def why(self) -> str:
        return "; ".join(self.reasons)


class HeldDays(Exception):
    """Days of the load are held, so the transaction must not commit. The pipeline loads the other days."""

    def __init__(self, held: Mapping[date, Held]) -> None:
        self.held = held
        super().__init__(f"{len(held)} days are held")


@dataclass(frozen=True, slots=True)
class HoldChecks:
    """Checks the days of one load. A guard of None holds nothing, because a person accepted it."""

    shrink: ShrinkGuard | None
    rejects: RejectGuard | None
    is_ledger: bool
    by_day: Mapping[int, DayCounts]
    new: NewRejects
    lost: Mapping[date, Sequence[str]]
    moves: Collection[tuple[int, int]]

    def find_held(self) -> dict[date, Held]:
        """Find the days to hold, each with its reasons."""
        found: dict[date, Held] = {}
        for number, counts in sorted(self.by_day.items()):
            day, held = day_of(number), Held()
            self._check_rejects(day, counts, held)
            self._check_shrinkage(day, counts, held)
            if held.kinds:
                found[day] = held
        return self._with_tied(found)

    def _check_rejects(self, day: date, counts: DayCounts, held: Held) -> None:
        if self.rejects is None:
            return
        for what in self.lost.get(day, ()):
            held.add("rejects", what)
        new = self._new_of(day)
        considerable = counts.before and self.rejects.is_exceeded(
            self.new.dated[day].total(), counts.received
        )
        if new and (counts.vanished or considerable):
            held.add("rejects", self._describe_rejects(day, counts, new))

    def _describe_rejects(self, day: date, counts: DayCounts, new: Counter[str]) -> str:
        together = "" if new == self.new.dated[day] else ", in all days asked together"
        return (
            f"has {pluralize(new.total(), 'record')} that cannot be read and that the load before did"
            f" not reject ({self.new.describe(new)}{together}), and would delete"
            f" {counts.vanished:,} of {pluralize(counts.before, 'row')}"
        )

    def _check_shrinkage(self, day: date, counts: DayCounts, held: Held) -> None:
        """Check for lost rows; a rejected record still exists at the vendor, so it is not lost."""
        if self.shrink is None:
            return
        if self.is_ledger:
            if counts.vanished and self._vanished_in_all() > self._new_of(day).total():
                held.add(
                    "shrink",
                    f"had {pluralize(counts.before, 'row')}, {counts.vanished:,} of which the vendor"
                    " no longer lists under any date",
                )
        elif self.shrink.is_exceeded(counts.before, counts.after + self._new_of(day).total()):
            held.add("shrink", f"had {counts.before} rows, came back with {counts.after}")

    def _new_of(self, day: date) -> Counter[str]:
        """New rejects that may be rows of the day; of a ledger any reject may, since its dates can change."""
        dated = self.new.dated
        return (
            sum(dated.values(), Counter()) if self.is_ledger else dated[day]
        ) + self.new.undated[day]

    def _vanished_in_all(self) -> int:
        return sum(counts.vanished for counts in self.by_day.values())

    def _with_tied(self, found: dict[date, Held]) -> dict[date, Held]:
        """Hold days between which a row moved together; else the row would be lost, or be there twice."""
        pairs = [(day_of(a), day_of(b)) for a, b in self.moves]
        todo = list(found)
        while todo:
            day = todo.pop()
            for pair in pairs:
                other = pair[1] if pair[0] == day else pair[0]
                if day in pair and other not in found:
                    found[other] = Held(
                        list(found[day].kinds), [f"has a row that {day} had or has"]
                    )
                    todo.append(other)
        return found


def doubt_reason(
    guard: RejectGuard | None,
    day: date,
    counts: DayCounts,
    new: NewRejects,
    received: int,
    absent: Sequence[str],
) -> str:
    """Why too little of a day's first load could be read; empty: enough was read.

    ``received``: records of the whole window, those without a date included. ``absent``: fields that every
    row of the window lacks.
    """
    if guard is None or counts.before:
        return ""
    dated, undated = new.dated[day], new.undated[day]
    if guard.is_exceeded(dated.total(), counts.received):
        return f"{dated.total():,} of {pluralize(counts.received, 'record')} rejected: {new.describe(dated)}"
    if guard.is_exceeded(undated.total(), received):
        return (
            f"{undated.total():,} of {pluralize(received, 'record')} of all days asked together"
            f" rejected: {new.describe(undated)}"
        )
    if absent and counts.after:
        return f"no record has {', '.join(absent)}: loaded as NULL"
    return ""


class ShapeWatch:
    """Finds fields that lost their value in every row of a day. Create it before rows are changed.

    It looks at the whole window, and in a window of several days at each day of more than ``FEW`` rows too.
    It queries the table only if that many values are missing.
    """

    def __init__(
        self,
        connection: Connection,
        table: Table,
        window: Window,
        rows: Mapping[date, int],
        nulls: Counter[str],
        absent: Counter[str],
        came: str,
    ) -> None:
        self._connection, self._table, self._window = connection, table, window
        self._rows, self._nulls, self._absent, self._came = rows, nulls, absent, came
        self._before: dict[str, dict[date, int]] = {}
        total = sum(rows.values())
        for name, column in table.fields:
            missing = nulls[name] + absent[name]
            days = [day for day, n in rows.items() if n and n <= missing]
            if missing < total:
                days = [] if not table.identity_has_day else [d for d in days if rows[d] > FEW]
            if days:
                self._before[name] = self._values(column, days)

    def find_lost(self) -> dict[date, list[str]]:
        """By day, after the rows were changed: the fields whose values are gone, in words."""
        found: dict[date, list[str]] = {}
        columns = dict(self._table.fields)
        for name, before in self._before.items():
            if not before:
                continue
            after = self._values(columns[name], list(before))
            for day in before.keys() - after.keys():
                found.setdefault(day, []).append(self._describe_loss(name, day, before[day]))
        return found

    def _values(self, column: str, days: Sequence[date]) -> dict[date, int]:
        """By day, how many rows have a value in the column; days without any are left out."""
        day = sql.Identifier(self._table.day_column)
        rows = self._connection.execute(
            sql.SQL(
                "SELECT {day}, count(*) FROM warehouse.{table} WHERE {where}"
                " AND {day} = ANY(%s) AND {column} IS NOT NULL GROUP BY {day}"
            ).format(
                day=day,
                table=sql.Identifier(self._table.name),
                where=window_condition(self._table, self._window),
                column=sql.Identifier(column),
            ),
            (list(days),),
        ).fetchall()
        return {row[0]: int(row[1]) for row in rows}

    def _describe_loss(self, name: str, day: date, before: int) -> str:
        nulls, absent = self._nulls[name], self._absent[name]
        came = "is null" if not absent else "is missing" if not nulls else "is null or missing"
        return (
            f"has no {name} any more: it {came} in all {pluralize(self._rows[day], 'record')},"
            f" and had a value in {pluralize(before, 'row')}"
            f"{self._came and f'; undocumented keys: {self._came}'}"
        )


def find_absent_names(table: Table, rows: int, absent: Counter[str]) -> list[str]:
    """The vendor's fields that every row of the window lacks."""
    return [name for name, _ in table.fields if rows and absent[name] >= rows]


def undocumented_names(counts: Mapping[str, int]) -> str:
    """The first few undocumented keys: a renamed field may be among them."""
    names = [name.partition(":")[2] for name in counts if name.startswith("unknown_key:")]
    return ", ".join(sorted(names)[:NAMES_SHOWN])
