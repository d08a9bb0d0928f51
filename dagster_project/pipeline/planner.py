"""Which days go into one request window, told from how many rows they are expected to hold.

Grain: one account's days. A call answers with so many rows at most, so neighbouring days of few rows
are asked for together where that costs fewer calls; where it costs the same they are asked singly:
a window of one page cannot contradict itself, and a smaller transaction fails for fewer days.

How many rows a day holds is what it held when it was last read; else what its weekday usually holds,
else what any day does; else it is unknown, and the window's first page will tell. Unknown days are
asked for together, as many as there are: the cheapest question that tells how many rows they hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from dagster_project.text.day_runs import runs_of

Basis = Literal["receipt", "counted", "weekday", "mean", "unknown"]
ENOUGH_OF_A_WEEKDAY = 3


@dataclass(frozen=True, slots=True)
class Expected:
    """Rows that a day is expected to hold, and what that is known from."""

    rows: int
    basis: Basis


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Of windows: rows that a call answers with at most (0: each day is a call of its own), and
    the rows and days that are to be asked for together at most."""

    rows_a_call: int
    window_rows: int
    window_days: int

    def calls(self, days: Iterable[Expected]) -> int:
        """Calls that a window of these days is expected to cost."""
        found = list(days)
        if not self.rows_a_call:
            return len(found)
        return max(1, -(-sum(day.rows for day in found) // self.rows_a_call))


def expected_rows(known: Mapping[date, int], days: Collection[date]) -> dict[date, Expected]:
    """For each of these days, from the rows of days that are known."""
    by_weekday: dict[int, list[int]] = defaultdict(list)
    for day, rows in known.items():
        by_weekday[day.weekday()].append(rows)
    mean = round(sum(known.values()) / len(known)) if known else 0
    fallback = Expected(mean, "mean" if known else "unknown")
    found = {}
    for day in days:
        alike = by_weekday[day.weekday()]
        if day in known:
            found[day] = Expected(known[day], "receipt")
        elif len(alike) >= ENOUGH_OF_A_WEEKDAY:
            found[day] = Expected(round(sum(alike) / len(alike)), "weekday")
        else:
            found[day] = fallback
    return found


def planned_windows(expected: Mapping[date, Expected], limits: RequestLimits) -> list[list[date]]:
    """These days in windows of neighbouring days, newest first, at the fewest calls.

    At equal cost there are as many windows as can be.
    """
    windows = [window for run in runs_of(expected) for window in _cut_run(run, expected, limits)]
    return sorted(windows, reverse=True)


def _cut_run(
    run: Sequence[date], expected: Mapping[date, Expected], limits: RequestLimits
) -> list[list[date]]:
    """One run of neighbouring days, cut where it is cheapest."""
    if not limits.rows_a_call:
        return [[day] for day in run]
    cheapest: list[tuple[int, int, int]] = [(0, 0, 0)]
    for end in range(1, len(run) + 1):
        rows = 0
        options = []
        for begin in range(end - 1, max(-1, end - 1 - limits.window_days), -1):
            rows += expected[run[begin]].rows
            if rows > limits.window_rows and begin < end - 1:
                break
            calls = max(1, -(-rows // limits.rows_a_call))
            before = cheapest[begin]
            options.append((before[0] + calls, before[1] - 1, begin))
        cheapest.append(min(options))
    windows = []
    end = len(run)
    while end:
        begin = cheapest[end][2]
        windows.append(list(run[begin:end]))
        end = begin
    return windows


def next_window(
    expected: Mapping[date, Expected],
    limits: RequestLimits,
    calls_left: int | None,
    *,
    newest_first: bool = True,
) -> tuple[list[date], list[date]]:
    """The window to ask for next, and days passed over because the calls left do not suffice for them.

    A window that does not fit is cut to its newest days that do; smaller ones that fit go before a
    day that alone is too much. Empty: nothing fits.
    """
    windows = planned_windows(expected, limits)
    passed: list[date] = []
    if calls_left is not None and calls_left < 1:
        return [], sorted(expected)
    for window in windows if newest_first else reversed(windows):
        rest = list(window)
        while rest:
            fitting = _newest_that_fit(rest, expected, limits, calls_left)
            if fitting:
                return fitting, passed
            passed.append(rest.pop())
    return [], passed


def _newest_that_fit(
    window: Sequence[date],
    expected: Mapping[date, Expected],
    limits: RequestLimits,
    calls_left: int | None,
) -> list[date]:
    if calls_left is None:
        return list(window)
    fitting: list[date] = []
    for day in reversed(window):
        if limits.calls(expected[d] for d in [*fitting, day]) > calls_left:
            break
        fitting.insert(0, day)
    return fitting


def chunks_of(
    days: Collection[date], length: int, *, newest_first: bool = True
) -> list[list[date]]:
    """Chunks of at most ``length`` days in the order they are to be taken."""
    ordered = sorted(set(days), reverse=newest_first)
    return [sorted(ordered[at : at + length]) for at in range(0, len(ordered), length)]
