"""Tellody in the suite: purchases in every shape of a date, pages of 15."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from dagster_project.model.feed import VendorClient
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import Account
from dagster_project.sandbox.tellody.purchases import UNDATABLE_SHAPES
from dagster_project.sandbox.world import World
from dagster_project.vendors.tellody import client as tellody
from dagster_project.vendors.tellody.activity_rows import TOTALS
from tests.scenarios.conformance.entry import Entry, Played, Row
from tests.support.date_shapes import SHAPES


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


def activity_client(section: Any, store: VendorStore, world: World) -> VendorClient:
    return tellody.ActivityClient(section)


def purchases_client(section: Any, store: VendorStore, world: World) -> VendorClient:
    return tellody.PurchasesClient(section)


ENTRY: Final = Entry(
    config={
        "purchase_every_hours": 2.5,
        "first_purchase": "2024-05-09",
        "date_shapes": ["full", *SHAPES, *UNDATABLE_SHAPES],
        "per_page_cap": 15,
    },
    feeds={
        "tellody_activity": Played("tellody", activity_truth, activity_client),
        "tellody_purchases": Played("tellody", purchases_truth, purchases_client),
    },
    forget=tellody._sessions.clear,
    restore=lambda world: world.tellody._changed.clear(),
)
