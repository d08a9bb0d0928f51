"""Delete stored responses, receipts and other ledger rows that are older than their retention.

Grain: small batches, each its own transaction, of rows that no load writes any more. If the process is
killed, the next one goes on.

The newest complete response of each loaded day stays, however old, since only it can rebuild the day; if it
holds personal data, it stays until ``pii_days`` after the day. Receipts and extractions in
``ops.day_state`` stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from psycopg import sql

from dagster_project import clock
from dagster_project.config.sections import RetentionSettings
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_value

RESPONSES_AT_ONCE = 200
ROWS_AT_ONCE = 5000


def prune(
    connection: Connection,
    retention: RetentionSettings,
    personal_until: Mapping[tuple[str, str], date],
) -> Counter[str]:
    """Delete everything that is too old; return how many rows of each table.

    ``connection`` commits by itself. ``personal_until``: by source and account, for those that hold
    personal data, the first day whose responses may still be kept.
    """
    counts: Counter[str] = Counter()
    old = clock.now() - timedelta(days=retention.raw_days)
    for source, account in _accounts(connection):
        kept_from = personal_until.get((source, account), date.min)
        ids = _disposable_extractions(connection, source, account, kept_from, old.isoformat())
        counts["raw.response"] += delete_responses(connection, ids)
    counts["raw.response"] += _delete_in_batches(connection, _EARLIER_ATTEMPTS, old.isoformat())
    old = clock.now() - timedelta(days=retention.receipt_days)
    for table, statement in _OLD_LEDGER_ROWS:
        counts[table] += _delete_in_batches(connection, statement, old.isoformat())
    counts["mart.rare_template"] += _forget_rare_templates(connection, retention.pii_days)
    return +counts


def _forget_rare_templates(connection: Connection, pii_days: int) -> int:
    """Delete the tallies of templates that were not sent for so long; should they return, they begin anew."""
    limit = clock.now().date() - timedelta(days=pii_days)
    return int(fetch_value(connection, "SELECT mart.prune_rare_templates(%s)", (limit,)))


def _accounts(connection: Connection) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT DISTINCT source, account FROM ops.extraction ORDER BY source, account"
    ).fetchall()


def _disposable_extractions(
    connection: Connection, source: str, account: str, kept_from: date, old: str
) -> list[int]:
    """Extractions whose responses no loaded day needs: old ones, and those of days before ``kept_from``.

    ``kept_from`` goes before age: a day that is loaded long after it ended is past it at once.
    """
    rows = connection.execute(
        "WITH newest AS ("
        "  SELECT DISTINCT e.extraction_id FROM ops.day_state d CROSS JOIN LATERAL ("
        "    SELECT x.extraction_id FROM ops.extraction x"
        "    WHERE x.source = d.source AND x.account = d.account AND x.outcome = 'complete'"
        "    AND d.day BETWEEN x.first_day AND x.last_day"
        "    AND d.day >= coalesce(x.reduced_before, x.first_day)"
        "    AND EXISTS (SELECT FROM raw.response r WHERE r.extraction_id = x.extraction_id)"
        "    ORDER BY x.extraction_id DESC LIMIT 1) e"
        "  WHERE d.source = %(source)s AND d.account = %(account)s AND d.day >= %(kept_from)s)"
        " SELECT e.extraction_id FROM ops.extraction e"
        " WHERE e.source = %(source)s AND e.account = %(account)s"
        " AND (e.last_day < %(kept_from)s OR (e.started_at < %(old)s"
        "   AND e.extraction_id NOT IN (SELECT extraction_id FROM newest)))"
        " AND e.outcome <> 'started'"
        " AND EXISTS (SELECT FROM raw.response r WHERE r.extraction_id = e.extraction_id)"
        " ORDER BY e.extraction_id",
        {"source": source, "account": account, "kept_from": kept_from, "old": old},
    )
    return [row[0] for row in rows]


def delete_responses(connection: Connection, extractions: Sequence[int]) -> int:
    """Delete the stored responses of these extractions, in small portions; answers how many there were."""
    deleted = 0
    for at in range(0, len(extractions), ROWS_AT_ONCE):
        ids = list(extractions[at : at + ROWS_AT_ONCE])
        while True:
            gone = connection.execute(
                "DELETE FROM raw.response WHERE (extraction_id, attempt, sequence) IN (SELECT"
                " extraction_id, attempt, sequence FROM raw.response"
                " WHERE extraction_id = ANY(%s) LIMIT %s)",
                (ids, RESPONSES_AT_ONCE),
            ).rowcount
            deleted += gone
            if gone < RESPONSES_AT_ONCE:
                break
    return deleted


def _delete_in_batches(connection: Connection, statement: sql.SQL, old: str) -> int:
    deleted = 0
    while True:
        gone = connection.execute(statement, {"old": old, "limit": ROWS_AT_ONCE}).rowcount
        deleted += gone
        if gone < ROWS_AT_ONCE:
            return deleted


_EARLIER_ATTEMPTS = sql.SQL(
    "DELETE FROM raw.response WHERE (extraction_id, attempt, sequence) IN (SELECT r.extraction_id,"
    " r.attempt, r.sequence FROM raw.response r JOIN ops.extraction e USING (extraction_id)"
    " WHERE e.started_at < %(old)s AND e.outcome <> 'started' AND EXISTS (SELECT FROM raw.response n"
    " WHERE n.extraction_id = r.extraction_id AND n.attempt > r.attempt) LIMIT %(limit)s)"
)

_OLD_LEDGER_ROWS = (
    (
        "ops.load_receipt",
        sql.SQL(
            "DELETE FROM ops.load_receipt WHERE receipt_id IN (SELECT r.receipt_id"
            " FROM ops.load_receipt r WHERE r.loaded_at < %(old)s AND NOT EXISTS (SELECT"
            " FROM ops.day_state d WHERE d.source = r.source AND d.account = r.account"
            " AND d.day = r.day AND d.receipt_id = r.receipt_id) LIMIT %(limit)s)"
        ),
    ),
    (
        "ops.extraction",
        sql.SQL(
            "DELETE FROM ops.extraction WHERE extraction_id IN (SELECT e.extraction_id"
            " FROM ops.extraction e WHERE e.started_at < %(old)s"
            " AND NOT EXISTS (SELECT FROM ops.day_state d WHERE d.extraction_id = e.extraction_id"
            "  AND d.source = e.source AND d.account = e.account)"
            " AND NOT EXISTS (SELECT FROM ops.load_receipt l WHERE l.source = e.source"
            "  AND l.account = e.account AND l.day BETWEEN e.first_day AND e.last_day"
            "  AND l.extraction_id = e.extraction_id)"
            " AND NOT EXISTS (SELECT FROM raw.response r WHERE r.extraction_id = e.extraction_id)"
            " LIMIT %(limit)s)"
        ),
    ),
    (
        "ops.rejected_record",
        sql.SQL(
            "DELETE FROM ops.rejected_record WHERE (source, account, record_sha256, reason) IN"
            " (SELECT source, account, record_sha256, reason FROM ops.rejected_record"
            " WHERE resolved_at < %(old)s LIMIT %(limit)s)"
        ),
    ),
    (
        "ops.alarm",
        sql.SQL(
            "DELETE FROM ops.alarm WHERE alarm_id IN (SELECT alarm_id FROM ops.alarm"
            " WHERE raised_at < %(old)s LIMIT %(limit)s)"
        ),
    ),
    (
        "ops.point_ledger",
        sql.SQL(
            "DELETE FROM ops.point_ledger WHERE (source, account, spent_on) IN (SELECT source,"
            " account, spent_on FROM ops.point_ledger WHERE changed_at < %(old)s LIMIT %(limit)s)"
        ),
    ),
)
