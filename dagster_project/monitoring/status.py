"""The whole installation at a glance: what ``warehouse status`` and the status page both show.

Grain: one ``Health`` a look, one ``AccountHealth`` a source and account; red days of one cause are told
together, each with where it is told and the one line that mends it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed
from dagster_project.model.window import ONE_DAY, Account, each_day
from dagster_project.monitoring import alarm_outbox
from dagster_project.monitoring.account_status import AccountStatus, Red, read_account_status
from dagster_project.monitoring.alarm_outbox import Alarm
from dagster_project.monitoring.lateness import expect_due
from dagster_project.pipeline.calls_left import calls_left
from dagster_project.pipeline.reconcile import months_of_account
from dagster_project.text.day_runs import runs_of
from dagster_project.text.remedies import load_command, spans_text
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.ledger import load_receipts, owed_days
from dagster_project.warehouse.vendor_store import WarehouseStore


@dataclass(frozen=True)
class PointsLeft:
    """API points of the account's present day: spent, set aside by windows under way, and left.

    ``left`` None: not bounded. It counts whole calls.
    """

    spent: int
    held: int
    left: int | None


@dataclass(frozen=True)
class RedDays:
    """Days of one account that are red for one reason, and the line that mends them."""

    source: str
    account: str
    days: tuple[date, ...]
    why: str
    recorded_in: str
    hint: str

    @property
    def shown_days(self) -> str:
        return spans_text(self.days)


@dataclass(frozen=True)
class AccountHealth:
    status: AccountStatus
    points: PointsLeft | None
    requested_left: int
    red_days: tuple[RedDays, ...]
    notices: tuple[str, ...]


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
        accounts += [
            _account_health(feed, settings, warehouse, connection, account)
            for account in feed.accounts(settings)
        ]
    return Health(
        taken_at=clock.now(),
        accounts=tuple(accounts),
        left_out=left_out,
        alarms=tuple(alarm_outbox.open_alarms(connection)),
        undelivered=tuple(alarm_outbox.undelivered(connection)),
    )


def _account_health(
    feed: Feed, settings: Settings, warehouse: Warehouse, connection: Connection, account: Account
) -> AccountHealth:
    today = clock.today(account.time_zone)
    expected = expect_due(feed, account.label, account.time_zone)
    standing = read_account_status(connection, expected)
    askable = set(feed.night_days(settings, WarehouseStore(warehouse), today, standing.gaps))
    lost = [day for day in standing.gaps if day not in askable]
    receipts = load_receipts.read_receipts(
        connection, feed.source, account.label, [standing.last_day] if standing.last_day else []
    )
    notices = list(feed.notices(receipts))
    notices += [
        f"{month.describe()}; way out: {month.hint}"
        for month in months_of_account(connection, feed, account)
        if month.state == "differs"
    ]
    if lost:
        notices.append(f"the vendor cannot be asked any more for {spans_text(lost)}.")
    red = [one for one in standing.red if one.day not in lost]
    return AccountHealth(
        status=standing,
        points=_points(feed, settings, connection, account),
        requested_left=_requested_left(connection, standing, account, today - ONE_DAY),
        red_days=tuple(_group_red(standing, red)),
        notices=tuple(notices),
    )


def _points(
    feed: Feed, settings: Settings, connection: Connection, account: Account
) -> PointsLeft | None:
    if not feed.points_a_call:
        return None
    spent, held = load_receipts.read_points(connection, account, clock.today(account.time_zone))
    calls = calls_left(feed, settings, connection, account)
    return PointsLeft(spent, held, None if calls is None else calls * feed.points_a_call)


def _requested_left(
    connection: Connection, standing: AccountStatus, account: Account, until: date
) -> int:
    """Days that a person asked the nights for and that no receipt tells of yet."""
    wishes = owed_days.requested_backfills(connection, account.source, account.label)
    days = {day for wish in wishes for day in each_day(wish.first_day, min(wish.last_day, until))}
    if not days:
        return 0
    return len(
        days
        - load_receipts.day_states(connection, standing.source, standing.account, [*days]).keys()
    )


def _group_red(standing: AccountStatus, red: Sequence[Red]) -> Iterator[RedDays]:
    """Red days of one cause together; neighbouring days share a command."""

    def cause(one: Red) -> tuple[str, str, tuple[str, ...]]:
        return one.remedy, one.why, one.kinds

    for (_, why, _), group in groupby(sorted(red, key=cause), key=cause):
        of_cause = sorted(group, key=lambda one: one.day)
        for run in runs_of([one.day for one in of_cause]):
            inside = [one for one in of_cause if one.day in run]
            yield RedDays(
                source=standing.source,
                account=standing.account,
                days=tuple(run),
                why=why,
                recorded_in="; ".join(
                    dict.fromkeys(filter(None, (one.recorded_in for one in inside[-3:])))
                ),
                hint=load_command(
                    standing.source,
                    standing.account,
                    run[0],
                    run[-1],
                    verb="replay" if inside[0].remedy == "replay" else "backfill",
                    accept=inside[0].kinds,
                ),
            )
