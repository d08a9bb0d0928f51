"""Calltouch's feed: the results of every SMS.

What needs HTTP or NumPy is imported when it is asked for: most commands do without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dagster_project.model.feed import (
    RECORDS,
    CredentialsCheck,
    Feed,
    QueryScope,
    Quota,
    WholeMonth,
)
from dagster_project.model.response import Response
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import Account
from dagster_project.vendors.calltouch.settings import POINTS, CalltouchSettings
from dagster_project.vendors.calltouch.table import POINTS_A_CALL, ROWS_PER_PAGE, TABLE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dagster_project.model.batch import RowEncoder
    from dagster_project.model.privacy import Personal, Reduction
    from dagster_project.vendors.calltouch.client import CalltouchClient

SOURCE: Final = "calltouch"


def list_accounts(section: CalltouchSettings) -> tuple[Account, ...]:
    """The sites, each with its own time zone."""
    return tuple(Account(SOURCE, str(site.site_id), site.time_zone) for site in section.sites)


def open_client(section: CalltouchSettings, store: VendorStore) -> CalltouchClient:
    """Open a client with the limits that all processes share."""
    from dagster_project.transport.rate_limiter import RateLimiter
    from dagster_project.vendors.calltouch.client import CalltouchClient

    return CalltouchClient(section, RateLimiter(store.limits()))


def daily_points(section: CalltouchSettings, account: Account) -> int | None:
    """The site's points a day; None: no limit."""
    site = section.site_of.get(account.label)
    return None if site is None else site.daily_points


def row_encoder(secret: str) -> RowEncoder:
    """The encoder of pages, with pseudonyms under ``PII_HASH_KEY``."""
    from dagster_project.vendors.calltouch import rows

    return rows.row_encoder(secret)


def hash_rows(response: Response) -> NDArray[np.uint64] | None:
    """Hash each row of a page, as it is written."""
    from dagster_project.vendors.calltouch import pages

    return pages.hash_rows(response)


def make_personal() -> Personal:
    """How people are erased from rows and responses."""
    from dagster_project.vendors.calltouch.personal_data import PERSONAL

    return PERSONAL


def make_reduction() -> Reduction:
    """How personal data of old days is removed."""
    from dagster_project.vendors.calltouch.reduction import REDUCTION

    return REDUCTION


def shown_template(text: str) -> str | None:
    """The part of a text that may be shown."""
    from dagster_project.vendors.calltouch import personal_data

    return personal_data.shown_template(text)


SMS: Final = Feed(
    settings=CalltouchSettings,
    source=SOURCE,
    asset=("calltouch", "sms"),
    raw_asset=("raw", "calltouch_sms"),
    title="Calltouch, results of every SMS",
    table=TABLE,
    query_scope=QueryScope.RANGE,
    minute=30,
    list_accounts=list_accounts,
    open_client=open_client,
    check=CredentialsCheck(lambda client, *of: client.check(*of), each_account=True),
    row_encoder=row_encoder,
    hash_rows=hash_rows,
    window_days=400,
    rows_a_call=ROWS_PER_PAGE,
    quota=Quota(POINTS_A_CALL, daily_points, setting=POINTS),
    count=lambda client, window, stats: client.count(window, stats),
    whole_month=WholeMonth(
        lambda client, window, stats: {RECORDS: client.count(window, stats)}, minute=10
    ),
    make_personal=make_personal,
    make_reduction=make_reduction,
    sms_mask=shown_template,
)
FEEDS: Final = (SMS,)
