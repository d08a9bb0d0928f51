"""How things stand, read from the ledger: for every source and account what is good, and what is red.

Grain: one ``AccountStatus`` a source and account. A *gap* is a due day after the first loaded one that has no
receipt (``lateness.py``). A day is *red* for a reason: it is a gap, it was asked for in vain, a
newer answer is held, the last attempt failed, its records did not add up, some were rejected, or it is dated in the
future. Each reason names where it is
told: the receipt, the extraction.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from dagster_project import clock
from dagster_project.monitoring.lateness import Expected, lateness
from dagster_project.warehouse.connection import Connection

Remedy = Literal["backfill", "accept", "replay"]


@dataclass(frozen=True, slots=True)
class Red:
    """Why a day is red. ``remedy``: ask again, take the held answer, or rebuild from what is stored.

    ``kinds``: the options that take the held answer, as in ``--accept-shrink``.
    """

    day: date
    why: str
    remedy: Remedy
    receipt_id: int | None = None
    extraction_id: int | None = None
    kinds: tuple[str, ...] = ()

    @property
    def recorded_in(self) -> str:
        """``receipt 12, extraction 7``."""
        known = (("receipt", self.receipt_id), ("extraction", self.extraction_id))
        return ", ".join(f"{name} {number}" for name, number in known if number is not None)


@dataclass(frozen=True)
class AccountStatus:
    """One account of one source. ``gaps`` and ``unsettled`` are days; ``rows`` what stands.

    ``last_good_day`` is the last day before the first gap, ``last_day`` the last one loaded at all.
    """

    source: str
    account: str
    first_day: date | None
    last_day: date | None
    last_good_day: date | None
    days: int
    rows: int
    gaps: tuple[date, ...]
    unsettled: tuple[date, ...]
    held: tuple[tuple[date, str], ...]
    rejects: int
    last_loaded_at: datetime | None
    last_failure: str | None
    last_failed_at: datetime | None
    red: tuple[Red, ...]

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed and nothing was loaded since."""
        failed, loaded = self.last_failed_at, self.last_loaded_at
        return failed is not None and (loaded is None or failed > loaded)

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "account": self.account,
            "first_day": _text(self.first_day),
            "last_day": _text(self.last_day),
            "last_good_day": _text(self.last_good_day),
            "days": self.days,
            "rows": self.rows,
            "gaps": [day.isoformat() for day in self.gaps],
            "unsettled": [day.isoformat() for day in self.unsettled],
            "held": {day.isoformat(): reason for day, reason in self.held},
            "rejects": self.rejects,
            "last_loaded_at": _text(self.last_loaded_at),
            "last_failure": self.last_failure,
            "last_failed_at": _text(self.last_failed_at),
        }


def _text(value: date | datetime | None) -> str | None:
    return value.isoformat() if value is not None else None


def read_account_status(connection: Connection, expected: Expected) -> AccountStatus:
    """How an account stands, and what of it is red."""
    source, account = expected.key
    days = connection.execute(
        "SELECT day, rows, settled, held, loaded_at FROM ops.day_state"
        " WHERE source = %s AND account = %s ORDER BY day",
        (source, account),
    ).fetchall()
    rejects = connection.execute(
        "SELECT count(*) FROM ops.rejected_record"
        " WHERE source = %s AND account = %s AND resolved_at IS NULL",
        (source, account),
    ).fetchone()
    failure = connection.execute(
        "SELECT failure, finished_at FROM ops.extraction WHERE source = %s AND account = %s"
        " AND outcome = 'failed' ORDER BY extraction_id DESC LIMIT 1",
        (source, account),
    ).fetchone()
    loaded = {row[0] for row in days}
    first, last = min(loaded, default=None), max(loaded, default=None)
    gaps = lateness(connection, [expected])[expected.key].missing
    in_vain = set() if expected.whole_history else _asked_in_vain(connection, expected)
    unloaded = sorted(in_vain.union(gaps))
    held = {row[0]: row[3] for row in days if row[3]}
    return AccountStatus(
        source=source,
        account=account,
        first_day=first,
        last_day=last,
        last_good_day=max((day for day in loaded if not gaps or day < gaps[0]), default=None),
        days=len(loaded),
        rows=sum(row[1] for row in days),
        gaps=gaps,
        unsettled=tuple(row[0] for row in days if not row[2]),
        held=tuple(held.items()),
        rejects=rejects[0] if rejects else 0,
        last_loaded_at=max((row[4] for row in days), default=None),
        last_failure=_said(failure[0]) if failure else None,
        last_failed_at=failure[1] if failure else None,
        red=tuple(sorted(_red(connection, source, account, unloaded, held), key=lambda r: r.day)),
    )


def _asked_in_vain(connection: Connection, expected: Expected) -> set[date]:
    """Days without a receipt whose window failed, wherever they lie; for want of points is no failure."""
    rows = connection.execute(
        "SELECT DISTINCT asked.day::date FROM ops.extraction e,"
        " generate_series(e.first_day, least(e.last_day, %(until)s::date), '1 day') AS asked(day)"
        " WHERE e.source = %(source)s AND e.account = %(account)s AND e.outcome = 'failed'"
        " AND e.failure_kind IS DISTINCT FROM 'QuotaSpent' AND NOT EXISTS (SELECT FROM ops.day_state s"
        " WHERE s.source = e.source AND s.account = e.account AND s.day = asked.day)",
        {
            "source": expected.source,
            "account": expected.account,
            "until": expected.ended or expected.due,
        },
    ).fetchall()
    return {row[0] for row in rows}


def _red(
    connection: Connection,
    source: str,
    account: str,
    unloaded: Collection[date],
    held: Collection[date],
) -> Iterator[Red]:
    yield from _red_unloaded(connection, source, account, unloaded)
    yield from _red_loaded(connection, source, account, held)
    yield from _red_rejects(connection, source, account)
    yield from _red_future(connection, source, account)


_LAST_FAILED = (
    "(SELECT e.extraction_id, e.failure, e.started_at FROM ops.extraction e"
    " WHERE e.source = %(source)s AND e.account = %(account)s AND e.outcome = 'failed'"
    " AND e.last_day >= d.day AND e.first_day <= d.day ORDER BY e.extraction_id DESC LIMIT 1) AS e"
)


def _said(failure: str) -> str:
    """A failure without where it happened, which is told beside it."""
    return re.sub(r"^[a-z_]+ account \S+ [\d.-]+: ", "", failure)


def _red_unloaded(
    connection: Connection, source: str, account: str, unloaded: Collection[date]
) -> Iterator[Red]:
    rows = connection.execute(
        "SELECT d.day, e.extraction_id, e.failure FROM unnest(%(days)s::date[]) AS d(day)"  # noqa: S608
        f" LEFT JOIN LATERAL {_LAST_FAILED} ON true",
        {"source": source, "account": account, "days": list(unloaded)},
    )
    for day, extraction_id, failure in rows:
        why = _said(failure) if failure else "it was never loaded."
        why = f"no receipt: {why}"
        yield Red(day, why, "backfill", None, extraction_id)


def _red_loaded(
    connection: Connection, source: str, account: str, held: Collection[date]
) -> Iterator[Red]:
    """Days that stand, but not as the vendor would tell them now, or not in full."""
    rows = connection.execute(
        "SELECT d.day, d.held, d.receipt_id, e.extraction_id, e.failure,"  # noqa: S608
        " e.extraction_id > d.extraction_id, r.rows_received, d.rows + r.rows_rejected,"
        " coalesce(d.held_kinds, '{shrink}')"
        " FROM ops.day_state d LEFT JOIN ops.load_receipt r USING (receipt_id)"
        f" LEFT JOIN LATERAL {_LAST_FAILED} ON true"
        " WHERE d.source = %(source)s AND d.account = %(account)s AND (d.held IS NOT NULL"
        " OR e.extraction_id > d.extraction_id OR r.rows_received <> d.rows + r.rows_rejected)",
        {"source": source, "account": account},
    )
    for day, reason, receipt_id, extraction_id, failure, is_newer, received, told, kinds in rows:
        if day in held:
            why = f"a newer answer is held: it {reason}."
            yield Red(day, why, "accept", receipt_id, kinds=tuple(kinds))
        elif is_newer:
            why = f"the last attempt failed, the rows before it stand: {_said(failure)}"
            yield Red(day, why, "backfill", receipt_id, extraction_id)
        else:
            why = f"{received} records received, {told} loaded or rejected."
            yield Red(day, why, "backfill", receipt_id)


def _red_future(connection: Connection, source: str, account: str) -> Iterator[Red]:
    """Days whose answers are dated later than now: whether they are settled is anybody's guess."""
    rows = connection.execute(
        "SELECT day, receipt_id, observed_at FROM ops.day_state"
        " WHERE source = %s AND account = %s AND observed_at > %s",
        (source, account, clock.now() + clock.CLOCKS_MAY_DIFFER),
    )
    for day, receipt_id, observed_at in rows:
        why = f"its answer is dated {observed_at:%Y-%m-%d %H:%M} UTC, in the future: a clock was ahead."
        yield Red(day, why, "backfill", receipt_id)


def _red_rejects(connection: Connection, source: str, account: str) -> Iterator[Red]:
    rows = connection.execute(
        "SELECT j.day, s.receipt_id, string_agg(format('%%s: %%s', j.reason, j.records), '; '"
        " ORDER BY j.reason) FROM (SELECT day, reason, count(*) AS records FROM ops.rejected_record"
        "  WHERE source = %(source)s AND account = %(account)s AND resolved_at IS NULL"
        "  AND day IS NOT NULL GROUP BY day, reason) j"
        " LEFT JOIN ops.day_state s ON s.source = %(source)s AND s.account = %(account)s"
        "  AND s.day = j.day GROUP BY j.day, s.receipt_id",
        {"source": source, "account": account},
    )
    for day, receipt_id, reasons in rows:
        why = f"records rejected ({reasons}); they are in ops.rejected_record."
        yield Red(day, why, "replay", receipt_id)
