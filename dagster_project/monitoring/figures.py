"""Figures for monitoring, read from the ledger: each query covers every account in one go.

What happened is counted over the last day by the server's clock, not since ever: receipts are
pruned, and a counter that shrinks is read as one that began anew. It is the clock at the statement's start:
``clock_timestamp()`` differs row by row, so that no index serves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from dagster_project import clock
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_value

CHANGES = ("received", "inserted", "updated", "deleted", "unchanged", "rejected")


@dataclass(frozen=True)
class AccountLoads:
    """What stands of an account, and what is wrong with it."""

    rows: int
    unsettled: int
    held: int
    loaded_at: datetime


Key = tuple[str, str]


def read_loads(connection: Connection) -> Mapping[Key, AccountLoads]:
    """By source and account."""
    found = connection.execute(
        "SELECT source, account, sum(rows), count(*) FILTER (WHERE NOT settled), count(held), max(loaded_at)"
        " FROM ops.day_state GROUP BY source, account"
    )
    return {(row[0], row[1]): AccountLoads(*row[2:]) for row in found}


def first_asked(connection: Connection, accounts: Collection[Key]) -> Mapping[Key, datetime]:
    """When the vendor was first asked for these accounts, by source and account."""
    found = connection.execute(
        "SELECT source, account, min(started_at) FROM ops.extraction"
        " JOIN unnest(%s::text[], %s::text[]) AS asked (source, account) USING (source, account)"
        " GROUP BY source, account",
        ([source for source, _ in accounts], [account for _, account in accounts]),
    )
    return {(row[0], row[1]): row[2] for row in found}


def last_asked(connection: Connection) -> datetime:
    """When any vendor was asked last; before the first time, when the warehouse was made."""
    found: datetime = fetch_value(
        connection,
        "SELECT coalesce((SELECT max(started_at) FROM ops.extraction),"
        " (SELECT min(applied_at) FROM ops.migration))",
    )
    return found


def asked(connection: Connection) -> list[tuple[str, str, str, int, int, int, int]]:
    """Source, account, outcome: windows of the last day, their requests, points and answers of 429."""
    return connection.execute(
        "SELECT source, account, outcome, count(*), sum(requests), sum(points),"
        " sum(coalesce((notes ->> 'answers_429')::int, 0))"
        " FROM ops.extraction WHERE started_at > statement_timestamp() + %s - interval '1 day'"
        " GROUP BY source, account, outcome",
        (clock.shift(),),
    ).fetchall()


def loaded(connection: Connection) -> list[tuple[Any, ...]]:
    """Source, account, and the last day's rows by change, in the order of ``CHANGES``."""
    sums = ", ".join(f"sum(rows_{change})" for change in CHANGES)
    query = (
        f"SELECT source, account, {sums} FROM ops.load_receipt"  # noqa: S608 - our own names
        " WHERE loaded_at > statement_timestamp() - interval '1 day' GROUP BY source, account"
    )
    return connection.execute(query.encode()).fetchall()


def rejects(connection: Connection) -> list[tuple[str, str, int]]:
    """Source, account, records that could not be loaded and still cannot."""
    return connection.execute(
        "SELECT source, account, count(*) FROM ops.rejected_record"
        " WHERE resolved_at IS NULL GROUP BY source, account"
    ).fetchall()


def spent(connection: Connection) -> Mapping[tuple[str, str, date], int]:
    """Points by source, account and day of the account's zone, of the last days."""
    found = connection.execute(
        "SELECT source, account, spent_on, points FROM ops.point_ledger"
        " WHERE spent_on >= current_date - 2"
    )
    return {(row[0], row[1], row[2]): row[3] for row in found}


def holds(connection: Connection) -> list[tuple[str, float]]:
    """Limiters that a 429 holds back, and for how many seconds yet."""
    return connection.execute(
        "SELECT limiter, extract(epoch FROM held_until - clock_timestamp())::float8"
        " FROM ops.request_slot WHERE held_until > clock_timestamp()"
    ).fetchall()
