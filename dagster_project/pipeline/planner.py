"""Plan windows: which days to request together, by the rows that they are expected to have.

Grain: one account's days. A call returns a limited number of rows, so consecutive days of few rows are
requested together if that needs fewer calls. Otherwise they are requested singly: a window of one page cannot
contradict itself, and a smaller transaction fails for fewer days.

A day is expected to have its rows of the last load; else its weekday's mean; else the mean of all days; else
its rows are unknown until the window's first page. Unknown days are requested together: that is the cheapest
way to learn their rows.
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
    """The rows that a day is expected to have, and how that is known."""

    rows: int
    basis: Basis


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The limits of windows: the most rows that one call returns (0: each day is a call of its own), and
    the most rows and days to request together."""

    rows_a_call: int
    window_rows: int
    window_days: int

    def calls(self, days: Iterable[Expected]) -> int:
        """How many calls a window of these days is expected to cost."""
        found = list(days)
        if not self.rows_a_call:
            return len(found)
        return max(1, -(-sum(day.rows for day in found) // self.rows_a_call))


def expected_rows(known: Mapping[date, int], days: Collection[date]) -> dict[date, Expected]:
    """The expected rows of each of these days, from the rows of known days."""
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
    """The days in windows of consecutive days, newest first, with the fewest calls.

    At equal cost there are as many windows as possible.
    """
    windows = [window for run in runs_of(expected) for window in _cut_run(run, expected, limits)]
    return sorted(windows, reverse=True)


def _cut_run(
    run: Sequence[date], expected: Mapping[date, Expected], limits: RequestLimits
) -> list[list[date]]:
    """Cut one run of consecutive days into the cheapest windows."""
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
    """The window to request next, and days passed over because the calls left do not suffice for them.

    A window that needs too many calls is cut to its newest days that do not; a single day that needs too
    many is passed over for smaller windows. Empty: the calls left suffice for nothing.
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
    """Chunks of at most ``length`` days, in the order in which they are to be loaded."""
    ordered = sorted(set(days), reverse=newest_first)
    return [sorted(ordered[at : at + length]) for at in range(0, len(ordered), length)]
