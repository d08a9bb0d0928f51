"""Find the days of accounts that are due tonight, from the ledger only.

Grain: an account and a night; a night begins at the account's midnight. Yesterday is due, every unsettled
day, and every owed day (``warehouse.ledger.owed_days``). A day that was already read tonight is not due
again, so a later tick, run or person requests only what is left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import ONE_DAY, Account, each_day, midnight
from dagster_project.pipeline.planner import Expected, RequestLimits, expected_rows, next_window
from dagster_project.text.day_runs import runs_of
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.ledger import owed_days
from dagster_project.warehouse.vendor_store import OneLook

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


@dataclass
class _LoadedDays:
    """The days of an account that have a receipt; of unsettled ones, when the vendor was asked."""

    settled: set[date] = field(default_factory=set)
    unsettled: dict[date, datetime] = field(default_factory=dict)

    def __contains__(self, day: date) -> bool:
        return day in self.settled or day in self.unsettled


@dataclass(frozen=True)
class _Owed:
    """What makes days of one account due, other than that they are not settled."""

    failed: Sequence[tuple[date, date]]
    asked: Sequence[tuple[date, date]]
    since: date | None


def due_days(
    connection: Connection,
    warehouse: Warehouse,
    feed: Feed,
    settings: Settings,
    account: Account,
) -> Due:
    """Find the days of one account that are due tonight."""
    [due] = due_days_of_accounts(connection, warehouse, feed, settings, [account])
    return due


def due_days_of_accounts(
    connection: Connection,
    warehouse: Warehouse,
    feed: Feed,
    settings: Settings,
    accounts: Sequence[Account],
) -> list[Due]:
    """The same for several accounts of a feed: as many queries for a thousand as for one."""
    loaded = _read_loaded_days(connection, feed.source, accounts)
    owed = _read_owed(connection, feed, accounts)
    store = OneLook(warehouse)
    return [
        _due_of(feed, settings, store, one, loaded[one.label], owed[one.label]) for one in accounts
    ]


def _due_of(
    feed: Feed,
    settings: Settings,
    store: VendorStore,
    account: Account,
    loaded: _LoadedDays,
    owed: _Owed,
) -> Due:
    now, today = clock.now(), clock.today(account.time_zone)
    tonight = midnight(today, account.time_zone)
    reasons = _find_reasons(settings.start_date, today - ONE_DAY, loaded, owed)
    possible = feed.night_days(settings, store, today, reasons)
    due = {}
    for day in sorted(possible, reverse=True):
        if day < settings.start_date or day in loaded.settled:
            continue
        observed_at = loaded.unsettled.get(day)
        # A state from the future was dated by a clock that is ahead: it proves nothing.
        if observed_at is None or not tonight <= observed_at <= now + clock.CLOCKS_MAY_DIFFER:
            due[day] = reasons.get(day, TODAY)
    return Due(account, due)


def _find_reasons(
    first: date, yesterday: date, loaded: _LoadedDays, owed: _Owed
) -> dict[date, str]:
    """Find the days that may be due, with the reason; later assignments take precedence."""
    missed = [] if owed.since is None else [(owed.since, yesterday)]
    reasons: dict[date, str] = {}
    for ranges, why in ((owed.failed, FAILED), (owed.asked, WANTED), (missed, MISSED)):
        reasons |= dict.fromkeys(owed_days.days_within(ranges, first, yesterday), why)
    reasons = {day: why for day, why in reasons.items() if day not in loaded}
    return {**reasons, **dict.fromkeys(loaded.unsettled, UNSETTLED), yesterday: YESTERDAY}


def _read_owed(connection: Connection, feed: Feed, accounts: Sequence[Account]) -> dict[str, _Owed]:
    labels = [account.label for account in accounts]
    is_history = feed.query_scope is QueryScope.HISTORY
    failed = {} if is_history else owed_days.failed_ranges(connection, feed.source, labels)
    asked = owed_days.requested_backfills(connection, feed.source, labels)
    since = owed_days.first_days(connection, accounts)
    return {
        account.label: _Owed(
            failed.get(account.label, []),
            asked.get(account.label, []),
            since.get(account),
        )
        for account in accounts
    }


def _read_loaded_days(
    connection: Connection, source: str, accounts: Iterable[Account]
) -> Mapping[str, _LoadedDays]:
    """By account; settled days come as ranges, of which there are few however long an account is loaded."""
    found = {account.label: _LoadedDays() for account in accounts}
    for label, first, last, observed_at in connection.execute(
        "SELECT account, min(day), max(day), CASE WHEN NOT settled THEN max(observed_at) END"
        " FROM (SELECT account, day, settled, observed_at, day - (row_number() OVER"
        "   (PARTITION BY account, settled ORDER BY day))::int AS before"
        "  FROM ops.day_state WHERE source = %s AND account = ANY(%s)) s"
        " GROUP BY account, settled, CASE WHEN settled THEN before ELSE day END",
        (source, list(found)),
    ):
        if observed_at is None:
            found[label].settled.update(each_day(first, last))
        else:
            found[label].unsettled[first] = observed_at
    return found


def limits_of(feed: Feed) -> RequestLimits:
    """The limits of this feed's windows, with a margin, since days differ from what is expected."""
    return RequestLimits(feed.rows_a_call, feed.window_rows * 3 // 4, feed.window_days)


def read_rows(
    connection: Connection, source: str, accounts: Iterable[Account]
) -> Mapping[str, dict[date, int]]:
    """By account, the rows of each loaded day."""
    labels = [account.label for account in accounts]
    rows = connection.execute(
        "SELECT account, array_agg(day), array_agg(rows) FROM ops.day_state"
        " WHERE source = %s AND account = ANY(%s) GROUP BY account",
        (source, labels),
    )
    found = {label: dict(zip(days, counts, strict=True)) for label, days, counts in rows}
    return {label: found.get(label, {}) for label in labels}


def expect_rows(
    connection: Connection, account: Account, days: Collection[date]
) -> dict[date, Expected]:
    """The rows that these days are expected to have, by the account's loaded days."""
    return expected_rows(read_rows(connection, account.source, [account])[account.label], days)


def fitting_days(
    feed: Feed, due: Due, known: Mapping[date, int], calls_left: int | None
) -> tuple[set[date], set[date]]:
    """Divide a night's days into those that the account's budget allows, and those for another night.

    The newest is always among the first: if the budget does not allow even that day, its run reports it.
    ``known``: the rows of loaded days; not looked at without a limit.
    """
    if calls_left is None or not due.days:
        return set(due.days), set()
    limits = limits_of(feed)
    rest = expected_rows(known, due.days)
    taken: set[date] = {max(due.days)}
    while rest:
        window, _ = next_window(rest, limits, calls_left)
        if not window:
            break
        calls_left -= limits.calls(rest[day] for day in window)
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
