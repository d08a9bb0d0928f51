"""Reduction: remove numbers and texts of days older than ``PII_RETENTION_DAYS`` from rows, responses, rejects.

Grain: one account and day, one transaction; a reduced day is marked, so a stopped reduction continues where
it was. Loads reduce old days themselves; this module reduces the days that have become old since they were
loaded. ``prune`` deletes responses with only old days. In the responses of windows across the limit the old
days are reduced, and they can no longer be replayed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, timedelta

from dagster_project import clock
from dagster_project.model.window import Account, each_day
from dagster_project.privacy import suppression
from dagster_project.privacy.personal_data import Reducible
from dagster_project.privacy.stored_responses import rewrite_response
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.ledger.rejects import redact_rejects
from dagster_project.warehouse.load.day_locks import lock_days
from dagster_project.warehouse.load.rewrite import rewrite_day


def reduce_old(
    warehouse: Warehouse, secret: str, scopes: Sequence[Reducible], pii_days: int
) -> Counter[str]:
    """Reduce the days that have become old; return how many rows, days, responses and rejects were reduced."""
    counts: Counter[str] = Counter()
    with (
        warehouse.connect(what="reduce", autocommit=True) as books,
        warehouse.connect(what="reduce") as connection,
    ):
        # A load that began before midnight may write a day unreduced that is old by now.
        suppression.wait_for_earlier_loads(books, suppression.begin_change(books))
        key = suppression.reduction_key(suppression.master_key(books, secret))
        for part in scopes:
            for account in part.accounts(books):
                limit = suppression.reduced_before(account, pii_days)
                for day in _old_days(books, account, limit):
                    counts["rows"] += _reduce_day(connection, part, account, day, key)
                    counts["days"] += 1
                counts["responses"] += _reduce_responses(connection, part, account, limit)
            counts["rejects"] += _reduce_rejects(books, part, key, pii_days)
    return +counts


def retention_limits(
    connection: Connection, scopes: Sequence[Reducible], pii_days: int
) -> dict[tuple[str, str], date]:
    """By source and account, the first day whose responses may still be kept."""
    return {
        (account.source, account.label): suppression.reduced_before(account, pii_days)
        for part in scopes
        for account in part.accounts(connection)
    }


def _old_days(connection: Connection, account: Account, limit: date) -> list[date]:
    rows = connection.execute(
        "SELECT day FROM ops.day_state WHERE source = %s AND account = %s AND day < %s"
        " AND reduced_at IS NULL ORDER BY day",
        (account.source, account.label, limit),
    )
    return [row[0] for row in rows.fetchall()]


def _reduce_day(
    connection: Connection, part: Reducible, account: Account, day: date, key: bytes
) -> int:
    rows = rewrite_day(
        connection,
        part.table,
        account,
        day,
        lambda values: part.reduction.reduce_row(values, key),
        lock_whole=part.lock_whole,
    )
    connection.execute(
        "UPDATE ops.day_state SET reduced_at = now()"
        " WHERE source = %s AND account = %s AND day = %s",
        (account.source, account.label, day),
    )
    connection.commit()
    return rows


def _reduce_responses(
    connection: Connection, part: Reducible, account: Account, limit: date
) -> int:
    """Reduce the responses of windows across the limit, each in one transaction with the mark for replays."""

    def reduce_body(body: bytes) -> bytes | None:
        return part.reduction.reduce_body(body, limit, account)

    windows = connection.execute(
        "SELECT e.extraction_id, e.first_day FROM ops.extraction e WHERE e.source = %s"
        " AND e.account = %s AND e.first_day < %s AND e.last_day >= %s AND e.outcome <> 'started'"
        " AND coalesce(e.reduced_before, e.first_day) < %s"
        " AND EXISTS (SELECT FROM raw.response r WHERE r.extraction_id = e.extraction_id)",
        (account.source, account.label, limit, limit, limit),
    ).fetchall()
    connection.commit()
    changed = 0
    for extraction_id, first_day in windows:
        days = [date.min] if part.lock_whole else list(each_day(first_day, limit))
        lock_days(connection, account.source, account.label, days)
        connection.execute(
            "UPDATE ops.extraction SET reduced_before = %s WHERE extraction_id = %s",
            (limit, extraction_id),
        )
        places = connection.execute(
            "SELECT extraction_id, attempt, sequence FROM raw.response WHERE extraction_id = %s",
            (extraction_id,),
        ).fetchall()
        changed += sum(rewrite_response(connection, place, reduce_body) for place in places)
        connection.commit()
    return changed


def _reduce_rejects(connection: Connection, part: Reducible, key: bytes, pii_days: int) -> int:
    """Reduce old rejects, by the UTC day, since some records have no day of their account."""
    limit = clock.now().astimezone(UTC).date() - timedelta(days=pii_days)
    return redact_rejects(
        connection,
        part.source,
        lambda original: part.reduction.reduce_reject(original, key),
        before=limit,
    )
