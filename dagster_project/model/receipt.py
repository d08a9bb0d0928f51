"""The ledger's types: an extraction, the receipt of a load, the state of a day. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

DOUBT = "doubt"
"""In a receipt's notes: why too little of the day's first load could be read."""
REJECTED = "rejected"
"""In a receipt's notes: how many of the day's records were rejected, by reason."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """One window requested from a vendor. ``started_at``: Postgres' clock just before the first request."""

    extraction_id: int
    source: str
    account: str
    first_day: date
    last_day: date
    started_at: datetime


@dataclass(slots=True)
class Receipt:
    """What one load did to one day. ``already_there``: the receipt is an earlier load's."""

    source: str
    account: str
    day: date
    extraction_id: int
    observed_at: datetime
    is_replay: bool = False
    rows_received: int = 0
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_deleted: int = 0
    rows_unchanged: int = 0
    rows_rejected: int = 0
    rows_final: int | None = None
    checksum: str = ""
    notes: dict[str, Any] = field(default_factory=dict)
    settled: bool = False
    receipt_id: int = 0
    already_there: bool = False

    @property
    def rows(self) -> int:
        """The day's rows after the load."""
        return self.rows_inserted + self.rows_updated + self.rows_unchanged

    @property
    def doubt(self) -> str:
        """Why too little of a first load could be read; empty: it could."""
        return str(self.notes.get(DOUBT, ""))

    @property
    def rejected_reasons(self) -> Mapping[str, int]:
        """How many of the day's records were rejected, by reason."""
        found: Mapping[str, int] = self.notes.get(REJECTED, {})
        return found

    @property
    def changed(self) -> bool:
        return bool(self.rows_inserted or self.rows_updated or self.rows_deleted)


@dataclass(frozen=True, slots=True)
class DayState:
    """What the warehouse holds for one day."""

    day: date
    receipt_id: int
    extraction_id: int
    observed_at: datetime
    checksum: str
    settled: bool
    held: str | None
