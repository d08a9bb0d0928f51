"""Find the days of an account that are due tonight, from the ledger only.

Grain: an account and a night; a night begins at the account's midnight. Yesterday is due, every unsettled
day, and every owed day (``warehouse.ledger.owed_days``). A day that was already read tonight is not due
again, so a later tick, run or person requests only what is left.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.window import ONE_DAY, Account, midnight
from dagster_project.pipeline.calls_left import calls_left
from dagster_project.pipeline.planner import Expected, RequestLimits, expected_rows, next_window
from dagster_project.text.day_runs import runs_of
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.ledger import owed_days
from dagster_project.warehouse.vendor_store import WarehouseStore

YESTERDAY = "yesterday"
TODAY = "today"
UNSETTLED = "not settled"
MISSED = "missed"
WANTED = "asked for"
FAILED = "failed before"


@dataclass(frozen=True)
class Due:
    """The due days of one account, newest first, each with its reason."""

    account: Account
    days: dict[date, str] = field(default_factory=dict)

    @property
    def newest(self) -> date | None:
        return next(iter(self.days), None)


@dataclass(frozen=True)
class _State:
    rows: int
    settled: bool
    observed_at: datetime


def due_days(
    connection: Connection,
    warehouse: Warehouse,
    feed: Feed,
    settings: Settings,
    account: Account,
) -> Due:
    """Find the days of one account that are due tonight."""
    now, today = clock.now(), clock.today(account.time_zone)
    tonight = midnight(today, account.time_zone)
    states = _read_states(connection, account)
    reasons = _find_reasons(connection, feed, settings, account, today, states)
    possible = feed.night_days(settings, WarehouseStore(warehouse), today, reasons)
    due = {}
    for day in sorted(possible, reverse=True):
        state = states.get(day)
        if day < settings.start_date:
            continue
        # A state from the future was dated by a clock that is ahead: it proves nothing.
        is_fresh = (
            state is not None and tonight <= state.observed_at <= now + clock.CLOCKS_MAY_DIFFER
        )
        if state is None or not (state.settled or is_fresh):
            due[day] = reasons.get(day, TODAY)
    return Due(account, due)


def _find_reasons(
    connection: Connection,
    feed: Feed,
    settings: Settings,
    account: Account,
    today: date,
    states: dict[date, _State],
) -> dict[date, str]:
    """Find the days that may be due, with the reason; later assignments take precedence."""
    yesterday = today - ONE_DAY
    first = settings.start_date
    reasons: dict[date, str] = {}
    if feed.query_scope is not QueryScope.HISTORY:
        failed = owed_days.failed_ranges(connection, account)
        reasons |= dict.fromkeys(owed_days.days_within(failed, first, yesterday), FAILED)
    asked = owed_days.requested_backfills(connection, account.source, account.label)
    wanted = owed_days.days_within(((w.first_day, w.last_day) for w in asked), first, yesterday)
    reasons |= dict.fromkeys(wanted, WANTED)
    since = owed_days.started_on(connection, account)
    if since is not None:
        missed = owed_days.days_within([(since, yesterday)], first, yesterday)
        reasons |= dict.fromkeys(missed, MISSED)
    reasons = {day: why for day, why in reasons.items() if day not in states}
    unsettled = (day for day, state in states.items() if not state.settled)
    return {**reasons, **dict.fromkeys(unsettled, UNSETTLED), yesterday: YESTERDAY}


def _read_states(connection: Connection, account: Account) -> dict[date, _State]:
    rows = connection.execute(
        "SELECT day, rows, settled, observed_at FROM ops.day_state"
        " WHERE source = %s AND account = %s",
        (account.source, account.label),
    ).fetchall()
    return {row[0]: _State(int(row[1]), row[2], row[3]) for row in rows}


def limits_of(feed: Feed) -> RequestLimits:
    """The limits of this feed's windows, with a margin, since days differ from what is expected."""
    return RequestLimits(feed.rows_a_call, feed.window_rows * 3 // 4, feed.window_days)


def expect_rows(
    connection: Connection, account: Account, days: Collection[date]
) -> dict[date, Expected]:
    """The rows that these days are expected to have, by the account's loaded days."""
    known = {day: state.rows for day, state in _read_states(connection, account).items()}
    return expected_rows(known, days)


def fitting_days(
    connection: Connection, feed: Feed, settings: Settings, due: Due
) -> tuple[set[date], set[date]]:
    """Divide a night's days into those that the account's budget allows, and those for another night.

    The newest is always among the first: if the budget does not allow even that day, its run reports it.
    """
    left = calls_left(feed, settings, connection, due.account)
    if left is None or not due.days:
        return set(due.days), set()
    limits = limits_of(feed)
    rest = expect_rows(connection, due.account, due.days)
    taken: set[date] = {max(due.days)}
    while rest:
        window, _ = next_window(rest, limits, left)
        if not window:
            break
        left -= limits.calls(rest[day] for day in window)
        taken.update(window)
        rest = {day: rows for day, rows in rest.items() if day not in window}
    return taken, set(due.days) - taken


def ranges_of(feed: Feed, days: Collection[date], length: int) -> list[tuple[date, date]]:
    """The ranges of days for the runs, newest first; a whole history is one range."""
    if not days:
        return []
    if feed.query_scope is QueryScope.HISTORY:
        return [(min(days), max(days))]
    ranges = []
    for run in runs_of(days):
        for at in range(len(run), 0, -length):
            ranges.append((run[max(0, at - length)], run[at - 1]))
    return sorted(ranges, reverse=True)
