"""What a nightly run asks for, and what it may leave for another night.

A night's tick and the runs it requests look at the same ledger, a moment apart: the tick to choose
partitions, each run to ask every account only for its own due days, so that an overlapping run, or the
same tick once more, costs no call.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from dagster_project.config.settings import Settings
from dagster_project.model.feed import Feed
from dagster_project.pipeline.calls_left import calls_left_of_accounts
from dagster_project.pipeline.due_days import (
    TODAY,
    YESTERDAY,
    Due,
    due_days_of_accounts,
    fitting_days,
    ranges_of,
    read_rows,
)
from dagster_project.pipeline.outcomes import WindowDone
from dagster_project.warehouse.connection import Warehouse


@dataclass(frozen=True)
class Night:
    """Ranges of days that one night's runs are to take, newest first, and why each day is due.

    ``left`` counts the days of each account that wait for another night's budget.
    """

    ranges: list[tuple[date, date]]
    reasons: dict[date, str]
    left: dict[str, int]


def due_of_accounts(feed: Feed, settings: Settings, warehouse: Warehouse) -> dict[str, Due]:
    """What is due tonight, by account."""
    with warehouse.connect(what="night", autocommit=True) as connection:
        accounts = feed.accounts(settings)
        found = due_days_of_accounts(connection, warehouse, feed, settings, accounts)
        return {due.account.label: due for due in found}


def plan_night(feed: Feed, settings: Settings, warehouse: Warehouse) -> Night:
    """What tonight's runs are to take: due days, as many as the budgets suffice for."""
    due = due_of_accounts(feed, settings, warehouse)
    days: dict[date, str] = {}
    left = {}
    accounts = [of_account.account for of_account in due.values()]
    with warehouse.connect(what="night", autocommit=True) as connection:
        calls = calls_left_of_accounts(feed, settings, connection, accounts)
        bounded = [account for account in accounts if calls[account] is not None]
        known = read_rows(connection, feed.source, bounded)
    for label, of_account in due.items():
        taken, waiting = fitting_days(
            feed, of_account, known.get(label, {}), calls[of_account.account]
        )
        days.update({day: of_account.days[day] for day in taken})
        if waiting:
            left[label] = len(waiting)
    return Night(ranges_of(feed, days, settings.range_days), days, left)


def may_wait(due: Mapping[str, Due], chunk: WindowDone) -> bool:
    """Whether all that the chunk says is that older days have to wait for another night's budget."""
    return bool(chunk.left) and not any(
        _is_newest(of_account, chunk.left)
        for problem in chunk.problems
        for label, of_account in due.items()
        if label == problem.account
    )


def _is_newest(due: Due, days: Collection[date]) -> bool:
    return any(due.days.get(day) in (YESTERDAY, TODAY) for day in days)


def waiting_message(chunk: WindowDone) -> str:
    """The line of the event log that says so."""
    account = chunk.problems[0].account
    return (
        f"account {account}: {len(chunk.left)} days from {min(chunk.left)} to {max(chunk.left)} wait"
        f" for another night: {chunk.problems[0].what}"
    )
