"""Whether an account is late: the one place that decides which days should be loaded and are not.

Grain: a source and account. A day is *due* once a night could have loaded it: ``DUE_AFTER`` its end.
Due days from the first loaded one on that have no receipt are *missing*; where one answer tells of all
days (the whole history), from the day of the last answer. An account is *late* when its newest due day
is missing. Status, metrics, the check ``fresh`` and Prometheus' alerts go by this, ``bi`` by the same in
SQL (``mart.due_until``); the alarm waits longer, as ``ALARM_OVERDUE_HOURS`` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import ONE_DAY, Account
from dagster_project.warehouse.connection import Connection

DUE_AFTER: Final = timedelta(hours=6)
"""How long after its end a day is due: the nights begin in the third hour, and take their time."""


@dataclass(frozen=True)
class Expected:
    """The newest day that an account should have by now; ``ended``: the newest that is over, due or not."""

    source: str
    account: str
    due: date
    whole_history: bool = False
    ended: date | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.source, self.account


@dataclass(frozen=True)
class Lateness:
    """How far an account's days reach. ``newest`` is None where nothing was ever loaded."""

    due: date
    newest: date | None
    missing: tuple[date, ...]

    @property
    def is_late(self) -> bool:
        return self.newest is None or self.newest < self.due


def due_until(zone: ZoneInfo, at: datetime) -> date:
    """The newest day of a zone that is due at an instant."""
    return (at - DUE_AFTER).astimezone(zone).date() - ONE_DAY


def expect_due(feed: Feed, account: str, zone: ZoneInfo) -> Expected:
    """An account that should have every day which a night could have loaded by now."""
    expected = _expected(feed, account, due_until(zone, clock.now()))
    return replace(expected, ended=clock.today(zone) - ONE_DAY)


def expect_askable(
    feed: Feed, settings: Settings, store: VendorStore, account: Account, patience: timedelta
) -> Expected:
    """An account of which is due what a night that began so long ago could ask the vendor for.

    Where the vendor answers for today alone, that is today.
    """
    today = (clock.now() - patience).astimezone(account.time_zone).date()
    askable = feed.night_days(settings, store, today, [today - ONE_DAY])
    return _expected(feed, account.label, min(askable))


def _expected(feed: Feed, account: str, due: date) -> Expected:
    return Expected(feed.source, account, due, feed.query_scope is QueryScope.HISTORY)


def lateness(
    connection: Connection, accounts: Iterable[Expected]
) -> Mapping[tuple[str, str], Lateness]:
    """How late these accounts are, by source and account."""
    asked = list(accounts)
    rows = connection.execute(
        # Where as many days stand as lie between, none of them has to be looked for.
        "SELECT x.source, x.account, x.due, greatest(s.newest, s.told_until - 1), CASE"
        " WHEN s.told_until IS NULL AND s.until_due = x.due - s.first + 1 THEN '{}' ELSE ARRAY("
        "  SELECT g.day::date FROM generate_series("
        "   coalesce(s.told_until, s.first), x.due, '1 day') AS g(day)"
        "  WHERE NOT EXISTS (SELECT FROM ops.day_state d WHERE d.source = x.source"
        "   AND d.account = x.account AND d.day = g.day::date) ORDER BY g.day) END"
        " FROM unnest(%s::text[], %s::text[], %s::date[], %s::boolean[])"
        "  AS x(source, account, due, whole_history),"
        " LATERAL (SELECT min(d.day) AS first, max(d.day) AS newest,"
        "  count(*) FILTER (WHERE d.day <= x.due) AS until_due, CASE WHEN x.whole_history THEN"
        "   (SELECT max(e.last_day) FROM ops.extraction e WHERE e.extraction_id IN"
        "    (SELECT extraction_id FROM ops.day_state WHERE source = x.source"
        "     AND account = x.account)) END AS told_until"
        "  FROM ops.day_state d WHERE d.source = x.source AND d.account = x.account) s",
        (
            [one.source for one in asked],
            [one.account for one in asked],
            [one.due for one in asked],
            [one.whole_history for one in asked],
        ),
    )
    return {(row[0], row[1]): Lateness(row[2], row[3], tuple(row[4])) for row in rows}
