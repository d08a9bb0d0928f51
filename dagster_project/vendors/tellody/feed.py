"""Tellody's feeds: totals of messages, and purchases of credits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dagster_project.model.feed import CredentialsCheck, Feed, QueryScope, WholeMonth
from dagster_project.model.window import Account
from dagster_project.vendors.tellody import activity_rows, purchase_reduction, purchase_rows
from dagster_project.vendors.tellody.client import ActivityClient, PurchasesClient
from dagster_project.vendors.tellody.older_purchases import describe_older, notice_older
from dagster_project.vendors.tellody.settings import TellodySettings


def accounts_of(source: str) -> Callable[[TellodySettings], tuple[Account, ...]]:
    """A function that lists the one account, by its label."""
    return lambda section: (Account(source, section.account, section.time_zone),)


ACTIVITY: Final = Feed(
    settings=TellodySettings,
    source="tellody_activity",
    asset=("tellody", "activity"),
    raw_asset=("raw", "tellody_activity"),
    title="Tellody, totals of messages and code activity",
    table=activity_rows.TABLE,
    query_scope=QueryScope.DAY,
    minute=35,
    list_accounts=accounts_of("tellody_activity"),
    open_client=lambda section, store: ActivityClient(section),
    check=CredentialsCheck(lambda client, account, stats: client.check(stats)),
    row_encoder=lambda secret: activity_rows.to_batch,
    whole_month=WholeMonth(ActivityClient.totals, minute=15),
    currency=lambda section: section.currency,
)
PURCHASES: Final = Feed(
    settings=TellodySettings,
    source="tellody_purchases",
    asset=("tellody", "credit_purchases"),
    raw_asset=("raw", "tellody_credit_purchases"),
    title="Tellody, purchases of credits",
    table=purchase_rows.TABLE,
    query_scope=QueryScope.HISTORY,
    minute=40,
    list_accounts=accounts_of("tellody_purchases"),
    open_client=lambda section, store: PurchasesClient(section),
    check=CredentialsCheck(lambda client, account, stats: client.check(stats)),
    row_encoder=lambda secret: purchase_rows.to_batch,
    reduction=purchase_reduction.REDUCTION,
    currency=lambda section: section.currency,
    metadata=describe_older,
    notices=notice_older,
)
FEEDS: Final = (ACTIVITY, PURCHASES)
