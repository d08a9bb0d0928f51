"""The whole installation at a glance: what ``warehouse status`` and the status page both show.

Grain: one ``Health`` a look, one ``AccountHealth`` a source and account; red days of one cause are told
together, each with where it is told and the lines that mend it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Final

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.check_outcome import PLAUSIBLE_VOLUME
from dagster_project.model.feed import Feed
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import ONE_DAY, Account
from dagster_project.monitoring import alarm_outbox, alarm_queue
from dagster_project.monitoring.account_status import AccountStatus, read_account_statuses
from dagster_project.monitoring.alarm import Alarm
from dagster_project.monitoring.lateness import expect_due
from dagster_project.monitoring.red_days import Red
from dagster_project.pipeline.calls_left import calls_within
from dagster_project.pipeline.months import differing_months
from dagster_project.text.remedies import (
    LIST_ALARMS,
    Verb,
    load_commands,
    show_rejects,
    spans_text,
)
from dagster_project.text.wording import pluralize, shorten
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.ledger import load_receipts, owed_days
from dagster_project.warehouse.vendor_store import OneLook

HINTS_SHOWN: Final = 3


@dataclass(frozen=True)
class PointsLeft:
    """API points of the account's present day: spent, set aside by windows under way, and left.

    ``left`` None: not bounded. It counts whole calls.
    """

    spent: int
    held: int
    left: int | None

    def __str__(self) -> str:
        """What is left, as people read it."""
        return "no limit" if self.left is None else f"{self.left:,}"


@dataclass(frozen=True)
class RedDays:
    """Days of one account that are red for one reason, and the lines that mend them."""

    source: str
    account: str
    days: tuple[date, ...]
    why: str
    recorded_in: str
    hints: tuple[str, ...]

    @property
    def shown_days(self) -> str:
        return spans_text(self.days)

    @property
    def hint(self) -> str:
        """All of them in one line."""
        return "; ".join(self.hints)

    @property
    def shown_hints(self) -> list[str]:
        """The first ones; of many, how many more there are."""
        return shorten(self.hints, HINTS_SHOWN, "commands")


@dataclass(frozen=True)
class AccountHealth:
    status: AccountStatus
    points: PointsLeft | None
    requested_left: int
    red_days: tuple[RedDays, ...]
    notices: tuple[str, ...]


Cells = Mapping[str, Callable[[AccountHealth], str]]
"""The columns of a table of accounts, by name."""


@dataclass(frozen=True)
class Health:
    """``left_out``: sources without credentials, with the settings that are missing."""

    taken_at: datetime
    accounts: tuple[AccountHealth, ...]
    left_out: Mapping[str, Sequence[str]]
    alarms: tuple[Alarm, ...]
    undelivered: tuple[tuple[str, int, str | None], ...]

    @property
    def red_days(self) -> list[RedDays]:
        return [entry for account in self.accounts for entry in account.red_days]

    @property
    def red_alarms(self) -> list[Alarm]:
        """Open alarms that nobody acknowledged and that are not muted."""
        return [alarm for alarm in self.alarms if alarm.is_red]

    def columns_to_show(self, cells: Cells, always: Collection[str]) -> list[str]:
        """Those of the columns that say something of any account, and ``always``."""
        return [
            name
            for name, cell in cells.items()
            if name in always
            or any(cell(one) not in ("", "0", "no limit") for one in self.accounts)
        ]

    def summarize(self) -> str:
        """How much is red, in a few words."""
        days = sum(len(entry.days) for entry in self.red_days)
        if not days:
            return "Nothing is red"
        accounts = len({(entry.source, entry.account) for entry in self.red_days})
        return f"{pluralize(days, 'day')} red, of {pluralize(accounts, 'account')}"


def health(
    settings: Settings,
    warehouse: Warehouse,
    connection: Connection,
    sources: Collection[str] = (),
) -> Health:
    """How all sources (or these) stand now; reads the ledger alone, asks no vendor."""
    accounts: list[AccountHealth] = []
    left_out: dict[str, Sequence[str]] = {}
    for feed in FEEDS:
        if sources and feed.source not in sources:
            continue
        if not feed.accounts(settings):
            left_out[feed.source] = settings.missing.get(feed.vendor, ())
            continue
        accounts += _health_of_feed(feed, settings, warehouse, connection)
    return Health(
        taken_at=clock.now(),
        accounts=tuple(accounts),
        left_out=left_out,
        alarms=tuple(alarm_outbox.open_alarms(connection)),
        undelivered=tuple(alarm_queue.undelivered(connection)),
    )


def _health_of_feed(
    feed: Feed, settings: Settings, warehouse: Warehouse, connection: Connection
) -> Iterator[AccountHealth]:
    """How a feed's accounts stand: as many queries for a thousand of them as for one."""
    accounts = feed.accounts(settings)
    expected = [expect_due(feed, one.label, one.time_zone) for one in accounts]
    statuses = read_account_statuses(connection, expected)
    points = _points(feed, settings, connection, accounts)
    ended = {one.label: clock.today(one.time_zone) - ONE_DAY for one in accounts}
    requested = owed_days.count_requested_left(connection, feed.source, ended)
    last_days = {one.account: one.last_day for one in statuses.values() if one.last_day is not None}
    receipts = load_receipts.read_receipts_of_days(connection, feed.source, last_days)
    months = differing_months(connection, feed, accounts)
    store = OneLook(warehouse)
    for account in accounts:
        standing = statuses[feed.source, account.label]
        lost = _lost_days(feed, settings, store, account, standing.gaps)
        notices = list(feed.notices(receipts.get(account.label, [])))
        notices += [
            f"{month.describe()}; way out: {month.hint}" for month in months.get(account.label, ())
        ]
        if lost:
            notices.append(f"the vendor cannot be asked any more for {spans_text(lost)}.")
        yield AccountHealth(
            status=standing,
            points=points.get(account.label),
            requested_left=requested.get(account.label, 0),
            red_days=tuple(_group_red(standing, [d for d in standing.red if d.day not in lost])),
            notices=tuple(notices),
        )


def _lost_days(
    feed: Feed,
    settings: Settings,
    store: VendorStore,
    account: Account,
    gaps: Sequence[date],
) -> list[date]:
    """Missing days that the vendor can no longer be asked for."""
    if not gaps:
        return []
    today = clock.today(account.time_zone)
    askable = set(feed.night_days(settings, store, today, gaps))
    return [day for day in gaps if day not in askable]


def _points(
    feed: Feed, settings: Settings, connection: Connection, accounts: Sequence[Account]
) -> dict[str, PointsLeft]:
    if not feed.points_a_call:
        return {}
    used = load_receipts.read_points_of_accounts(
        connection, {account: clock.today(account.time_zone) for account in accounts}
    )
    found = {}
    for account in accounts:
        calls = calls_within(feed, settings, account, *used[account])
        found[account.label] = PointsLeft(
            *used[account], None if calls is None else calls * feed.points_a_call
        )
    return found


def _group_red(standing: AccountStatus, red: Sequence[Red]) -> list[RedDays]:
    """Red days of one cause together; neighbouring days share a command. The oldest cause comes first."""

    def cause(one: Red) -> tuple[str, str, tuple[str, ...]]:
        return one.remedy, one.why, one.kinds

    found = []
    for _, group in groupby(sorted(red, key=cause), key=cause):
        inside = sorted(group, key=lambda one: one.day)
        days = tuple(dict.fromkeys(one.day for one in inside))
        records = sum(one.records for one in inside)
        recorded = filter(None, (one.recorded_in for one in inside[-3:]))
        found.append(
            RedDays(
                source=standing.source,
                account=standing.account,
                days=days,
                why=f"{pluralize(records, 'record')} {inside[0].why}" if records else inside[0].why,
                recorded_in="; ".join(dict.fromkeys(recorded)),
                hints=tuple(_hints(standing, inside[0], days)),
            )
        )
    return sorted(found, key=lambda entry: entry.days)


def _hints(standing: AccountStatus, red: Red, days: Sequence[date]) -> list[str]:
    """The commands for days of one cause."""
    source, account = standing.source, standing.account
    if red.remedy == "acknowledge":
        return [LIST_ALARMS]
    if red.remedy == "look":
        return [show_rejects(source, account, days[0], days[-1]), LIST_ALARMS]
    verb: Verb = "replay" if red.remedy == "replay" else "backfill"
    commands = load_commands(source, account, days, verb=verb, accept=red.kinds)
    # So few rows may be right: then only a person ends it.
    return [*commands, LIST_ALARMS] if red.check == PLAUSIBLE_VOLUME else commands
