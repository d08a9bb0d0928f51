"""Calltouch in the suite: two sites, pages of 25 rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, Final

from dagster_project.model.feed import VendorClient
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import Account
from dagster_project.sandbox.calltouch.vendor import Site
from dagster_project.sandbox.world import World
from dagster_project.text.sanitize import sanitize
from dagster_project.transport.rate_limiter import RateLimiter
from dagster_project.vendors.calltouch.client import CalltouchClient
from tests.scenarios.conformance.entry import Entry, Played, Row

ROWS_A_PAGE: Final = 25
"""Small pages, so that a window of a hundred rows has several."""


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


def calltouch_client(section: Any, store: VendorStore, world: World) -> VendorClient:
    return CalltouchClient(
        section,
        RateLimiter(store.limits()),
        now=world.clock.now,
        rows_a_page=ROWS_A_PAGE,
        pause=lambda seconds: None,
    )


def undo_changes(world: World) -> None:
    if world.calltouch.changed:
        world.calltouch.redraw(undo_changes=True)


ENTRY: Final = Entry(
    config={
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
    feeds={
        "calltouch": Played(
            "calltouch",
            calltouch_truth,
            calltouch_client,
            unnoticed=frozenset({"unseen_status", "even_drift"}),
        )
    },
    restore=undo_changes,
)
