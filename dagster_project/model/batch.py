"""The rows of one response, encoded for COPY, and the records that cannot be loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from dagster_project.model.response import Response
from dagster_project.model.window import Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that cannot be loaded, kept with its reason and its original.

    ``actual`` describes what came instead of the expected value, by its form: it quotes no value.
    """

    reason: str
    original: str
    day: date | None = None
    actual: str | None = field(default=None, compare=False)


@dataclass(slots=True)
class Batch:
    """The rows of one response, encoded for binary COPY; the arrays are parallel.

    ``days`` counts days since 2000-01-01, as Postgres does. ``keys`` has 16 bytes a row. ``records``
    has the encoded fields of the table's ``columns``, ``hashes`` a 64-bit hash of each record.
    ``observed`` says whether a row has reached the state that the table's ``observed_column`` dates.
    ``nulls`` and ``absent`` count, by the vendor's field name, the rows with a null and those without
    the key. ``elsewhere`` has the keys of records outside the window: they still exist at the vendor.
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
"""Encodes the rows of one response. It may cache values between responses; that changes its speed, not its
rows. One thread at a time."""
