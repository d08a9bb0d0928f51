"""Trust in the suite: two companies, both busy."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from dagster_project.model.feed import VendorClient
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import Account
from dagster_project.sandbox.world import World
from dagster_project.vendors.trust import client as trust
from dagster_project.vendors.trust import token
from tests.scenarios.conformance.entry import Entry, Played, Row


def trust_truth(world: World, account: Account, first: date, last: date) -> Iterable[Row]:
    return world.trust.truth({"company": account.label, "first": str(first), "last": str(last)})


def trust_client(section: Any, store: VendorStore, world: World) -> VendorClient:
    return trust.TrustClient(section, proofs=store.proofs, now=world.clock.now)


ENTRY: Final = Entry(
    config={"companies": [11, 12], "quiet": []},
    feeds={"trust": Played("trust", trust_truth, trust_client)},
    forget=token._refused.clear,
)
