"""The outcomes of a window: a result with its cost, or an error whose message shows no row."""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from dagster_project.errors import (
    NothingStored,
    QuotaSpent,
    TooLittleRead,
    TryLater,
    Unexpected,
    WarehouseError,
)
from dagster_project.model.receipt import Receipt
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import Account, Window
from dagster_project.text.remedies import load_command, spread_command
from dagster_project.text.wording import span_text
from dagster_project.warehouse.pg_errors import safe_errors


@dataclass
class WindowResult:
    """The receipts of committed days, and the problems of others.

    ``left`` are days that the budget did not allow; an error among ``problems`` says so.
    """

    receipts: list[Receipt] = field(default_factory=list)
    problems: list[WarehouseError] = field(default_factory=list)
    stats: ExtractStats = field(default_factory=ExtractStats)
    left: list[date] = field(default_factory=list)


@dataclass
class Cost:
    """What a day's windows cost, one for each account, and how many days they cover.

    ``notes`` are the notes of the vendors' clients.
    """

    requests: int = 0
    points: int = 0
    pages: int = 0
    seconds: float = 0.0
    rows: int = 0
    days: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    def add(self, other: Cost) -> None:
        self.requests += other.requests
        self.points += other.points
        self.pages += other.pages
        self.seconds += other.seconds
        self.rows += other.rows
        self.days = max(self.days, other.days)
        self.notes |= other.notes


@dataclass
class WindowDone(WindowResult):
    """A window's result, and the days that it completed.

    ``days`` has their receipts, one for each account that this run (or the run that it re-executes)
    committed.
    """

    days: dict[date, list[Receipt]] = field(default_factory=dict)
    costs: dict[date, Cost] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def doubts(self) -> list[WarehouseError]:
        """The errors of days whose first load could read too little, one for each account and reason.
        What could be read is committed."""
        days: dict[tuple[str, str, str], list[date]] = defaultdict(list)
        for receipt in self.receipts:
            if receipt.doubt and not receipt.already_there:
                days[receipt.source, receipt.account, receipt.doubt].append(receipt.day)
        return [
            too_little_read_error(source, account, of_reason, why)
            for (source, account, why), of_reason in days.items()
        ]


HEARTBEAT = WindowDone()
"""No window has ended for a while; see ``RunScope``."""


class TooManyRows(Exception):
    """The first page announced more rows than one transaction should hold."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        super().__init__(f"{rows} rows")


class Stopped(BaseException):
    """The run was told to stop; the window under way is abandoned."""


def extraction_outcome(error: BaseException) -> tuple[str, str, str | None]:
    """The outcome, the failure and its kind, of an extraction that ended with this error."""
    if isinstance(error, TooManyRows):
        return "split", str(error), None
    if not isinstance(error, Exception):
        return "abandoned", "interrupted", None
    kind = type(error).__name__
    return "failed", str(error)[:2000] if isinstance(error, WarehouseError) else kind, kind


def forget_locals(error: BaseException | None) -> None:
    """Clear the local variables in an error's traceback, such as the response that caused it.

    Problems are kept until the end of a run, and responses take megabytes.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


@contextmanager
def error_context(window: Window) -> Iterator[None]:
    """Add source, account and window to errors raised inside, and keep rows out of them."""
    account = window.account
    try:
        with raise_safe_errors():
            yield
    except WarehouseError as error:
        error.add_context(source=account.source, account=account.label, window=window)
        raise


@contextmanager
def raise_safe_errors(doing: str = "") -> Iterator[None]:
    """Replace errors raised inside, Postgres' or a bug's, by errors that quote no row."""
    try:
        with safe_errors(doing):
            yield
    except (WarehouseError, TooManyRows):
        raise
    except Exception as error:  # noqa: BLE001
        # A bug: its message may quote a row, so only its kind and location are shown.
        kind = f"unexpected {type(error).__name__} at {_code_location(error)}."
        raise Unexpected(
            f"{doing}: {kind}" if doing else kind,
            hint="this is a defect: report it with the lines above; the old rows stand.",
        ) from None


def _code_location(error: BaseException) -> str:
    """The files and lines of an error's innermost frames, without any value."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))


def too_little_read_error(
    source: str, account: str, days: Sequence[date], why: str
) -> TooLittleRead:
    """The error of a first load of which suspiciously little could be read."""
    first, last = min(days), max(days)
    return TooLittleRead(
        f"what could be read of the first load is loaded, but {why}.",
        source=source,
        account=account,
        window=span_text(days),
        hint=(
            "look at ops.rejected_record and at the stored responses; once the vendor has mended it,"
            " run again; once the code reads it:"
            f" {load_command(source, account, first, last, verb='replay')}"
        ),
    )


def nothing_stored_error(source: str, account: Account, day: date) -> NothingStored:
    """The error of a day that cannot be replayed."""
    return NothingStored(
        "no complete response of this day is stored; its rows stay as they are.",
        source=source,
        account=account.label,
        window=day,
        hint=f"ask the vendor again: {load_command(source, account.label, day, day)}",
    )


def no_points_error(
    account: Account, left: Sequence[date], refusal: WarehouseError | None, setting: str
) -> QuotaSpent:
    """The one error for all days of an account that the budget did not allow.

    ``setting``: the setting that limits the budget.
    """
    days = "1 day does" if len(left) == 1 else f"{len(left)} days do"
    what = refusal.what if refusal else f"{days} not fit into what is left of today's points."
    return QuotaSpent(
        what,
        source=account.source,
        account=account.label,
        window=Window(min(left), max(left), account),
        hint=(
            f"run again after midnight {account.time_zone.key}, raise {setting}, or"
            " let the nightly runs do it:"
            f" {spread_command(account.source, account.label, min(left), max(left))}"
        ),
    )


def vendor_down_error(account: Account, windows: int, last: WarehouseError) -> TryLater:
    """The error of an account whose other windows were not requested, after so many failures in a row."""
    return TryLater(
        f"{windows} windows in a row failed, and the account's other days of this run"
        f" were not asked for. The last of them: {last.what}",
        source=account.source,
        account=account.label,
        hint="run again later; a nightly run takes what is missing by itself.",
    )
