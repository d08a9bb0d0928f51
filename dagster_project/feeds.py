"""The list of feeds: the one place where vendors and the warehouse meet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.model.feed import RECORDS, Feed, QueryScope, VendorClient, WholeMonth
from dagster_project.model.receipt import Receipt
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import ONE_DAY, Account, Window
from dagster_project.transport.rate_limiter import RateLimiter
from dagster_project.vendors.calltouch import client as calltouch_client
from dagster_project.vendors.calltouch import rows as calltouch_rows
from dagster_project.vendors.calltouch.context import RowContext
from dagster_project.vendors.calltouch.personal_data import PERSONAL, REDUCTION
from dagster_project.vendors.tellody import activity_rows, purchase_reduction, purchase_rows
from dagster_project.vendors.tellody import client as tellody_client
from dagster_project.vendors.trust import client as trust_client
from dagster_project.vendors.trust import rows as trust_rows
from dagster_project.vendors.trust.range_proof import standing
from dagster_project.vendors.trust.rows import ROLLING_WEEK
from dagster_project.warehouse.connection import PATIENCE_SECONDS, Connection, Warehouse
from dagster_project.warehouse.ledger import extractions, load_receipts
from dagster_project.warehouse.ledger.budget import Budget
from dagster_project.warehouse.ledger.range_proofs import RangeProofs


def calltouch_accounts(settings: Settings) -> tuple[Account, ...]:
    if settings.calltouch is None:
        return ()
    return tuple(
        Account("calltouch", str(site.site_id), site.time_zone) for site in settings.calltouch.sites
    )


def open_calltouch(settings: Settings, warehouse: Warehouse) -> VendorClient:
    assert settings.calltouch is not None

    def expected_pages(window: Window) -> int:
        with warehouse.connect(
            what="plan", autocommit=True, patience=PATIENCE_SECONDS
        ) as connection:
            return extractions.expected_pages(connection, window, calltouch_client.ROWS_PER_PAGE)

    return calltouch_client.CalltouchClient(
        settings.calltouch, RateLimiter(Budget(warehouse)), expected_pages=expected_pages
    )


def tellody_accounts(source: str) -> Callable[[Settings], tuple[Account, ...]]:
    def accounts(settings: Settings) -> tuple[Account, ...]:
        tellody = settings.tellody
        return (Account(source, tellody.account, tellody.time_zone),) if tellody else ()

    return accounts


def open_activity(settings: Settings, warehouse: Warehouse) -> VendorClient:
    assert settings.tellody is not None
    return tellody_client.ActivityClient(settings.tellody)


def open_purchases(settings: Settings, warehouse: Warehouse) -> VendorClient:
    assert settings.tellody is not None
    return tellody_client.PurchasesClient(settings.tellody)


def trust_accounts(settings: Settings) -> tuple[Account, ...]:
    trust = settings.trust
    if trust is None:
        return ()
    return tuple(Account("trust", str(company), trust.time_zone) for company in trust.company_ids)


def open_trust(settings: Settings, warehouse: Warehouse) -> VendorClient:
    assert settings.trust is not None
    return trust_client.TrustClient(settings.trust, proofs=RangeProofs(warehouse))


def _calltouch_points(settings: Settings, account: Account) -> int | None:
    sites = settings.calltouch.sites if settings.calltouch else ()
    return next((s.daily_points for s in sites if str(s.site_id) == account.label), None)


def calltouch_daily_calls(settings: Settings, account: Account) -> int | None:
    """Calls that fit into the site's points of a day."""
    budget = _calltouch_points(settings, account)
    return None if budget is None else budget // calltouch_client.POINTS_A_CALL


def calltouch_calls_left(
    settings: Settings, connection: Connection, account: Account
) -> int | None:
    """Calls that fit into what is left of the site's points today."""
    budget = _calltouch_points(settings, account)
    if budget is None:
        return None
    today = clock.today(account.time_zone)
    spent, held = load_receipts.read_points(connection, account, today)
    return max(budget - spent - held, 0) // calltouch_client.POINTS_A_CALL


def calltouch_count(client: VendorClient, window: Window, stats: ExtractStats) -> int:
    """How many SMS the vendor counts in a window."""
    assert isinstance(client, calltouch_client.CalltouchClient)
    return client.count(window, stats)


def activity_totals(
    client: VendorClient, window: Window, stats: ExtractStats
) -> Mapping[str, int | None]:
    """The six totals of a window in one call."""
    assert isinstance(client, tellody_client.ActivityClient)
    return client.totals(window, stats)


def trust_statistics(
    client: VendorClient, window: Window, stats: ExtractStats
) -> Mapping[str, int | None]:
    """A company's counters of a window in one call, where its server is proved to honour ranges."""
    assert isinstance(client, trust_client.TrustClient)
    company = int(window.account.label)
    return client.statistics(company, window.first_day, window.last_day, stats).counters()


def trust_night_days(
    settings: Settings, warehouse: Warehouse, today: date, days: Collection[date]
) -> list[date]:
    """Ended days where ranges were last seen to be honoured, today where they were ignored.

    Where neither is known yet, yesterday and today: the run finds out which of them it may ask for.
    """
    trust = settings.trust
    assert trust is not None
    params = ",".join(trust.range_params)
    proof = standing(RangeProofs(warehouse).load("trust", trust.base_url, params))
    state = proof.state if proof else "unproven"
    if state == "honoured":
        return [day for day in days if day < today]
    yesterday = [day for day in days if day == today - ONE_DAY and state != "ignored"]
    return [*yesterday, today]


def trust_answerable(
    client: VendorClient, account: Account, days: Collection[date], stats: ExtractStats
) -> list[date]:
    """Of these days what a nightly run may ask for: ended days, or today alone."""
    assert isinstance(client, trust_client.TrustClient)
    known = client.answerable(Window(min(days), max(days), account), stats)
    newest = client.newest_day(stats)
    return [day for day in known if day in days and day <= newest]


def _zone(section: str, default: str) -> Callable[[Settings], ZoneInfo]:
    """The source's time zone; where it has no credentials, the default that its setting would have."""

    def time_zone(settings: Settings) -> ZoneInfo:
        found = getattr(settings, section)
        return found.time_zone if found is not None else ZoneInfo(default)

    return time_zone


def _before_first_partition(receipts: Sequence[Receipt]) -> dict[str, Any]:
    """What a read of the whole history left out; each receipt carries its whole read's counts."""
    counts = receipts[0].notes.get("in_window", {}) if receipts else {}
    older, earliest = purchase_rows.before_first_partition(counts)
    if not older:
        return {}
    return {
        "older purchases left out": f"{older}; set WAREHOUSE_START_DATE={earliest} to load them too"
    }


FEEDS: Final[tuple[Feed, ...]] = (
    Feed(
        source="calltouch",
        asset=("calltouch", "sms"),
        raw_asset=("raw", "calltouch_sms"),
        title="Calltouch, results of every SMS",
        table=calltouch_rows.TABLE,
        reach=QueryScope.RANGE,
        time_zone=_zone("calltouch", "Europe/Moscow"),
        accounts=calltouch_accounts,
        client=open_calltouch,
        row_context=lambda settings, key: RowContext.of(key),
        personal=PERSONAL,
        reduction=REDUCTION,
        to_batch=calltouch_rows.to_batch,
        settle_days=lambda settings: settings.calltouch.settle_days if settings.calltouch else 7,
        window_days=400,
        rows_a_call=calltouch_client.ROWS_PER_PAGE,
        points_a_call=calltouch_client.POINTS_A_CALL,
        daily_calls=calltouch_daily_calls,
        calls_left=calltouch_calls_left,
        count=calltouch_count,
        whole_month=WholeMonth(
            lambda client, window, stats: {RECORDS: calltouch_count(client, window, stats)}
        ),
    ),
    Feed(
        source="tellody_activity",
        asset=("tellody", "activity"),
        raw_asset=("raw", "tellody_activity"),
        title="Tellody, totals of messages and code activity",
        table=activity_rows.TABLE,
        reach=QueryScope.DAY,
        time_zone=_zone("tellody", "Europe/Athens"),
        accounts=tellody_accounts("tellody_activity"),
        client=open_activity,
        row_context=lambda settings, key: None,
        to_batch=lambda answer, window, context: activity_rows.to_batch(answer, window),
        settle_days=lambda settings: settings.tellody.settle_days if settings.tellody else 3,
        whole_month=WholeMonth(activity_totals),
    ),
    Feed(
        source="tellody_purchases",
        asset=("tellody", "credit_purchases"),
        raw_asset=("raw", "tellody_credit_purchases"),
        title="Tellody, purchases of credits",
        table=purchase_rows.TABLE,
        reach=QueryScope.HISTORY,
        time_zone=_zone("tellody", "Europe/Athens"),
        accounts=tellody_accounts("tellody_purchases"),
        client=open_purchases,
        row_context=lambda settings, key: None,
        to_batch=purchase_rows.to_batch,
        reduction=purchase_reduction.REDUCTION,
        settle_days=lambda settings: settings.tellody.settle_days if settings.tellody else 3,
        metadata=_before_first_partition,
    ),
    Feed(
        source="trust",
        asset=("trust", "campaign_statistics"),
        raw_asset=("raw", "trust_campaign_statistics"),
        title="Trust, statistics of push campaigns",
        table=trust_rows.TABLE,
        reach=QueryScope.DAY,
        time_zone=_zone("trust", "America/Santiago"),
        accounts=trust_accounts,
        client=open_trust,
        row_context=lambda settings, key: None,
        to_batch=lambda answer, window, context: trust_rows.to_batch(answer, window),
        settle_days=lambda settings: settings.trust.settle_days if settings.trust else 7,
        settles_at_once=lambda receipt: bool(receipt.notes.get("in_window", {}).get(ROLLING_WEEK)),
        night_days=trust_night_days,
        answerable=trust_answerable,
        loads_today=True,
        calls_a_run=1,  # to confirm that the server still honours ranges
        whole_month=WholeMonth(
            trust_statistics, doubtful=frozenset({"total"}), distinct=frozenset({"campaigns"})
        ),
    ),
)
