"""``ops.reconciliation``: comparisons of a month with the vendor, and a month's sums in the warehouse.

Grain: one row for each time that the vendor was asked for an account's month. The newest row that did not
fail is valid until a day of the month is loaded again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from psycopg import sql

from dagster_project import clock
from dagster_project.model.table import Table
from dagster_project.model.window import Account, Window
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger.extractions import CODE_VERSION
from dagster_project.warehouse.load.conditions import window_condition
from dagster_project.warehouse.queries import fetch_row, fetch_value

Pair = tuple[int, int]
"""The vendor's figure, and the warehouse's."""


@dataclass(frozen=True)
class Comparison:
    """One comparison. ``undated``: rejects without a day, by which the records may differ."""

    month: date
    newest_receipt_id: int
    outcome: str
    asked_at: datetime
    figures: Mapping[str, Pair] = field(default_factory=dict)
    undated: int = 0
    failure: str | None = None
    requests: int = 0
    points: int = 0


def write_comparison(
    connection: Connection, account: Account, run_id: str | None, compared: Comparison
) -> None:
    """Write a comparison; it counts for the account's current day."""
    connection.execute(
        "INSERT INTO ops.reconciliation (source, account, month, asked_at, asked_on, run_id,"
        " newest_receipt_id, outcome, figures, undated, failure, requests, points, code_version)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            account.source,
            account.label,
            compared.month,
            compared.asked_at,
            clock.today(account.time_zone),
            run_id,
            compared.newest_receipt_id,
            compared.outcome,
            json.dumps(compared.figures) if compared.figures else None,
            compared.undated,
            compared.failure,
            compared.requests,
            compared.points,
            CODE_VERSION,
        ),
    )


def latest_comparisons(
    connection: Connection, source: str, accounts: Sequence[str]
) -> dict[tuple[str, date], Comparison]:
    """The newest comparison of each account and month that the vendor answered for."""
    rows = connection.execute(
        "SELECT DISTINCT ON (account, month) account, month, newest_receipt_id, outcome, asked_at,"
        " figures, undated, requests, points FROM ops.reconciliation"
        " WHERE source = %s AND account = ANY(%s) AND outcome <> 'failed'"
        " ORDER BY account, month, reconciliation_id DESC",
        (source, list(accounts)),
    ).fetchall()
    return {
        (account, month): Comparison(
            month=month,
            newest_receipt_id=row[0],
            outcome=row[1],
            asked_at=row[2],
            figures={name: (pair[0], pair[1]) for name, pair in (row[3] or {}).items()},
            undated=row[4],
            requests=row[5],
            points=row[6],
        )
        for account, month, *row in rows
    }


def count_asked_today(connection: Connection, account: Account) -> int:
    """Count how often the vendor was asked for a month of the account on the account's current day."""
    return int(
        fetch_value(
            connection,
            "SELECT count(*) FROM ops.reconciliation"
            " WHERE source = %s AND account = %s AND asked_on = %s",
            (account.source, account.label, clock.today(account.time_zone)),
        )
    )


def sum_days(
    connection: Connection, table: Table, window: Window, columns: Sequence[str]
) -> tuple[int, dict[str, int]]:
    """Count a window's rows and sum its columns; a column with a NULL has no sum."""
    sums = [
        sql.SQL("CASE WHEN count({c}) = count(*) THEN sum({c}) END").format(c=sql.Identifier(name))
        for name in columns
    ]
    row = fetch_row(
        connection,
        sql.SQL("SELECT {what} FROM warehouse.{table} WHERE {where}").format(
            what=sql.SQL(", ").join([sql.SQL("count(*)"), *sums]),
            table=sql.Identifier(table.name),
            where=window_condition(table, window),
        ),
    )
    known = zip(columns, row[1:], strict=True)
    return int(row[0]), {name: int(value) for name, value in known if value is not None}


def count_rejects(connection: Connection, window: Window) -> tuple[int, int]:
    """Count the rejects of a window's days, by their current receipts, and the rejects without a day."""
    row = fetch_row(
        connection,
        "WITH standing AS (SELECT d.receipt_id, d.extraction_id FROM ops.day_state d"
        "  WHERE d.source = %(source)s AND d.account = %(account)s"
        "  AND d.day BETWEEN %(first)s AND %(last)s)"
        " SELECT (SELECT coalesce(sum(r.rows_rejected), 0) FROM ops.load_receipt r"
        "  WHERE r.receipt_id IN (SELECT receipt_id FROM standing)),"
        " (SELECT coalesce(sum(j.times_in_window), 0) FROM ops.rejected_record j"
        "  WHERE j.source = %(source)s AND j.account = %(account)s AND j.day IS NULL"
        "  AND j.resolved_at IS NULL"
        "  AND j.last_extraction_id IN (SELECT extraction_id FROM standing))",
        {
            "source": window.account.source,
            "account": window.account.label,
            "first": window.first_day,
            "last": window.last_day,
        },
    )
    return int(row[0]), int(row[1])
