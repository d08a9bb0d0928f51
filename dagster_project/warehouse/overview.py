"""How things stand, read from the ledger: for every source and account the last good day, gaps, failures.

Grain: one line a source and account. A *gap* is a day between the first and the last expected day
that has no receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from dagster_project.model import each_day
from dagster_project.warehouse.ledger import Connection


@dataclass(frozen=True)
class Standing:
    """One account of one source. ``gaps`` and ``unsettled`` are days; ``rows`` what stands."""

    source: str
    account: str
    first_day: date | None
    last_day: date | None
    days: int
    rows: int
    gaps: tuple[date, ...]
    unsettled: tuple[date, ...]
    held: tuple[tuple[date, str], ...]
    rejects: int
    last_loaded_at: datetime | None
    last_failure: str | None
    last_failed_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "account": self.account,
            "first_day": _text(self.first_day),
            "last_day": _text(self.last_day),
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


def standings(
    connection: Connection, source: str, accounts: Sequence[str], until: date
) -> list[Standing]:
    """How each account stands, days expected from its first loaded one to ``until``."""
    return [_standing(connection, source, account, until) for account in accounts]


def _standing(connection: Connection, source: str, account: str, until: date) -> Standing:
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
        " AND outcome = 'failed' ORDER BY started_at DESC LIMIT 1",
        (source, account),
    ).fetchone()
    loaded = {row[0] for row in days}
    first = min(loaded, default=None)
    gaps = [day for day in each_day(first, until) if day not in loaded] if first else []
    return Standing(
        source=source,
        account=account,
        first_day=first,
        last_day=max(loaded, default=None),
        days=len(loaded),
        rows=sum(row[1] for row in days),
        gaps=tuple(gaps),
        unsettled=tuple(row[0] for row in days if not row[2]),
        held=tuple((row[0], row[3]) for row in days if row[3]),
        rejects=rejects[0] if rejects else 0,
        last_loaded_at=max((row[4] for row in days), default=None),
        last_failure=failure[0] if failure else None,
        last_failed_at=failure[1] if failure else None,
    )
