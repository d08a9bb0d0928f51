"""Settings of Trust alone, and a warehouse that has learnt that its server ignores ranges."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

from dagster_project import clock
from dagster_project.config.settings import Settings, load_settings
from dagster_project.feeds import FEEDS
from dagster_project.model.range_proof import RangeProof
from dagster_project.model.window import Account
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.range_proofs import RangeProofs

SERVER = "https://trust.example"
TRUST = next(feed for feed in FEEDS if feed.source == "trust")
COMPANY = Account("trust", "7", ZoneInfo("America/Santiago"))


def trust_settings(*companies: str) -> Settings:
    given = {
        "TRUST_BASE_URL": SERVER,
        "TRUST_AUTH_URL": SERVER,
        "TRUST_CLIENT_ID": "x",
        "TRUST_CLIENT_SECRET": "x",
        "TRUST_COMPANY_IDS": ",".join(companies or [COMPANY.label]),
        "TRUST_RANGE_PARAMS": "a,b",
    }
    return load_settings(given, dotenv=None)


def learn_that_ranges_are_ignored(warehouse: Warehouse) -> None:
    learn(warehouse, "ignored")


def learn(warehouse: Warehouse, state: Literal["honoured", "ignored"]) -> None:
    RangeProofs(warehouse).save(
        RangeProof("trust", SERVER, "a,b", state, COMPANY.label, clock.now(), "seen", {})
    )
