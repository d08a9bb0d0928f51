"""Rows of one response, encoded for COPY, and the records that cannot be loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from dagster_project.model.response import Response
from dagster_project.model.window import Window


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that cannot be loaded: kept with its reason and its original.

    ``came`` says what came instead of what was expected, by form alone: no character of a value.
    """

    reason: str
    original: str
    day: date | None = None
    actual: str | None = field(default=None, compare=False)


@dataclass(slots=True)
class Batch:
    """Rows of one answer, encoded for binary COPY; arrays run in parallel.

    ``days`` counts days since 2000-01-01 (Postgres' date), ``keys`` are 16 bytes a row, ``records``
    the encoded fields of the table's ``columns``, ``hashes`` a 64-bit hash of each record,
    ``observed`` whether the row has reached the state that the table's ``observed_column`` dates.
    ``nulls`` and ``absent`` count, by the vendor's field name, the batch's rows whose value is null and
    those that lack the key. ``elsewhere`` are keys of records that lie outside the window: the vendor
    has them still.
    """

    days: NDArray[np.int32]
    keys: bytes
    records: list[bytes]
    hashes: NDArray[np.uint64]
    observed: list[bool] | None = None
    received: int = 0
    rejects: list[Reject] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    nulls: Counter[str] = field(default_factory=Counter)
    absent: Counter[str] = field(default_factory=Counter)
    elsewhere: bytes = b""

    def __len__(self) -> int:
        return len(self.records)


RowEncoder = Callable[[Response, Window], Batch]
"""Encodes the rows of one response. It may keep memories from one to the next, which change how fast
rows come out and never which: one thread at a time."""
