"""Trust's feed: statistics of push campaigns.

What needs HTTP or NumPy is imported when it is asked for: most commands do without.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Final

from dagster_project.model.feed import CredentialsCheck, DayRule, Feed, QueryScope, WholeMonth
from dagster_project.model.finding import Finding
from dagster_project.model.range_proof import RangeProof
from dagster_project.model.receipt import Receipt
from dagster_project.model.response import ExtractStats
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import ONE_DAY, Account, Window
from dagster_project.vendors.trust.range_proof import effective_proof
from dagster_project.vendors.trust.settings import RANGE_PARAMS, TrustSettings
from dagster_project.vendors.trust.table import ROLLING_WEEK, TABLE

if TYPE_CHECKING:
    from dagster_project.model.batch import RowEncoder
    from dagster_project.vendors.trust.client import TrustClient

SOURCE: Final = "trust"


def list_accounts(section: TrustSettings) -> tuple[Account, ...]:
    """The companies."""
    return tuple(Account(SOURCE, str(one), section.time_zone) for one in section.company_ids)


def open_client(section: TrustSettings, store: VendorStore) -> TrustClient:
    """Open a client that proves ranges, and keeps what it proved."""
    from dagster_project.vendors.trust.client import TrustClient

    return TrustClient(section, proofs=store.proofs)


def row_encoder(secret: str) -> RowEncoder:
    """The encoder of statistics."""
    from dagster_project.vendors.trust import rows

    return rows.to_batch


def month_figures(
    client: TrustClient, window: Window, stats: ExtractStats
) -> Mapping[str, int | None]:
    """A company's counters for a window in one call, if its server is proved to honour ranges."""
    company = int(window.account.label)
    return client.fetch_statistics(company, window.first_day, window.last_day, stats).counters()


def known_proof(section: TrustSettings, store: VendorStore) -> RangeProof | None:
    """The stored proof about the server's ranges."""
    return effective_proof(store.proofs.load(SOURCE, section.base_url, section.params))


def night_days(
    section: TrustSettings, store: VendorStore, today: date, days: Collection[date]
) -> list[date]:
    """The ended days if ranges were last honoured; only today if they were ignored.

    If neither is known yet, yesterday and today: the run finds out which of them it can request.
    """
    proof = known_proof(section, store)
    state = proof.state if proof else "unproven"
    if state == "honoured":
        return [day for day in days if day < today]
    yesterday = [day for day in days if day == today - ONE_DAY and state != "ignored"]
    return [*yesterday, today]


def answerable(
    client: TrustClient, account: Account, days: Collection[date], stats: ExtractStats
) -> list[date]:
    """Those of the days that a nightly run can request: ended days, or only today."""
    known = client.find_answerable(Window(min(days), max(days), account), stats)
    newest = client.newest_day(stats)
    return [day for day in known if day in days and day <= newest]


def is_rolling_week(receipt: Receipt) -> bool:
    """Whether the day's row is a rolling week, which can never be requested again."""
    return bool(receipt.notes.get("in_window", {}).get(ROLLING_WEEK))


def inspect_ranges(section: TrustSettings, store: VendorStore) -> Iterator[Finding]:
    """Whether the server is known to honour ranges of days."""
    params = section.params
    proof = known_proof(section, store)
    if proof is None:
        text = f"whether ranges ({params}) are honoured is not known yet: the first run finds out."
        yield Finding("trust ranges", "note", text)
        return
    text = f"{proof.state} ({params}), asked {proof.asked_at:%Y-%m-%d %H:%M} UTC: {proof.reason}"
    if proof.state == "honoured":
        yield Finding("trust ranges", "good", text)
    else:
        hint = f"daily figures need the right names: ask the vendor, set {RANGE_PARAMS}."
        yield Finding("trust ranges", "note", text, hint)


STATISTICS: Final = Feed(
    settings=TrustSettings,
    source=SOURCE,
    asset=("trust", "campaign_statistics"),
    raw_asset=("raw", "trust_campaign_statistics"),
    title="Trust, statistics of push campaigns",
    table=TABLE,
    query_scope=QueryScope.DAY,
    minute=45,
    list_accounts=list_accounts,
    open_client=open_client,
    check=CredentialsCheck(lambda client, account, stats: client.check(stats)),
    row_encoder=row_encoder,
    day_rule=DayRule(
        by_night=night_days,
        answerable=answerable,
        settles_at_once=is_rolling_week,
        calls_a_run=1,  # to confirm that the server still honours ranges
    ),
    whole_month=WholeMonth(
        month_figures,
        minute=20,
        doubtful=frozenset({"total"}),
        distinct=frozenset({"campaigns"}),
    ),
    inspect=inspect_ranges,
)
FEEDS: Final = (STATISTICS,)
