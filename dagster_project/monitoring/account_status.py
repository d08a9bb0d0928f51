"""How things stand, read from the ledger: for every source and account what is good, and what is red.

Grain: one ``AccountStatus`` a source and account. A *gap* is a due day after the first loaded one that has no
receipt (``lateness.py``). Which days are red, and why: ``red_days``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from dagster_project.monitoring.lateness import Expected, lateness
from dagster_project.monitoring.red_days import (
    ASKED,
    Key,
    Red,
    read_held_days,
    read_red_days,
    without_place,
)
from dagster_project.warehouse.connection import Connection


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


def read_account_statuses(
    connection: Connection, accounts: Sequence[Expected]
) -> dict[Key, AccountStatus]:
    """How these accounts stand, and what of them is red; as many queries for a thousand as for one."""
    of_accounts = {
        "sources": [one.source for one in accounts],
        "accounts": [one.account for one in accounts],
    }
    missing = {key: late.missing for key, late in lateness(connection, accounts).items()}
    held = read_held_days(connection, of_accounts)
    days = _loaded_days(connection, of_accounts)
    failures = _last_failures(connection, of_accounts)
    good = _last_good_days(connection, missing)
    red = read_red_days(connection, accounts, missing, held, of_accounts)
    rejects = _count_rejects(connection, of_accounts)
    found = {}
    for one in accounts:
        key = one.key
        first, last, count, rows, loaded_at, unsettled = days.get(key, _NOTHING_LOADED)
        failure, failed_at = failures.get(key, (None, None))
        found[key] = AccountStatus(
            source=one.source,
            account=one.account,
            first_day=first,
            last_day=last,
            last_good_day=good.get(key) if missing[key] else last,
            days=count,
            rows=int(rows),
            gaps=missing[key],
            unsettled=tuple(unsettled),
            held=tuple((day, reason) for day, reason, _, _ in held[key]),
            rejects=rejects.get(key, 0),
            last_loaded_at=loaded_at,
            last_failure=without_place(failure) if failure else None,
            last_failed_at=failed_at,
            red=tuple(sorted(red[key], key=lambda r: r.day)),
        )
    return found


_NOTHING_LOADED: Final = (None, None, 0, 0, None, ())


def _loaded_days(connection: Connection, asked: Mapping[str, Any]) -> dict[Key, Any]:
    """First and last day, days, rows, the latest load and the unsettled days of each account."""
    rows = connection.execute(
        "SELECT source, account, min(day), max(day), count(*), sum(rows), max(loaded_at),"  # noqa: S608
        " coalesce(array_agg(day ORDER BY day) FILTER (WHERE NOT settled), '{}')"
        f" FROM ops.day_state JOIN {ASKED} USING (source, account) GROUP BY source, account",
        asked,
    )
    return {(row[0], row[1]): row[2:] for row in rows}


def _count_rejects(connection: Connection, asked: Mapping[str, Any]) -> dict[Key, int]:
    rows = connection.execute(
        f"SELECT source, account, count(*) FROM ops.rejected_record JOIN {ASKED}"  # noqa: S608
        " USING (source, account) WHERE resolved_at IS NULL GROUP BY source, account",
        asked,
    )
    return {(row[0], row[1]): row[2] for row in rows}


def _last_failures(connection: Connection, asked: Mapping[str, Any]) -> dict[Key, Any]:
    rows = connection.execute(
        "SELECT DISTINCT ON (source, account) source, account, failure, finished_at"  # noqa: S608
        f" FROM ops.extraction JOIN {ASKED} USING (source, account) WHERE outcome = 'failed'"
        " ORDER BY source, account, extraction_id DESC",
        asked,
    )
    return {(row[0], row[1]): row[2:] for row in rows}


def _last_good_days(
    connection: Connection, missing: Mapping[Key, Sequence[date]]
) -> dict[Key, date]:
    """The last loaded day before the first gap, of accounts that have one."""
    gaps = {key: days[0] for key, days in missing.items() if days}
    if not gaps:
        return {}
    rows = connection.execute(
        "SELECT source, account, max(day) FROM ops.day_state"
        " JOIN unnest(%s::text[], %s::text[], %s::date[]) AS asked (source, account, gap)"
        " USING (source, account) WHERE day < gap GROUP BY source, account",
        ([source for source, _ in gaps], [account for _, account in gaps], list(gaps.values())),
    )
    return {(row[0], row[1]): row[2] for row in rows}
