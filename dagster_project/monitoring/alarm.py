"""An alarm: one cause with the accounts and days that it concerns, a row of ``ops.alarm``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

from psycopg import sql

HISTORY: Final = "history"
"""The message group of failures of days from before an account's first load: one message for all."""

Pair = tuple[str, date]


@dataclass(frozen=True, slots=True)
class Alarm:
    """What went wrong. ``subject`` is its identity while it is open; columns as in ``ops.alarm``.

    ``pairs``: the accounts and days concerned, where not every account is concerned with every day.
    ``is_whole``: they are all that is concerned now; else they add to what is known. ``is_quiet``: it is
    noted, and told nobody. ``failed_at``: when it failed; not said: now.
    """

    subject: str
    kind: Literal["run_failed", "check_failed", "overdue"]
    severity: Literal["error", "warning"]
    source: str
    accounts: Sequence[str]
    days: Sequence[date]
    what: str
    hint: Sequence[str]
    message_group: str
    run_id: str | None = None
    causes: Sequence[str] = ()
    alarm_id: int = 0
    raised_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    muted_until: datetime | None = None
    muted_by: str | None = None
    is_muted: bool = False
    pairs: Sequence[Pair] = ()
    is_whole: bool = False
    is_quiet: bool = False
    failed_at: datetime | None = None

    @property
    def concerned(self) -> set[Pair]:
        return set(self.pairs) or {(a, day) for a in self.accounts for day in self.days}

    @property
    def is_red(self) -> bool:
        """Whether nobody acknowledged it and it is not muted."""
        return self.acknowledged_at is None and not self.is_muted


# Columns of ops.alarm, by the names that they have here.
WRITTEN = {
    **{name: name for name in ("subject", "kind", "severity", "source", "accounts", "days")},
    **{"what": "what", "hint": "way_out", "message_group": "told_with", "run_id": "run_id"},
    "causes": "causes",
}
_ACTS = ("acknowledged_at", "acknowledged_by", "muted_until", "muted_by")
SELECT = sql.SQL(
    "SELECT {}, alarm_id, raised_at, coalesce(muted_until > now(), false) AS is_muted FROM ops.alarm"
).format(
    sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(column), sql.Identifier(name))
        for name, column in (*WRITTEN.items(), *((name, name) for name in _ACTS))
    )
)
