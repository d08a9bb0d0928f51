"""Rejected records: what could not be loaded, kept with its reason and its original.

Grain: one row a record and reason, however often the vendor answers with it. A record that a later
load of its day no longer meets is resolved, not deleted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from dagster_project.model import Reject
from dagster_project.scrub import without_secrets
from dagster_project.storable import storable
from dagster_project.warehouse.ledger import Connection, Extraction


def write_rejects(
    connection: Connection,
    extraction: Extraction,
    rejects: Iterable[Reject],
    days: Sequence[date] | None,
) -> None:
    """Keep what could not be loaded, each record once.

    Earlier rejects of these days that did not come again are resolved; with ``days`` None (all that
    the source has was read) those of every day, and those without one.
    """
    unique: dict[tuple[bytes, str], tuple[Reject, int]] = {}
    for reject in rejects:
        digest = hashlib.sha256(reject.original.encode("utf-8", "surrogatepass")).digest()
        _, times = unique.get((digest, reject.reason), (reject, 0))
        unique[digest, reject.reason] = (reject, times + 1)
    if unique:
        with connection.cursor() as cursor:
            cursor.executemany(
                _UPSERT_REJECT,
                [
                    (
                        extraction.source,
                        extraction.account,
                        digest,
                        without_secrets(reason),
                        reject.day,
                        storable(reject.original, Counter()),
                        times,
                        extraction.extraction_id,
                        extraction.extraction_id,
                    )
                    for (digest, reason), (reject, times) in unique.items()
                ],
            )
    every_day = days is None
    connection.execute(
        "UPDATE ops.rejected_record SET resolved_at = now() WHERE source = %s AND account = %s"
        " AND (%s OR day = ANY(%s)) AND resolved_at IS NULL AND last_extraction_id <> %s",
        (
            extraction.source,
            extraction.account,
            every_day,
            list(days or ()),
            extraction.extraction_id,
        ),
    )


_UPSERT_REJECT = (
    "INSERT INTO ops.rejected_record AS r (source, account, record_sha256, reason, day, original,"
    " times_in_window, first_extraction_id, last_extraction_id)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
    " ON CONFLICT (source, account, record_sha256, reason) DO UPDATE SET"
    " day = excluded.day, times_in_window = excluded.times_in_window,"
    " last_extraction_id = excluded.last_extraction_id, last_seen_at = now(), resolved_at = NULL"
)


def redact_rejects(
    connection: Connection,
    source: str,
    change: Callable[[str], str | None],
    before: date | None = None,
) -> int:
    """Let ``change`` say what each original becomes (None: what it is); how many it changed.

    ``before``: of earlier days alone, and of records of no day that were not seen since. Where two
    records come to be one, the later one stands. ``connection`` commits by itself.
    """
    rows = connection.execute(
        "SELECT account, record_sha256, reason, original FROM ops.rejected_record"
        " WHERE source = %s AND (%s::date IS NULL"
        "  OR coalesce(day, (last_seen_at AT TIME ZONE 'UTC')::date) < %s)",
        (source, before, before),
    ).fetchall()
    changed = 0
    for account, digest, reason, original in rows:
        new = change(original)
        if new is None:
            continue
        new_digest = hashlib.sha256(new.encode("utf-8", "surrogatepass")).digest()
        with connection.transaction():
            connection.execute(
                "DELETE FROM ops.rejected_record WHERE source = %s AND account = %s"
                " AND record_sha256 = %s AND reason = %s",
                (source, account, new_digest, reason),
            )
            connection.execute(
                "UPDATE ops.rejected_record SET original = %s, record_sha256 = %s,"
                " redacted_at = now() WHERE source = %s AND account = %s AND record_sha256 = %s"
                " AND reason = %s",
                (storable(new, Counter()), new_digest, source, account, digest, reason),
            )
        changed += 1
    return changed
