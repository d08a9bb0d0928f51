"""How many calls an account's points still allow today."""

from __future__ import annotations

from collections.abc import Sequence

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.model.feed import Feed
from dagster_project.model.window import Account
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger import load_receipts


def calls_left(
    feed: Feed, settings: Settings, connection: Connection, account: Account
) -> int | None:
    """The calls that the account's remaining points of today allow; None: no limit."""
    return calls_left_of_accounts(feed, settings, connection, [account])[account]


def calls_left_of_accounts(
    feed: Feed, settings: Settings, connection: Connection, accounts: Sequence[Account]
) -> dict[Account, int | None]:
    """The same for several accounts, in one query."""
    if feed.quota is None:
        return dict.fromkeys(accounts)
    used = load_receipts.read_points_of_accounts(
        connection, {account: clock.today(account.time_zone) for account in accounts}
    )
    return {account: calls_within(feed, settings, account, *used[account]) for account in accounts}


def calls_within(
    feed: Feed, settings: Settings, account: Account, spent: int, held: int
) -> int | None:
    """Calls that fit into the account's points of a day beside what is spent and set aside."""
    section = settings.section(feed.settings)
    budget = feed.quota.daily_points(section, account) if feed.quota and section else None
    if feed.quota is None or budget is None:
        return None
    return max(budget - spent - held, 0) // feed.quota.points_a_call
