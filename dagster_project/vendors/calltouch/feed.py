"""Calltouch's feed: the results of every SMS."""

from __future__ import annotations

from functools import partial
from typing import Final

from dagster_project.model.feed import (
    RECORDS,
    CredentialsCheck,
    Feed,
    QueryScope,
    Quota,
    SmsMarts,
    WholeMonth,
)
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import Account
from dagster_project.transport.rate_limiter import RateLimiter
from dagster_project.vendors.calltouch import rows
from dagster_project.vendors.calltouch.client import POINTS_A_CALL, ROWS_PER_PAGE, CalltouchClient
from dagster_project.vendors.calltouch.personal_data import PERSONAL, REDUCTION, shown_template
from dagster_project.vendors.calltouch.settings import POINTS, CalltouchSettings

SOURCE: Final = "calltouch"


def list_accounts(section: CalltouchSettings) -> tuple[Account, ...]:
    """The sites, each with its own time zone."""
    return tuple(Account(SOURCE, str(site.site_id), site.time_zone) for site in section.sites)


def open_client(section: CalltouchSettings, store: VendorStore) -> CalltouchClient:
    """Open a client with the limits that all processes share."""
    return CalltouchClient(
        section,
        RateLimiter(store.limits()),
        expected_pages=partial(store.expected_pages, rows_a_page=ROWS_PER_PAGE),
    )


def daily_points(section: CalltouchSettings, account: Account) -> int | None:
    """The site's points a day; None: no limit."""
    sites = (site for site in section.sites if str(site.site_id) == account.label)
    return next((site.daily_points for site in sites), None)


SMS: Final = Feed(
    settings=CalltouchSettings,
    source=SOURCE,
    asset=("calltouch", "sms"),
    raw_asset=("raw", "calltouch_sms"),
    title="Calltouch, results of every SMS",
    table=rows.TABLE,
    query_scope=QueryScope.RANGE,
    minute=30,
    list_accounts=list_accounts,
    open_client=open_client,
    check=CredentialsCheck(CalltouchClient.check, each_account=True),
    row_encoder=rows.row_encoder,
    window_days=400,
    rows_a_call=ROWS_PER_PAGE,
    quota=Quota(POINTS_A_CALL, daily_points, setting=POINTS),
    count=CalltouchClient.count,
    whole_month=WholeMonth(
        lambda client, window, stats: {RECORDS: client.count(window, stats)}, minute=10
    ),
    personal=PERSONAL,
    reduction=REDUCTION,
    sms_marts=SmsMarts(shown_template),
)
FEEDS: Final = (SMS,)
