"""The commands that load an account's days again, as the ledger says that they have to be loaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.model.feed import Feed
from dagster_project.model.window import Account
from dagster_project.text.remedies import Verb, load_commands
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.ledger.extractions import CODE_VERSION
from dagster_project.warehouse.ledger.held_days import held_days
from dagster_project.warehouse.vendor_store import WarehouseStore


@dataclass(frozen=True)
class Ledger:
    """Where it is read how accounts stand, and the settings that say which there are."""

    settings: Settings
    warehouse: Warehouse
    connection: Connection


def replay_mends(connection: Connection, account: Account, days: Collection[date]) -> set[date]:
    """Those of the days that another version loaded: what this one reads otherwise, a replay changes."""
    rows = connection.execute(
        "SELECT s.day FROM ops.day_state s JOIN ops.load_receipt r USING (receipt_id)"
        " WHERE s.source = %s AND s.account = %s AND s.day = ANY(%s) AND r.code_version <> %s",
        (account.source, account.label, list(days), CODE_VERSION),
    )
    return {row[0] for row in rows}


def mending_commands(
    ledger: Ledger, feed: Feed, account: Account, days: Collection[date], verb: Verb = "backfill"
) -> list[str]:
    """The commands that load these days of an account.

    A day whose newer answer is held is loaded with the option that takes it; for a day that the vendor
    cannot be asked for any more there is no command.
    """
    held = {
        one.day: tuple(one.kinds)
        for one in held_days(ledger.connection, feed.source, account.label)
    }
    if verb == "backfill":
        store, today = WarehouseStore(ledger.warehouse), clock.today(account.time_zone)
        days = set(days).intersection(feed.night_days(ledger.settings, store, today, days))
    by_kinds: dict[tuple[str, ...], list[date]] = defaultdict(list)
    for day in days:
        by_kinds[held.get(day, ())].append(day)
    return [
        command
        for kinds, of_kinds in by_kinds.items()
        for command in load_commands(feed.source, account.label, of_kinds, verb=verb, accept=kinds)
    ]
