"""Purchases from before the first partition: how many, since when, and what loading them would cost.

Each response of a read of the whole history counts its own under names that Postgres keeps with the
receipt: how many there are, and the first of them with its day, its payment and the partitions it is away.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from dagster_project.model.receipt import Receipt
from dagster_project.model.window import Window
from dagster_project.text.wording import pluralize

BEFORE_FIRST_PARTITION: Final = "before_first_partition"
SINCE: Final = "before_first_partition_since:"
WORTH_PARTITIONS: Final = 92
"""Status proposes an earlier start where it takes no more daily partitions than these. Every source gets
them, and Dagster keeps each in its pages and its storage."""
UNLIKELY: Final = date(2000, 1, 1)
"""A purchase from before is a wrong date rather than history."""

_SINCE = re.compile(rf"{SINCE}(\d{{4}}-\d\d-\d\d)(?: payment (\S+) partitions (\d+))?")


@dataclass(frozen=True, slots=True, order=True)
class Oldest:
    """The first of them. ``partitions``: how many more it would take; 0: an earlier version counted."""

    day: date
    payment_id: str = ""
    partitions: int = 0


def count_older(older: Sequence[tuple[date, int | None]], window: Window) -> Counter[str]:
    """The counts of one response; ``older``: day and payment of each."""
    if not older:
        return Counter()
    day, payment_id = min(older, key=lambda one: one[0])
    partitions = (window.first_day - day).days
    payment = "without-id" if payment_id is None else payment_id
    name = f"{SINCE}{day} payment {payment} partitions {partitions}"
    return Counter({BEFORE_FIRST_PARTITION: len(older), name: len(older)})


def read_older(counts: Mapping[str, int]) -> tuple[int, Oldest | None]:
    """How many purchases are older than the first partition, and the first of them."""
    found = [
        Oldest(date.fromisoformat(match[1]), match[2] or "", int(match[3] or 0))
        for match in map(_SINCE.fullmatch, counts)
        if match
    ]
    return counts.get(BEFORE_FIRST_PARTITION, 0), min(found, default=None)


def describe_older(receipts: Sequence[Receipt]) -> dict[str, Any]:
    """What a run says of them; each receipt carries its whole read's counts."""
    older, oldest = _of_receipts(receipts)
    if oldest is None:
        return {}
    return {"older purchases left out": f"{older:,}, the first of {oldest.day}{_cost(oldest)}"}


def notice_older(receipts: Sequence[Receipt]) -> list[str]:
    """What status says of them: a date that is likely wrong, or a start that is worth its cost."""
    older, oldest = _of_receipts(receipts)
    if oldest is None:
        return []
    if oldest.day < UNLIKELY:
        return [
            f"payment {oldest.payment_id or '?'} is dated {oldest.day} and is left out: that date is"
            f" likely wrong, and only the vendor can correct it{_cost(oldest)}."
        ]
    if 0 < oldest.partitions <= WORTH_PARTITIONS:
        return [
            f"older purchases left out: {older:,}; WAREHOUSE_START_DATE={oldest.day} loads them too"
            f" ({pluralize(oldest.partitions, 'more daily partition')} of every source)"
        ]
    return []


def _of_receipts(receipts: Sequence[Receipt]) -> tuple[int, Oldest | None]:
    return read_older(receipts[0].notes.get("in_window", {}) if receipts else {})


def _cost(oldest: Oldest) -> str:
    if not oldest.partitions:
        return ""
    return f" (loading it takes {pluralize(oldest.partitions, 'more daily partition')} of every source)"
