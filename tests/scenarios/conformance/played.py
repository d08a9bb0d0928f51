"""How each feed's vendor is played small, and what its table should then hold.

The one place of the suite that knows vendors: an entry for each feed, by source. ``truth`` says, in
columns of the feed's table, what stands at the sandbox's vendor for an account and days; the columns
that it names are the ones compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from dagster_project.model.feed import VendorClient
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import Account, each_day
from dagster_project.sandbox.calltouch.vendor import Site
from dagster_project.sandbox.tellody.purchases import UNDATABLE_SHAPES
from dagster_project.sandbox.world import World
from dagster_project.text.sanitize import sanitize
from dagster_project.transport.rate_limiter import RateLimiter
from dagster_project.vendors.calltouch import client as calltouch
from dagster_project.vendors.tellody import client as tellody
from dagster_project.vendors.tellody.activity_rows import TOTALS
from dagster_project.vendors.trust import client as trust
from dagster_project.vendors.trust import token as trust_token
from tests.support.date_shapes import SHAPES

Row = Mapping[str, Any]

NOW: Final = datetime(2024, 5, 15, 9, tzinfo=UTC)
EARLIER: Final = NOW - timedelta(hours=26)
DAYS: Final = list(each_day(date(2024, 5, 11), date(2024, 5, 14)))
ROWS_A_PAGE: Final = 25
"""Small pages, so that a window of a hundred rows has several."""

WORLD: Final[Mapping[str, Any]] = {
    "calltouch": {
        "sites": [
            Site(501, "Первый", texts="shop", ordinary=35, population=20),
            Site(502, "Второй", texts="clinic", ordinary=12, population=9),
        ],
        "page_size": ROWS_A_PAGE,
        "requests_per_second": 0,
        "duplicate_share": 0.08,
        "ugly_share": 0.04,
        "late_share": 0.05,
        "vanishing_share": 0.05,
    },
    "tellody": {
        "purchase_every_hours": 2.5,
        "first_purchase": "2024-05-09",
        "date_shapes": ["full", *SHAPES, *UNDATABLE_SHAPES],
        "per_page_cap": 15,
    },
    "trust": {"companies": [11, 12], "quiet": []},
}


@dataclass(frozen=True)
class Played:
    """A feed's vendor in the sandbox.

    ``unnoticed`` are the vendor's own faults that no reader could notice: an answer that is whole in
    itself and untrue. They are healed by the next refresh.
    """

    vendor: str
    truth: Callable[[World, Account, date, date], Iterable[Row]]
    client: Callable[[Any, VendorStore, World], VendorClient]
    unnoticed: frozenset[str] = field(default_factory=frozenset)


def calltouch_truth(world: World, account: Account, first: date, last: date) -> Iterator[Row]:
    for row in world.calltouch.rows(int(account.label), first, last):
        wall = datetime.strptime(row["dateSent"], "%d-%m-%Y %H:%M:%S").replace(
            tzinfo=account.time_zone
        )
        yield {
            "sent_on": wall.date(),
            "site_id": int(account.label),
            "sent_at": wall.astimezone(UTC),
            "phone": row["phoneNumber"],
            "status": row["smsStatus"],
            "status_detail": row["smsStatusDetail"],
            "message": sanitize(row["smsMessage"], Counter()),
        }


def activity_truth(world: World, account: Account, first: date, last: date) -> Iterator[Row]:
    for row in world.tellody.truth({"table": "activity", "from": str(first), "to": str(last)}):
        yield {
            "activity_on": row["activity_on"],
            "account": account.label,
            **{ours: row[theirs] for theirs, ours in TOTALS.items()},
        }


def purchases_truth(world: World, account: Account, first: date, last: date) -> Iterator[Row]:
    for row in world.tellody.truth({"from": str(first), "to": str(last)}):
        yield {"account": account.label, **row}


def trust_truth(world: World, account: Account, first: date, last: date) -> Iterable[Row]:
    return world.trust.truth({"company": account.label, "first": str(first), "last": str(last)})


def calltouch_client(section: Any, store: VendorStore, world: World) -> VendorClient:
    return calltouch.CalltouchClient(
        section,
        RateLimiter(store.limits()),
        now=world.clock.now,
        rows_a_page=ROWS_A_PAGE,
        pause=lambda seconds: None,
    )


def activity_client(section: Any, store: VendorStore, world: World) -> VendorClient:
    return tellody.ActivityClient(section)


def purchases_client(section: Any, store: VendorStore, world: World) -> VendorClient:
    return tellody.PurchasesClient(section)


def trust_client(section: Any, store: VendorStore, world: World) -> VendorClient:
    return trust.TrustClient(section, proofs=store.proofs, now=world.clock.now)


def forget_sign_ins() -> None:
    """What the vendors' modules remember for the process: sessions, and credentials refused."""
    tellody._sessions.clear()
    trust_token._refused.clear()


PLAYED: Final[Mapping[str, Played]] = {
    "calltouch": Played(
        "calltouch",
        calltouch_truth,
        calltouch_client,
        unnoticed=frozenset({"unseen_status", "even_drift"}),
    ),
    "tellody_activity": Played("tellody", activity_truth, activity_client),
    "tellody_purchases": Played("tellody", purchases_truth, purchases_client),
    "trust": Played("trust", trust_truth, trust_client),
}
