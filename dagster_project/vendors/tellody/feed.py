"""Tellody's feeds: totals of messages, and purchases of credits.

What needs HTTP or NumPy is imported when it is asked for: most commands do without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from dagster_project.model.feed import CredentialsCheck, Feed, QueryScope, WholeMonth
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import Account
from dagster_project.vendors.tellody import activity_table, purchase_table
from dagster_project.vendors.tellody.older_purchases import describe_older, notice_older
from dagster_project.vendors.tellody.settings import TellodySettings

if TYPE_CHECKING:
    from dagster_project.model.batch import RowEncoder
    from dagster_project.model.privacy import Reduction
    from dagster_project.vendors.tellody.client import ActivityClient, PurchasesClient


def accounts_of(source: str) -> Callable[[TellodySettings], tuple[Account, ...]]:
    """A function that lists the one account, by its label."""
    return lambda section: (Account(source, section.account, section.time_zone),)


def open_activity(section: TellodySettings, store: VendorStore) -> ActivityClient:
    """Open a client for totals."""
    from dagster_project.vendors.tellody.client import ActivityClient

    return ActivityClient(section)


def open_purchases(section: TellodySettings, store: VendorStore) -> PurchasesClient:
    """Open a client for the history of purchases."""
    from dagster_project.vendors.tellody.client import PurchasesClient

    return PurchasesClient(section)


def encode_activity(secret: str) -> RowEncoder:
    """The encoder of totals."""
    from dagster_project.vendors.tellody import activity_rows

    return activity_rows.to_batch


def encode_purchases(secret: str) -> RowEncoder:
    """The encoder of purchases."""
    from dagster_project.vendors.tellody import purchase_rows

    return purchase_rows.to_batch


def make_reduction() -> Reduction:
    """How card digits and invoices of old days are removed."""
    from dagster_project.vendors.tellody.purchase_reduction import REDUCTION

    return REDUCTION


ACTIVITY: Final = Feed(
    settings=TellodySettings,
    source="tellody_activity",
    asset=("tellody", "activity"),
    raw_asset=("raw", "tellody_activity"),
    title="Tellody, totals of messages and code activity",
    table=activity_table.TABLE,
    query_scope=QueryScope.DAY,
    minute=35,
    list_accounts=accounts_of("tellody_activity"),
    open_client=open_activity,
    check=CredentialsCheck(lambda client, account, stats: client.check(stats)),
    row_encoder=encode_activity,
    whole_month=WholeMonth(lambda client, window, stats: client.totals(window, stats), minute=15),
    currency=lambda section: section.currency,
)
PURCHASES: Final = Feed(
    settings=TellodySettings,
    source="tellody_purchases",
    asset=("tellody", "credit_purchases"),
    raw_asset=("raw", "tellody_credit_purchases"),
    title="Tellody, purchases of credits",
    table=purchase_table.TABLE,
    query_scope=QueryScope.HISTORY,
    minute=40,
    list_accounts=accounts_of("tellody_purchases"),
    open_client=open_purchases,
    check=CredentialsCheck(lambda client, account, stats: client.check(stats)),
    row_encoder=encode_purchases,
    make_reduction=make_reduction,
    currency=lambda section: section.currency,
    metadata=describe_older,
    notices=notice_older,
)
FEEDS: Final = (ACTIVITY, PURCHASES)
