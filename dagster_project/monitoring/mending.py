"""The commands that load an account's days again, as the ledger says that they have to be loaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
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
from dagster_project.warehouse.vendor_store import OneLook


@dataclass(frozen=True)
class Ledger:
    """Where it is read how accounts stand, and the settings that say which there are."""

    settings: Settings
    warehouse: Warehouse
    connection: Connection


def replay_mends(
    connection: Connection, days: Mapping[Account, Collection[date]]
) -> dict[Account, set[date]]:
    """Those of each account's days that another version loaded: what this one reads otherwise, a replay changes."""
    accounts = {(account.source, account.label): account for account in days}
    pairs = [(account, day) for account, of_account in days.items() for day in of_account]
    found: dict[Account, set[date]] = {account: set() for account in days}
    for source, label, day in connection.execute(
        "SELECT s.source, s.account, s.day FROM unnest(%s::text[], %s::text[], %s::date[])"
        "  AS asked (source, account, day) JOIN ops.day_state s USING (source, account, day)"
        " JOIN ops.load_receipt r ON r.receipt_id = s.receipt_id WHERE r.code_version <> %s",
        (
            [account.source for account, _ in pairs],
            [account.label for account, _ in pairs],
            [day for _, day in pairs],
            CODE_VERSION,
        ),
    ):
        found[accounts[source, label]].add(day)
    return found


def mending_commands(
    ledger: Ledger, feed: Feed, days: Mapping[Account, Collection[date]], verb: Verb = "backfill"
) -> dict[Account, list[str]]:
    """By account, the commands that load its days; as many queries for a thousand accounts as for one.

    A day whose newer answer is held is loaded with the option that takes it; for a day that the vendor
    cannot be asked for any more there is no command.
    """
    held = {
        (one.account, one.day): tuple(one.kinds)
        for one in held_days(ledger.connection, feed.source)
    }
    store = OneLook(ledger.warehouse)
    commands: dict[Account, list[str]] = {}
    for account, of_account in days.items():
        mended: Collection[date] = of_account
        if verb == "backfill":
            today = clock.today(account.time_zone)
            mended = {*mended}.intersection(
                feed.night_days(ledger.settings, store, today, of_account)
            )
        by_kinds: dict[tuple[str, ...], list[date]] = defaultdict(list)
        for day in mended:
            by_kinds[held.get((account.label, day), ())].append(day)
        commands[account] = [
            command
            for kinds, of_kinds in by_kinds.items()
            for command in load_commands(
                feed.source, account.label, of_kinds, verb=verb, accept=kinds
            )
        ]
    return commands
