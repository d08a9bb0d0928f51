"""Forecast what days would cost: requests, points, nights and minutes, from receipts only.

Grain: one account and the days in question. A day is expected to have its rows of the last load. A day that was
never read is expected to have its weekday's mean, or the mean of all days; the forecast's range follows from how
much these differ, and how few they are. If nothing is known of an account, a *probe* asks the vendor how many
rows a range of days has, one call for up to four hundred days.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, sqrt
from statistics import median, stdev
from typing import Final

from dagster_project.config.settings import Settings
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.window import Account, Window
from dagster_project.pipeline.calls_left import calls_left_of_accounts
from dagster_project.pipeline.due_days import (
    UNSETTLED,
    YESTERDAY,
    Due,
    due_days_of_accounts,
    limits_of,
    read_rows,
)
from dagster_project.pipeline.planner import (
    ENOUGH_OF_A_WEEKDAY,
    Basis,
    Expected,
    chunks_of,
    expected_rows,
    planned_windows,
)
from dagster_project.text.day_runs import runs_of
from dagster_project.warehouse.connection import Connection, Warehouse

PROBES: Final = 12
"""The most calls that a probe may cost an account."""
SURE: Final = 2.0
"""Standard deviations on each side of the expected value."""
ENOUGH_TO_DIFFER: Final = 8
"""The fewest days of a weekday for using its own spread; otherwise that of all days."""
SECONDS_A_REQUEST: Final = 1.0
"""Used if no request of the source was ever timed."""


@dataclass(frozen=True)
class Forecast:
    """What an account's days would cost.

    ``by_rows``: whether the cost depends on rows. ``bases`` counts the days by how their rows are known.
    ``low`` and ``high`` are the range of requests (``high`` None: nothing is known). ``daily_calls`` is a
    day's budget in calls (None: no limit), ``left_today`` what is left of it, and ``nightly_calls`` what the
    nightly runs need of it.
    """

    source: str
    account: str
    days: int
    by_rows: bool
    bases: Mapping[Basis, int]
    rows: int
    requests: int
    low: int
    high: int | None
    points: int
    seconds: float
    timed: bool
    daily_calls: int | None
    left_today: int | None
    nightly_calls: int

    @property
    def fits_today(self) -> bool:
        return self.left_today is None or self.requests <= self.left_today

    @property
    def nights(self) -> int | None:
        """How many nights the nightly runs would need; None: their budget never allows it."""
        if self.daily_calls is None:
            return 1
        room = self.daily_calls - self.nightly_calls
        return ceil(self.requests / room) if room > 0 else None


@dataclass(frozen=True)
class _Known:
    """What the ledger says of an account: rows of its loaded days, its due days, its calls left today."""

    rows: Mapping[date, int]
    due: Due
    calls_left: int | None


def forecasts(
    connection: Connection,
    warehouse: Warehouse,
    feed: Feed,
    settings: Settings,
    accounts: Sequence[Account],
    days: Collection[date],
    counted: Mapping[Account, Mapping[Window, int]],
) -> list[Forecast]:
    """Forecast what these days would cost each account; ``counted`` has the results of probes.

    As many queries for a thousand accounts as for one.
    """
    rows = read_rows(connection, feed.source, accounts)
    due = due_days_of_accounts(connection, warehouse, feed, settings, accounts)
    left = calls_left_of_accounts(feed, settings, connection, accounts)
    pace = _seconds_a_request(connection, feed.source)
    return [
        _forecast(
            feed,
            settings,
            days,
            _Known(rows[of_one.account.label], of_one, left[of_one.account]),
            counted.get(of_one.account, {}),
            pace,
        )
        for of_one in due
    ]


def _forecast(
    feed: Feed,
    settings: Settings,
    days: Collection[date],
    known: _Known,
    counted: Mapping[Window, int],
    pace: tuple[float, bool],
) -> Forecast:
    account = known.due.account
    expected = expected_rows(known.rows, days)
    for window, total in counted.items():
        expected |= _share_out(total, window, expected)
    beside = feed.calls_a_run * len(chunks_of(days, settings.range_days))
    requests = _count_requests(feed, expected)
    low, high = _request_range(feed, expected, requests, known.rows)
    seconds, timed = pace
    daily = feed.daily_calls(settings, account)
    return Forecast(
        source=feed.source,
        account=account.label,
        days=len(days),
        by_rows=feed.rows_a_call > 0,
        bases=dict(Counter(day.basis for day in expected.values())),
        rows=sum(day.rows for day in expected.values()),
        requests=requests + beside,
        low=low + beside,
        high=None if high is None else high + beside,
        points=(requests + beside) * feed.points_a_call,
        seconds=(requests + beside) * seconds,
        timed=timed,
        daily_calls=daily,
        left_today=known.calls_left,
        nightly_calls=_nightly_calls(feed, known),
    )


def windows_to_probe(
    feed: Feed, account: Account, expected: Mapping[date, Expected]
) -> list[Window]:
    """The longest runs of days without a receipt, for one call each."""
    unread = [day for day, rows in expected.items() if rows.basis != "receipt"]
    windows = []
    for run in runs_of(unread):
        for at in range(0, len(run), feed.window_days):
            part = run[at : at + feed.window_days]
            windows.append(Window(part[0], part[-1], account))
    return sorted(windows, key=lambda window: len(window.days), reverse=True)[:PROBES]


def _count_requests(feed: Feed, expected: Mapping[date, Expected]) -> int:
    if feed.query_scope is QueryScope.HISTORY:
        return 1
    limits = limits_of(feed)
    return sum(
        limits.calls(expected[day] for day in window)
        for window in planned_windows(expected, limits)
    )


def _request_range(
    feed: Feed, expected: Mapping[date, Expected], requests: int, known: Mapping[date, int]
) -> tuple[int, int | None]:
    """The fewest and the most requests to expect, by how much the rows of known days differ."""
    unknown = any(day.basis == "unknown" for day in expected.values())
    guessed = [day for day, rows in expected.items() if rows.basis in ("weekday", "mean")]
    if not feed.rows_a_call or not guessed:
        return requests, None if feed.rows_a_call and unknown else requests
    spreads = _spreads(known)
    total = sum(expected[day].rows for day in guessed)
    deviation = SURE * _deviation(Counter(day.weekday() for day in guessed), spreads)
    bounds = []
    for rows in (max(total - deviation, 0.0), total + deviation):
        factor = rows / total if total else 1.0
        scaled = {day: Expected(round(expected[day].rows * factor), "mean") for day in guessed}
        bounds.append(_count_requests(feed, {**expected, **scaled}))
    return bounds[0], None if unknown else bounds[1]


def _share_out(
    total: int, window: Window, expected: Mapping[date, Expected]
) -> dict[date, Expected]:
    """Share the vendor's count of a window out over its days, in proportion to their expected rows."""
    days = [day for day in window.days if day in expected]
    weights = [expected[day].rows or 1 for day in days]
    found, used = {}, 0
    for place, day in enumerate(days, start=1):
        until = round(total * sum(weights[:place]) / sum(weights))
        found[day] = Expected(until - used, "counted")
        used = until
    return found


@dataclass(frozen=True)
class Spread:
    """How much the days of a weekday differ, and how many of them are known."""

    deviation: float
    known: int


def _deviation(guessed: Mapping[int, int], spreads: Mapping[int, Spread]) -> float:
    """The deviation of a sum over days: from the days' spread, and from the error of means of few days."""
    variance = 0.0
    for weekday, days in guessed.items():
        spread = spreads.get(weekday, Spread(0.0, 1))
        variance += spread.deviation**2 * (days + days**2 / max(spread.known, 1))
    return sqrt(variance)


def _spreads(rows: Mapping[date, int]) -> dict[int, Spread]:
    """The spread by weekday."""
    if len(rows) < 2:
        return {}
    by_weekday: dict[int, list[float]] = defaultdict(list)
    for day, count in rows.items():
        by_weekday[day.weekday()].append(float(count))
    overall = stdev(float(count) for count in rows.values())
    found = {}
    for weekday in range(7):
        alike = by_weekday[weekday]
        enough = len(alike) >= ENOUGH_TO_DIFFER
        known = len(alike) if len(alike) >= ENOUGH_OF_A_WEEKDAY else len(rows)
        found[weekday] = Spread(stdev(alike) if enough else overall, known)
    return found


def _seconds_a_request(connection: Connection, source: str) -> tuple[float, bool]:
    """The median of the latest extractions' seconds a request, loading included; False: none was ever timed."""
    rows = connection.execute(
        "SELECT extract(epoch FROM finished_at - started_at)::float / requests"
        " FROM ops.extraction WHERE source = %s AND outcome = 'complete' AND requests > 0"
        " AND finished_at >= started_at ORDER BY extraction_id DESC LIMIT 200",
        (source,),
    ).fetchall()
    if not rows:
        return SECONDS_A_REQUEST, False
    return median(seconds for (seconds,) in rows), True


def _nightly_calls(feed: Feed, known: _Known) -> int:
    """The calls that a night needs for yesterday and the unsettled days."""
    regular = [day for day, why in known.due.days.items() if why in (YESTERDAY, UNSETTLED)]
    if not regular:
        return 1
    return _count_requests(feed, expected_rows(known.rows, regular)) + feed.calls_a_run
