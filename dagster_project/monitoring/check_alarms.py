"""Alarms of what the ledger says: checks that do not pass, months that differ, accounts without data.

Each is a cause (a check of a source, accounts that are late) with all that it concerns now; what is told
of it, and when again, is decided by ``alarm_outbox``. Days from before an account's first load are
history: of their checks an alarm is kept and told nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from dagster_project import clock
from dagster_project.feeds import FEEDS
from dagster_project.model.check_outcome import (
    DATES_INSIDE,
    KNOWN_VALUES,
    MONTH_ADDS_UP,
    NO_REJECTS,
    READABLE,
)
from dagster_project.model.feed import Feed
from dagster_project.model.window import ONE_DAY, Account, each_day
from dagster_project.monitoring import alarm_outbox
from dagster_project.monitoring.alarm import Alarm, Pair
from dagster_project.monitoring.lateness import expect_askable, lateness
from dagster_project.monitoring.mending import Ledger, mending_commands, replay_mends
from dagster_project.pipeline.months import differing_months
from dagster_project.text.remedies import show_rejects, spans_text
from dagster_project.text.wording import shorten
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger import owed_days
from dagster_project.warehouse.ledger.check_outcomes import FailingCheck, failing_checks
from dagster_project.warehouse.vendor_store import OneLook

SAID_SHOWN: Final = 3
"""So many different sentences of a check are told."""


def check_alarms(ledger: Ledger) -> list[Alarm]:
    """What every check says now that does not pass, an alarm a check and source."""
    alarms: list[Alarm] = []
    for feed in FEEDS:
        accounts = {account.label: account for account in feed.accounts(ledger.settings)}
        failing = [
            one for one in failing_checks(ledger.connection, feed.source) if one.account in accounts
        ]
        groups: dict[tuple[str, str, bool], list[FailingCheck]] = defaultdict(list)
        starts = first_days(
            ledger.connection, [accounts[label] for label in {f.account for f in failing}]
        )
        for one in _each_cause_once(failing):
            is_old = is_history(starts, one.account, one.day)
            groups[one.check_name, one.severity, is_old].append(one)
        for (_, _, is_old), of_check in groups.items():
            alarms.append(_check_alarm(ledger, feed, of_check, is_old))
        alarms += _month_alarms(ledger, feed)
    return alarms


def note_alarms(
    connection: Connection, kind: str, alarms: Sequence[Alarm], channels: Sequence[str]
) -> int:
    """Note all alarms of a kind that there are now; those that are not among them are over. How many are new."""
    standing = {alarm.subject for alarm in alarms}
    over = [
        alarm.subject
        for alarm in alarm_outbox.open_alarms(connection, limit=10_000)
        if alarm.kind == kind and alarm.subject not in standing
    ]
    alarm_outbox.resolve(connection, over)
    return alarm_outbox.raise_alarms(connection, alarms, channels)


def _each_cause_once(failing: Sequence[FailingCheck]) -> list[FailingCheck]:
    """Without checks whose cause another check of the day tells."""
    unreadable = {(one.account, one.day) for one in failing if one.check_name == READABLE}
    return [
        one
        for one in failing
        if one.check_name != DATES_INSIDE  # those records are rejected, too
        and not (one.check_name == NO_REJECTS and (one.account, one.day) in unreadable)
    ]


def _check_alarm(
    ledger: Ledger, feed: Feed, failing: Sequence[FailingCheck], is_old: bool
) -> Alarm:
    first = failing[0]
    pairs = [(one.account, one.day) for one in failing]
    days = sorted({day for _, day in pairs})
    causes = {cause for one in failing for cause in one.causes}
    subject = f"check/{feed.source}/{first.check_name}/{first.severity}"
    return Alarm(
        subject=f"{subject}/history" if is_old else subject,
        kind="check_failed",
        severity=first.severity,
        source=feed.source,
        accounts=sorted({account for account, _ in pairs}),
        days=days,
        what=_what(feed, failing, days),
        hint=_hints(ledger, feed, first.check_name, pairs),
        message_group=subject,
        causes=sorted(causes or {account for account, _ in pairs}),
        pairs=pairs,
        is_whole=True,
        is_quiet=is_old,
    )


def _what(feed: Feed, failing: Sequence[FailingCheck], days: Sequence[date]) -> str:
    name = failing[0].check_name
    said = list(dict.fromkeys(one.said for one in reversed(failing)))
    text = f"check {name} of {spans_text(days)}: {'; '.join(shorten(said, SAID_SHOWN))}."
    if name == NO_REJECTS:
        accounts = sorted({one.account for one in failing})
        account = accounts[0] if len(accounts) == 1 else None
        return f"{text} Look at them: {show_rejects(feed.source, account, days[0], days[-1])}"
    if name == KNOWN_VALUES:
        return f"{text} A version that knows them reads them from the stored responses."
    return text


def _hints(ledger: Ledger, feed: Feed, name: str, pairs: Sequence[Pair]) -> list[str]:
    """The commands that mend it. What the code cannot read, only another version's replay does."""
    by_account: dict[str, list[date]] = defaultdict(list)
    for label, day in pairs:
        by_account[label].append(day)
    days: dict[Account, Collection[date]] = {
        account: by_account[account.label]
        for account in feed.accounts(ledger.settings)
        if account.label in by_account
    }
    replays: dict[Account, list[str]] = {}
    if name in (NO_REJECTS, KNOWN_VALUES):
        mended = replay_mends(ledger.connection, days)
        replays = mending_commands(ledger, feed, mended, "replay")
        days = {account: {*days[account]} - mended[account] for account in days}
    backfills = {} if name == KNOWN_VALUES else mending_commands(ledger, feed, days)
    return [
        command
        for account in days
        for command in (*replays.get(account, ()), *backfills.get(account, ()))
    ]


def _month_alarms(ledger: Ledger, feed: Feed) -> list[Alarm]:
    """Months of a source that differ from the vendor's now: one alarm."""
    accounts = feed.accounts(ledger.settings)
    differing = differing_months(ledger.connection, feed, accounts)
    months = [month for account in accounts for month in differing.get(account.label, ())]
    if not months:
        return []
    pairs = [(month.window.account.label, day) for month in months for day in month.window.days]
    is_error = any(month.severity == "error" for month in months)
    told = shorten([month.describe() for month in months], SAID_SHOWN)
    return [
        Alarm(
            subject=f"check/{feed.source}/{MONTH_ADDS_UP}",
            kind="check_failed",
            severity="error" if is_error else "warning",
            source=feed.source,
            accounts=sorted({account for account, _ in pairs}),
            days=sorted({day for _, day in pairs}),
            what=f"check {MONTH_ADDS_UP}: {'; '.join(told)}.",
            hint=[month.hint for month in months],
            message_group=f"check/{feed.source}/{MONTH_ADDS_UP}",
            causes=[f"{month.window.account.label} {month.name}" for month in months],
            pairs=pairs,
            is_whole=True,
        )
    ]


def overdue_alarms(ledger: Ledger) -> list[Alarm]:
    """Accounts that are late for longer than an alarm waits, an alarm a source.

    None for accounts that were never asked, nor for days of which another error tells already.
    """
    found = (_overdue_alarm(ledger, feed) for feed in FEEDS)
    return [alarm for alarm in found if alarm is not None]


def _overdue_alarm(ledger: Ledger, feed: Feed) -> Alarm | None:
    pairs = _overdue_days(ledger, feed)
    if not pairs:
        return None
    hours = ledger.settings.alarms.overdue_hours
    late = {
        account: pairs[account.label]
        for account in feed.accounts(ledger.settings)
        if account.label in pairs
    }
    told = [
        f"account {account.label} has no good receipt for {spans_text(days)}"
        for account, days in late.items()
    ]
    commands = mending_commands(ledger, feed, late)
    return Alarm(
        subject=f"overdue/{feed.source}",
        kind="overdue",
        severity="error",
        source=feed.source,
        accounts=sorted(pairs),
        days=sorted({day for days in pairs.values() for day in days}),
        what=f"{'; '.join(shorten(told, SAID_SHOWN, 'accounts'))},"
        f" {hours} hours after the nights that could load them began.",
        hint=[command for of_account in commands.values() for command in of_account],
        message_group=f"overdue/{feed.source}",
        causes=sorted(pairs),
        pairs=[(account, day) for account, days in pairs.items() for day in days],
        is_whole=True,
    )


def _overdue_days(ledger: Ledger, feed: Feed) -> dict[str, list[date]]:
    """By late account the days that should be loaded by now and are not."""
    settings, warehouse, connection = ledger.settings, ledger.warehouse, ledger.connection
    patience = timedelta(hours=settings.alarms.overdue_hours)
    covered = alarm_outbox.covered_days(connection, feed.source)
    accounts, store = feed.accounts(settings), OneLook(warehouse)
    found = lateness(
        connection, [expect_askable(feed, settings, store, one, patience) for one in accounts]
    )
    late = {
        account: of_account
        for (_, account), of_account in found.items()
        if of_account.is_late and (account, of_account.due) not in covered
    }
    never = [account for account, of_account in late.items() if of_account.newest is None]
    asked = _asked_before(connection, feed.source, never, clock.now() - patience)
    pairs: dict[str, list[date]] = {}
    for account in (one.label for one in accounts if one.label in late):
        newest, due = late[account].newest, late[account].due
        if newest is not None:
            pairs[account] = list(each_day(newest + ONE_DAY, due))
        elif account in asked:
            pairs[account] = [due]
    return pairs


def _asked_before(
    connection: Connection, source: str, accounts: Sequence[str], before: datetime
) -> set[str]:
    """Those of the accounts of which the vendor was asked for anything before this instant."""
    rows = connection.execute(
        "SELECT account FROM unnest(%s::text[]) AS asked (account) WHERE EXISTS (SELECT"
        " FROM ops.extraction e WHERE e.source = %s AND e.account = asked.account"
        "  AND e.started_at <= %s)",
        (list(accounts), source, before),
    )
    return {row[0] for row in rows}


def first_days(connection: Connection, accounts: Iterable[Account]) -> Mapping[str, date]:
    """By account, the day before its first load (of one never loaded: yesterday); days before are history."""
    asked = list(accounts)
    started = owed_days.first_days(connection, asked)
    return {one.label: started.get(one) or clock.today(one.time_zone) - ONE_DAY for one in asked}


def is_history(starts: Mapping[str, date], account: str, day: date) -> bool:
    return account in starts and day < starts[account]
