"""``ops.rejected_record``: records that could not be loaded, with reason and original.

Grain: one row for each record and reason, however often the vendor sends it. A record that no longer comes
with a later load of its day is resolved, not deleted.

*New* rejects of a load are those that the day's current load did not have.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from dagster_project.model.batch import Reject
from dagster_project.model.receipt import REJECTED, Extraction, Receipt
from dagster_project.text.sanitize import sanitize
from dagster_project.text.scrub import hide_secrets
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger.load_receipts import REJECTED_UNDATED
from dagster_project.warehouse.queries import fetch_as

FORMS_SHOWN: Final = 2


def digest_of(original: str) -> bytes:
    """The hash by which a record is recognized."""
    return hashlib.sha256(original.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True)
class NewRejects:
    """New rejects by reason: ``dated`` by their day; ``undated``, for each day of the window, those
    without a day that are new to it. ``actual``: by reason, what came instead of the expected value."""

    dated: defaultdict[date, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    undated: defaultdict[date, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    actual: Mapping[str, Counter[str]] = field(default_factory=dict)

    def describe(self, reasons: Counter[str]) -> str:
        """Describe reasons: ``unreadable dateSent: 500, as 9999/99/99 instead of dd-mm-yyyy``."""
        return "; ".join(
            f"{reason}: {count:,}{self._form(reason)}" for reason, count in reasons.most_common()
        )

    def _form(self, reason: str) -> str:
        forms = [form for form, _ in self.actual.get(reason, Counter()).most_common(FORMS_SHOWN)]
        return f", {' or '.join(forms)}" if forms else ""


def new_rejects(
    connection: Connection,
    extraction: Extraction,
    rejects: Sequence[Reject],
    days: Sequence[date],
    standing: Mapping[date, Receipt],
) -> NewRejects:
    """Find which of a load's rejects are new to their days; ``standing`` are the days' current receipts.

    A record is recognized by its characters. If that is ambiguous (it came several times, or is stored
    under another day), as many of its reason count as known as the day's receipt has.
    """
    actual: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for reject in rejects:
        if reject.actual:
            actual[reject.reason][reject.actual] += 1
    found = NewRejects(actual=actual)
    times = Counter((r.day, digest_of(r.original), r.reason) for r in rejects)
    stored = _days_of_stored(connection, extraction, {digest for _, digest, _ in times})
    unlike: defaultdict[date | None, Counter[str]] = defaultdict(Counter)
    known: defaultdict[date | None, Counter[str]] = defaultdict(Counter)
    alike: defaultdict[date | None, Counter[str]] = defaultdict(Counter)
    for (day, digest, reason), count in times.items():
        if digest not in stored:
            unlike[day][reason] += count
        elif count == 1 and (day is None or stored[digest] & {day, None}):
            known[day][reason] += 1
        else:
            alike[day][reason] += count
    for day in days:
        notes = standing[day].notes if day in standing else {}
        for of_day, told, answer in (
            (day, notes.get(REJECTED, {}), found.dated),
            (None, notes.get(REJECTED_UNDATED, {}), found.undated),
        ):
            explained = Counter(told) - known[of_day]
            answer[day] = unlike[of_day] + (alike[of_day] - explained)
    return found


@dataclass(frozen=True)
class RejectedDay:
    """The rejects of one account, day and reason; ``day`` None: the records have no day.

    ``records`` counts each as often as it was in its last window; ``extraction_id`` is the latest one.
    """

    source: str
    account: str
    day: date | None
    reason: str
    records: int
    last_seen_at: datetime
    extraction_id: int


_OPEN_REJECTS = (
    " FROM ops.rejected_record WHERE resolved_at IS NULL"
    " AND (%(sources)s::text[] = '{}' OR source = ANY(%(sources)s))"
    " AND (%(accounts)s::text[] = '{}' OR account = ANY(%(accounts)s))"
    " AND (%(first)s::date IS NULL OR day >= %(first)s) AND (%(last)s::date IS NULL OR day <= %(last)s)"
)


def rejected_days(
    connection: Connection,
    sources: Sequence[str],
    accounts: Sequence[str],
    first: date | None,
    last: date | None,
) -> list[RejectedDay]:
    """The current rejects, newest day first, a day's most frequent reason first.

    Without names: all sources or accounts. If days are named, records without a day are left out.
    """
    return fetch_as(
        connection,
        RejectedDay,
        "SELECT source, account, day, reason, sum(times_in_window)::bigint AS records,"
        " max(last_seen_at) AS last_seen_at, max(last_extraction_id) AS extraction_id"
        f"{_OPEN_REJECTS} GROUP BY 1, 2, 3, 4"
        " ORDER BY source, account, day DESC NULLS FIRST, 5 DESC, reason",
        _query_values(sources, accounts, first, last),
    )


def rejected_originals(
    connection: Connection,
    sources: Sequence[str],
    accounts: Sequence[str],
    first: date | None,
    last: date | None,
) -> Iterator[dict[str, object]]:
    """The rejected records themselves, as stored, in the same order: personal data."""
    with connection.transaction(), connection.cursor("rejects") as cursor:
        cursor.execute(
            f"SELECT source, account, day::text, reason, original{_OPEN_REJECTS}"
            " ORDER BY source, account, day DESC NULLS FIRST, reason, record_sha256",
            _query_values(sources, accounts, first, last),
        )
        for row in cursor:
            yield dict(zip(("source", "account", "day", "reason", "original"), row, strict=True))


def _query_values(
    sources: Sequence[str], accounts: Sequence[str], first: date | None, last: date | None
) -> dict[str, object]:
    return {"sources": list(sources), "accounts": list(accounts), "first": first, "last": last}


def _days_of_stored(
    connection: Connection, extraction: Extraction, digests: set[bytes]
) -> dict[bytes, set[date | None]]:
    """For each of these records that is still rejected, the days under which it is stored."""
    found: dict[bytes, set[date | None]] = defaultdict(set)
    if digests:
        for digest, day in connection.execute(
            "SELECT record_sha256, day FROM ops.rejected_record WHERE source = %s AND account = %s"
            " AND record_sha256 = ANY(%s) AND resolved_at IS NULL",
            (extraction.source, extraction.account, list(digests)),
        ):
            found[digest].add(day)
    return dict(found)


def write_rejects(
    connection: Connection,
    extraction: Extraction,
    rejects: Iterable[Reject],
    days: Sequence[date] | None,
) -> None:
    """Write the rejects, each record once; call it after the receipts of these days are written.

    Earlier rejects of these days that did not come again are resolved; with ``days`` None (the whole
    history was read), those of every day and those without a day. A reject without a day is also resolved
    once every day of its window has a later load.
    """
    unique: dict[tuple[bytes, str], tuple[Reject, int]] = {}
    for reject in rejects:
        digest = digest_of(reject.original)
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
                        hide_secrets(reason),
                        reject.day,
                        sanitize(reject.original, Counter()),
                        times,
                        extraction.extraction_id,
                        extraction.extraction_id,
                    )
                    for (digest, reason), (reject, times) in unique.items()
                ],
            )
    connection.execute(
        _RESOLVE,
        {
            "source": extraction.source,
            "account": extraction.account,
            "every_day": days is None,
            "days": list(days or ()),
            "extraction": extraction.extraction_id,
        },
    )


_RESOLVE = (
    "UPDATE ops.rejected_record r SET resolved_at = now()"
    " WHERE source = %(source)s AND account = %(account)s AND resolved_at IS NULL"
    " AND last_extraction_id <> %(extraction)s AND (%(every_day)s OR day = ANY(%(days)s)"
    " OR (day IS NULL AND EXISTS (SELECT FROM ops.extraction e"
    "  WHERE e.extraction_id = r.last_extraction_id"
    "  AND NOT EXISTS (SELECT FROM generate_series(e.first_day, e.last_day, '1 day') AS d(day)"
    "   WHERE NOT EXISTS (SELECT FROM ops.day_state s WHERE s.source = r.source"
    "    AND s.account = r.account AND s.day = d.day::date"
    "    AND s.extraction_id > r.last_extraction_id)))))"
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
    """Change originals by ``change`` (which returns None to keep one); return how many were changed.

    ``before``: only records of earlier days, and records without a day that were last seen before it. If
    two records become equal, the later one stays. ``connection`` is in autocommit.
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
        new_digest = digest_of(new)
        with connection.transaction():
            stands = connection.execute(
                "SELECT FROM ops.rejected_record WHERE source = %s AND account = %s"
                " AND record_sha256 = %s AND reason = %s FOR UPDATE",
                (source, account, digest, reason),
            ).fetchone()
            if stands is None:  # a load or an erasure beside this one did it
                continue
            connection.execute(
                "DELETE FROM ops.rejected_record WHERE source = %s AND account = %s"
                " AND record_sha256 = %s AND reason = %s",
                (source, account, new_digest, reason),
            )
            connection.execute(
                "UPDATE ops.rejected_record SET original = %s, record_sha256 = %s,"
                " redacted_at = now() WHERE source = %s AND account = %s AND record_sha256 = %s"
                " AND reason = %s",
                (sanitize(new, Counter()), new_digest, source, account, digest, reason),
            )
        changed += 1
    return changed
