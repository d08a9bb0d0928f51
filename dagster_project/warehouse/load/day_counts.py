"""What a load did to each day: counts, and the checksum of its rows.

Grain: one local day of one account. The checksum is the sum of a permuted hash of each row, so it depends
on the rows and their number only, not on their order; unchanged rows need not be read again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np

from dagster_project.model.batch import Batch
from dagster_project.model.receipt import DOUBT, REJECTED, Extraction, Receipt
from dagster_project.model.table import Table
from dagster_project.warehouse.ledger.load_receipts import IN_WINDOW, REJECTED_UNDATED
from dagster_project.warehouse.load.row_index import ExistingRows, Identities

MOVED_OUT = "moved_out"
MOVED_IN = "moved_in"
MULTIPLIER = 0xC2B2AE3D27D4EB4F
"""Odd, so that hashes are permuted before identities are mixed in; a part of the checksum's definition."""


@dataclass(slots=True)
class DayCounts:
    """The counts of a day's rows; ``before``: rows when the load began.

    ``doubt`` says why too little of the day's first load could be read; empty: enough was read.
    """

    received: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    rejected: int = 0
    final: int = 0
    before: int = 0
    checksum: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    doubt: str = ""

    @property
    def after(self) -> int:
        return self.inserted + self.updated + self.unchanged

    def repeat(self, receipt: Receipt) -> None:
        """Count the day's rows as received again, each as it is; the receipt is of the load that wrote them."""
        self.received = receipt.rows_received
        self.unchanged = self.before
        self.final = receipt.rows_final or 0
        self.checksum = int(receipt.checksum.partition(":")[2], 16)

    @property
    def vanished(self) -> int:
        """Deleted rows that did not move to another day."""
        return self.deleted - self.notes[MOVED_OUT]

    def receipt(
        self,
        extraction: Extraction,
        day: date,
        *,
        is_replay: bool,
        in_window: Mapping[str, int],
        undated: Mapping[str, int],
        tells_final: bool,
    ) -> Receipt:
        """The day's receipt; ``in_window`` counts the oddities of the whole window.

        ``undated``: rejects of the window without a day, by reason.
        """
        notes: dict[str, Any] = dict(self.notes)
        if self.reasons:
            notes[REJECTED] = dict(self.reasons)
        if undated:
            notes[REJECTED_UNDATED] = dict(undated)
        if self.doubt:
            notes[DOUBT] = self.doubt
        if in_window:
            notes[IN_WINDOW] = dict(in_window)
        return Receipt(
            extraction.source,
            extraction.account,
            day,
            extraction.extraction_id,
            extraction.started_at,
            is_replay,
            self.received,
            self.inserted,
            self.updated,
            self.deleted,
            self.unchanged,
            self.rejected,
            self.final if tells_final else None,
            _checksum(self.after, self.checksum),
            notes,
        )


def rejected_figures(reasons: Mapping[str, int]) -> dict[str, int | str]:
    """The number of rejects by reason, as figures of a day."""
    return {f"rejected: {reason}": count for reason, count in reasons.items()}


def checksum_of(standing: ExistingRows) -> str:
    """The checksum of existing rows, as the receipt of their load has it."""
    mixed = (standing.hashes * np.uint64(MULTIPLIER)) ^ standing.identities.mixed
    return _checksum(len(standing), int(mixed.sum(dtype=np.uint64)))


def checksum_of_batch(table: Table, batch: Batch) -> str:
    """The checksum that the receipt would have of a day whose rows are those of this batch."""
    found = Identities.from_keys(batch.keys, batch.days, with_day=table.identity_has_day)
    mixed = (batch.hashes * np.uint64(MULTIPLIER)) ^ found.mixed
    return _checksum(len(batch), int(mixed.sum(dtype=np.uint64)))


def checksums_of_days(standing: ExistingRows) -> defaultdict[int, str]:
    """The checksum of each day's existing rows; of a day without rows, that of none."""
    mixed = (standing.hashes * np.uint64(MULTIPLIER)) ^ standing.identities.mixed
    days, place, rows = np.unique(standing.days, return_inverse=True, return_counts=True)
    sums = np.zeros(len(days), np.uint64)
    np.add.at(sums, place, mixed)
    found = map(_checksum, rows.tolist(), sums.tolist())
    return defaultdict(lambda: _checksum(0, 0), zip(days.tolist(), found, strict=True))


def _checksum(rows: int, total: int) -> str:
    return f"{rows}:{total & (2**64 - 1):016x}"
