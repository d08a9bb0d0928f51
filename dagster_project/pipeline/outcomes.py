"""What the walk is made of besides its steps: outcomes, cut windows, and failures told safely."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from dagster_project.errors import (
    HeldBack,
    NothingStored,
    TooLittleRead,
    Unexpected,
    WarehouseError,
)
from dagster_project.model.receipt import Extraction, Receipt
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import ONE_DAY, Account, Window
from dagster_project.warehouse.connection import Connection, safe_errors
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.load.day_counts import rejected_figures
from dagster_project.warehouse.load.day_figures import Figure, beside, figures_of
from dagster_project.warehouse.load.day_figures import told as figures_told
from dagster_project.warehouse.load.holds import Held
from dagster_project.warehouse.load.window_load import WindowLoad


@dataclass
class WindowResult:
    """What a walk ended with: receipts of the days that committed, and what went wrong with others.

    ``left`` are days for which the budget had no room; a problem among ``problems`` says so.
    """

    receipts: list[Receipt] = field(default_factory=list)
    problems: list[WarehouseError] = field(default_factory=list)
    stats: ExtractStats = field(default_factory=ExtractStats)
    extractions: list[Extraction] = field(default_factory=list)
    left: list[date] = field(default_factory=list)

    def add(self, other: WindowResult) -> None:
        self.receipts += other.receipts
        self.problems += other.problems
        self.left += other.left
        self.extractions += other.extractions
        self.stats.requests += other.stats.requests
        self.stats.points += other.stats.points
        self.stats.pages += other.stats.pages


DAYS_TOLD = 3
"""Held days of which an error says what they would change; ``warehouse held`` tells of all."""
FEWEST_ABREAST = 2
"""Windows of one account under way at once, however big: one commits while the next one arrives."""
MOST_READING_ROWS = 2
"""Answers being turned into rows at once: each takes memory, and one interpreter."""
MOST_WINDOWS = 8
"""Windows under way at once in a walk, each on two connections."""


class TooManyRows(Exception):
    """The first page told of more rows than one transaction should hold."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        super().__init__(f"{rows} rows")


class Stopped(BaseException):
    """Whoever runs the walk was told to stop: the window under way is given up."""


AfterRows = Callable[[Connection, Account, list[Receipt]], None]
"""What is brought up to date with new rows, inside their transaction."""


def split(window: Window, parts: int) -> list[Window]:
    """The window in at most so many runs of days of about equal length, newest first."""
    days = window.days
    length = max(1, -(-len(days) // parts))
    starts = range(0, len(days), length)
    return [
        Window(days[at], days[min(at + length, len(days)) - 1], window.account)
        for at in reversed(starts)
    ]


def without(window: Window, newest: Window | None) -> list[Window]:
    """What is left of a window without its newest days."""
    if newest is None:
        return [window]
    return [Window(window.first_day, newest.first_day - ONE_DAY, window.account)]


def how_it_ended(error: BaseException) -> tuple[str, str, str | None]:
    """An extraction's outcome, why, and the kind of failure."""
    if isinstance(error, TooManyRows):
        return "split", str(error), None
    if not isinstance(error, Exception):
        return "abandoned", "interrupted", None
    kind = type(error).__name__
    return "failed", str(error)[:2000] if isinstance(error, WarehouseError) else kind, kind


def forget_locals(error: BaseException | None) -> None:
    """Let go of what the frames hold through which an error came, such as the answer that caused it.

    Problems are kept until the end of a run, and answers take megabytes.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


@contextmanager
def error_context(window: Window) -> Iterator[None]:
    """Name the source, account and window in what is raised inside; no row shows in it."""
    account = window.account
    try:
        with told_safely():
            yield
    except WarehouseError as error:
        error.at(source=account.source, account=account.label, window=window)
        raise


@contextmanager
def told_safely(doing: str = "") -> Iterator[None]:
    """What is raised inside says nothing of a row, whether the database raised it or a bug."""
    try:
        with safe_errors(doing):
            yield
    except (WarehouseError, TooManyRows):
        raise
    except Exception as error:  # noqa: BLE001
        # A bug: its message may quote a row, so only its kind and place are told.
        kind = f"unexpected {type(error).__name__} at {_place(error)}."
        raise Unexpected(
            f"{doing}: {kind}" if doing else kind,
            way_out="this is a defect: report it with the lines above; the old rows stand.",
        ) from None


def _place(error: BaseException) -> str:
    """Files and lines of the innermost frames, without any value."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))


def hold(connection: Connection, load: WindowLoad, held: Mapping[date, Held]) -> list[HeldBack]:
    """Note that the new answers for these days are held back; what to raise for them."""
    source, account = load.extraction.source, load.extraction.account
    days = sorted(held)
    standing = figures_of(connection, load.table, load.window, days)
    for receipt in load_receipts.read_receipts(connection, source, account, days):
        standing[receipt.day] |= rejected_figures(receipt.notes.get(load_receipts.REJECTED, {}))
    changes = {day: beside(standing[day], held[day].figures) for day in days}
    for day in days:
        one = held[day]
        load_receipts.hold_day(connection, load.extraction, day, one.why, one.kinds, changes[day])
    spans = [days] if load.lock_whole else _spans_of_kinds(held)
    return [_held_back(load, span, held, changes) for span in spans]


def _spans_of_kinds(held: Mapping[date, Held]) -> list[list[date]]:
    """Runs of neighbouring days that the same options take: a command serves each."""
    spans: list[list[date]] = []
    for day in sorted(held):
        last = spans[-1][-1] if spans else None
        if last is not None and day - last == ONE_DAY and held[last].kinds == held[day].kinds:
            spans[-1].append(day)
        else:
            spans.append([day])
    return spans


def _held_back(
    load: WindowLoad,
    days: list[date],
    held: Mapping[date, Held],
    changes: Mapping[date, Mapping[str, Sequence[Figure]]],
) -> HeldBack:
    """One error for days that one command takes; of many the first few are told."""
    told = [
        f"{f'{day}: ' if len(days) > 1 else ''}it {held[day].why} ({figures_told(changes[day])})"
        for day in days[:DAYS_TOLD]
    ]
    if len(days) > DAYS_TOLD:
        told.append(f"and {len(days) - DAYS_TOLD} more days")
    kinds = dict.fromkeys(kind for day in days for kind in held[day].kinds)
    return HeldBack.of(
        days,
        "; ".join(told),
        list(kinds),
        source=load.extraction.source,
        account=load.extraction.account,
    )


def too_little_read(source: str, account: str, days: Sequence[date], why: str) -> TooLittleRead:
    first, last = min(days), max(days)
    return TooLittleRead(
        f"what could be read of the first load is loaded, but {why}.",
        source=source,
        account=account,
        window=first if first == last else f"{first}..{last}",
        way_out=(
            "look at ops.rejected_record and at the stored responses; once the vendor has mended it,"
            f" run again; once the code reads it: warehouse replay --source {source}"
            f" --account {account} --from {first} --to {last}"
        ),
    )


def nothing_stored(source: str, account: Account, day: date) -> NothingStored:
    return NothingStored(
        "no complete response of this day is stored; its rows stand as they are.",
        source=source,
        account=account.label,
        window=day,
        way_out=(
            f"ask the vendor again: warehouse backfill --source {source}"
            f" --account {account.label} --from {day} --to {day}"
        ),
    )
