"""``ops.load_receipt`` and ``ops.day_state``: what each load did to a day, and the day's current state.

Receipts are written in the transaction of the rows they describe, so a receipt exists exactly if its rows
do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from psycopg import sql

from dagster_project.model.receipt import DayState, Receipt
from dagster_project.model.window import Account, Window
from dagster_project.text.remedies import load_command
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_as

IN_WINDOW = "in_window"
"""In a receipt's notes: what was noticed in its whole window, by name."""
REJECTED_UNDATED = "rejected_undated"
"""In a receipt's notes: the same of records of its window that have no day."""


def rows_of_days(connection: Connection, window: Window) -> dict[date, int]:
    """The rows of each day of the window that was ever loaded."""
    rows = connection.execute(
        "SELECT day, rows FROM ops.day_state"
        " WHERE source = %s AND account = %s AND day BETWEEN %s AND %s",
        (window.account.source, window.account.label, window.first_day, window.last_day),
    ).fetchall()
    return {day: int(count) for day, count in rows}


def read_checksums(connection: Connection, account: Account) -> dict[date, str]:
    """The checksum of the rows of each loaded day of an account."""
    rows = connection.execute(
        "SELECT day, checksum FROM ops.day_state WHERE source = %s AND account = %s",
        (account.source, account.label),
    )
    return {day: str(checksum) for day, checksum in rows}


def read_points_of_accounts(
    connection: Connection, days: Mapping[Account, date]
) -> dict[Account, tuple[int, int]]:
    """Read each account's points spent on its day, and the points reserved by windows under way."""
    rows = connection.execute(
        "SELECT coalesce(l.points, 0), ops.points_held(asked.source, asked.account, asked.day, NULL)"
        " FROM unnest(%s::text[], %s::text[], %s::date[])"
        "  WITH ORDINALITY AS asked (source, account, day, place)"
        " LEFT JOIN ops.point_ledger l ON l.source = asked.source AND l.account = asked.account"
        "  AND l.spent_on = asked.day ORDER BY place",
        ([one.source for one in days], [one.label for one in days], list(days.values())),
    )
    found = ((int(spent), int(held)) for spent, held in rows)
    return dict(zip(days, found, strict=True))


def day_states(
    connection: Connection, source: str, account: str, days: Sequence[date]
) -> dict[date, DayState]:
    """The state of each of these days that was ever loaded."""
    states = fetch_as(
        connection,
        DayState,
        "SELECT day, receipt_id, extraction_id, observed_at, checksum, settled, held FROM ops.day_state"
        " WHERE source = %s AND account = %s AND day = ANY(%s)",
        (source, account, list(days)),
    )
    return {state.day: state for state in states}


def days_of_other_zones(
    connection: Connection, accounts: Sequence[Account]
) -> list[tuple[str, str]]:
    """Sentences on days that were dated in another time zone than their account's, each with its command."""
    rows = connection.execute(
        "SELECT source, account, s.time_zone, asked.time_zone, min(day), max(day), count(*)"
        " FROM ops.day_state s JOIN unnest(%s::text[], %s::text[], %s::text[])"
        "  WITH ORDINALITY AS asked (source, account, time_zone, place) USING (source, account)"
        " WHERE s.time_zone <> asked.time_zone"
        " GROUP BY source, account, s.time_zone, asked.time_zone, place ORDER BY place, s.time_zone",
        (
            [account.source for account in accounts],
            [account.label for account in accounts],
            [account.time_zone.key for account in accounts],
        ),
    ).fetchall()
    return [
        (
            f"{source} {account}: {pluralize(days, 'day')} from {first} to {last} stand as"
            f" days of {zone}, and the time zone is {present} now.",
            load_command(source, account, first, last, verb="replay"),
        )
        for source, account, zone, present, first, last, days in rows
    ]


def committed_by_runs(
    connection: Connection, source: str, run_ids: Sequence[str]
) -> Mapping[tuple[str, date], Receipt]:
    """The last receipt of each account and day that one of these runs committed."""
    query = sql.SQL(
        "SELECT DISTINCT ON (account, day) {} FROM ops.load_receipt"
        " WHERE source = %s AND run_id = ANY(%s) ORDER BY account, day, receipt_id DESC"
    ).format(_RECEIPT)
    found = fetch_as(connection, Receipt, query, (source, list(run_ids)))
    return {(receipt.account, receipt.day): receipt for receipt in found}


@dataclass(slots=True)
class _ReceiptOfRun(Receipt):
    run_id: str = ""


def unreported(connection: Connection, source: str) -> dict[str, list[Receipt]]:
    """By run, the last receipt of each account and day that was not yet reported to Dagster."""
    query = sql.SQL(
        "SELECT DISTINCT ON (account, day) {}, run_id FROM ops.load_receipt WHERE source = %s"
        " AND reported_at IS NULL AND run_id IS NOT NULL ORDER BY account, day, receipt_id DESC"
    ).format(_RECEIPT)
    by_run: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in fetch_as(connection, _ReceiptOfRun, query, (source,)):
        by_run[receipt.run_id].append(receipt)
    return by_run


def mark_reported(connection: Connection, receipts: Sequence[Receipt]) -> None:
    """Note that these loads, and all earlier ones of their days, were reported to Dagster."""
    last: dict[tuple[str, date], int] = {}
    for receipt in receipts:
        key = (receipt.source, receipt.day)
        last[key] = max(last.get(key, 0), receipt.receipt_id)
    if last:
        connection.execute(
            "UPDATE ops.load_receipt l SET reported_at = now()"
            " FROM unnest(%s::text[], %s::date[], %s::bigint[]) AS told (source, day, receipt_id)"
            " WHERE l.source = told.source AND l.day = told.day"
            " AND l.receipt_id <= told.receipt_id AND l.reported_at IS NULL AND l.run_id IS NOT NULL",
            ([s for s, _ in last], [day for _, day in last], list(last.values())),
        )


def days_of_all(
    connection: Connection, source: str, accounts: Sequence[str], days: Sequence[date]
) -> set[date]:
    """Those of the days that every one of these accounts has loaded."""
    rows = connection.execute(
        "SELECT day FROM ops.day_state WHERE source = %s AND account = ANY(%s) AND day = ANY(%s)"
        " GROUP BY day HAVING count(*) = %s",
        (source, list(accounts), list(days), len(accounts)),
    )
    return {row[0] for row in rows}


def missing_days(
    connection: Connection, source: str, asked: Sequence[tuple[str, date]]
) -> set[date]:
    """Those of the days that one of these accounts has not loaded; each account with days of its own."""
    rows = connection.execute(
        "SELECT DISTINCT asked.day FROM unnest(%s::text[], %s::date[]) AS asked (account, day)"
        " WHERE NOT EXISTS (SELECT FROM ops.day_state s WHERE s.source = %s"
        "  AND s.account = asked.account AND s.day = asked.day)",
        ([account for account, _ in asked], [day for _, day in asked], source),
    )
    return {row[0] for row in rows}


def read_receipts(
    connection: Connection, source: str, account: str, days: Sequence[date]
) -> list[Receipt]:
    """Read the current receipts of these days."""
    query = sql.SQL(
        "SELECT {} FROM ops.load_receipt WHERE receipt_id IN (SELECT receipt_id"
        " FROM ops.day_state WHERE source = %s AND account = %s AND day = ANY(%s))"
    ).format(_RECEIPT)
    return fetch_as(connection, Receipt, query, (source, account, list(days)))


def read_receipts_of_one_load(
    connection: Connection, window: Window, encoding: str
) -> list[Receipt]:
    """The current receipts of the window's days, if one load of just these days left them all.

    Empty if it is not so, if its rows were encoded in another way or rewritten since, or if something was held
    back, rejected or noticed of a single day.
    """
    query = sql.SQL(
        "SELECT {} FROM ops.load_receipt WHERE receipt_id IN (SELECT receipt_id"
        " FROM ops.day_state s JOIN ops.load_receipt r USING (receipt_id)"
        " JOIN ops.extraction e ON e.extraction_id = r.extraction_id"
        " WHERE s.source = %(source)s AND s.account = %(account)s"
        " AND s.day BETWEEN %(first)s AND %(last)s"
        " AND s.extraction_id = r.extraction_id AND s.checksum = r.checksum"
        " AND s.held IS NULL AND s.reduced_at IS NULL"
        " AND r.encoding = %(encoding)s AND r.rows_rejected = 0"
        " AND e.outcome = 'complete' AND e.reduced_before IS NULL"
        " AND (e.first_day, e.last_day) = (%(first)s, %(last)s))"
    ).format(_RECEIPT)
    values = {
        "source": window.account.source,
        "account": window.account.label,
        "first": window.first_day,
        "last": window.last_day,
        "encoding": encoding,
    }
    receipts = fetch_as(connection, Receipt, query, values)
    is_one_load = len({receipt.extraction_id for receipt in receipts}) == 1
    is_plain = all(receipt.notes.keys() <= {IN_WINDOW} for receipt in receipts)
    return receipts if is_one_load and is_plain and len(receipts) == len(window.days) else []


def read_receipts_of_days(
    connection: Connection, source: str, days: Mapping[str, date]
) -> dict[str, list[Receipt]]:
    """The receipts that stand for a day of each account, by account."""
    query = sql.SQL(
        "SELECT {} FROM ops.load_receipt WHERE receipt_id IN (SELECT receipt_id"
        " FROM ops.day_state JOIN unnest(%s::text[], %s::date[]) AS asked (account, day)"
        " USING (account, day) WHERE source = %s)"
    ).format(_RECEIPT)
    found = fetch_as(connection, Receipt, query, (list(days), list(days.values()), source))
    return {receipt.account: [receipt] for receipt in found}


@dataclass(frozen=True, slots=True)
class LoadedMonth:
    """The loaded days of an account's calendar month. ``days`` is empty where the month is whole."""

    account: str
    first_day: date
    newest_receipt_id: int
    is_whole: bool
    days: Sequence[date]
    unsettled: Sequence[date]
    held: Sequence[date]


def loaded_months(
    connection: Connection, source: str, before: Mapping[str, date]
) -> list[LoadedMonth]:
    """The months with a loaded day before a day of each account, newest first."""
    return fetch_as(
        connection,
        LoadedMonth,
        "SELECT account, first_day, newest_receipt_id, is_whole,"
        " CASE WHEN is_whole THEN '{}' ELSE days END AS days, unsettled, held"
        " FROM (SELECT account, month AS first_day, max(receipt_id) AS newest_receipt_id,"
        "   count(*) = (month + interval '1 month')::date - month AS is_whole,"
        "   array_agg(day) AS days,"
        "   coalesce(array_agg(day ORDER BY day) FILTER (WHERE NOT settled), '{}') AS unsettled,"
        "   coalesce(array_agg(day ORDER BY day) FILTER (WHERE held IS NOT NULL), '{}') AS held"
        "  FROM (SELECT account, date_trunc('month', day::timestamp)::date AS month, day, receipt_id,"
        "    settled, held FROM ops.day_state"
        "    JOIN unnest(%s::text[], %s::date[]) AS asked (account, before) USING (account)"
        "    WHERE source = %s AND day < before) s GROUP BY account, month) m"
        " ORDER BY first_day DESC",
        (list(before), list(before.values()), source),
    )


def read_receipts_of_months(
    connection: Connection, source: str, months: Sequence[tuple[str, date]]
) -> list[Receipt]:
    """The receipts that stand for the days of these accounts' months, by first day; in order of days."""
    query = sql.SQL(
        "SELECT {} FROM ops.load_receipt WHERE receipt_id IN (SELECT receipt_id FROM ops.day_state"
        " JOIN unnest(%s::text[], %s::date[]) AS asked (account, month) USING (account)"
        " WHERE source = %s AND day >= month AND day < month + interval '1 month') ORDER BY day"
    ).format(_RECEIPT)
    values = ([account for account, _ in months], [month for _, month in months], source)
    return fetch_as(connection, Receipt, query, values)


def newest_of_months(
    connection: Connection, source: str, months: Sequence[tuple[str, date]]
) -> dict[tuple[str, date], int]:
    """The newest receipt that stands in each of these accounts' months, by account and first day."""
    rows = connection.execute(
        "SELECT account, month, max(receipt_id) FROM ops.day_state"
        " JOIN unnest(%s::text[], %s::date[]) AS asked (account, month) USING (account)"
        " WHERE source = %s AND day >= month AND day < month + interval '1 month'"
        " GROUP BY account, month",
        ([account for account, _ in months], [month for _, month in months], source),
    )
    return {(account, month): receipt_id for account, month, receipt_id in rows}


_RECEIPT = sql.SQL(
    "source, account, day, extraction_id, observed_at, is_replay, rows_received, rows_inserted,"
    " rows_updated, rows_deleted, rows_unchanged, rows_rejected, rows_final, checksum,"
    " coalesce(notes, '{{}}') AS notes, receipt_id, true AS already_there"
).format()
