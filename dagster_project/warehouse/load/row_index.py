"""Indexes of a window's rows as arrays: the existing rows, and those that came in so far.

A row's identity is 16 bytes (two unsigned 64-bit words). Dictionaries of such keys would take about
200 bytes a row; sorted arrays take 8 to 40, and are searched a page at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]
Positions = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Identities:
    """Identities of rows, as parallel arrays: ``high`` and ``low`` words, and ``mixed``, the search key."""

    high: Words
    low: Words
    mixed: Words

    @classmethod
    def from_keys(cls, keys: bytes, days: NDArray[np.int32], *, with_day: bool) -> Identities:
        """Make identities from 16-byte keys; with the day, if the same key on another day is another row."""
        words = np.frombuffer(keys, dtype=">u8").reshape(-1, 2).astype(np.uint64)
        high, low = np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1])
        return cls.from_words(high, low, days, with_day=with_day)

    @classmethod
    def from_words(
        cls, high: Words, low: Words, days: NDArray[np.int32], *, with_day: bool
    ) -> Identities:
        """The same from the words of keys."""
        if with_day:
            high = high ^ spread_days(days)
        return cls(high, low, high ^ low)

    def take(self, positions: Positions | Flags) -> Identities:
        return Identities(self.high[positions], self.low[positions], self.mixed[positions])

    def __len__(self) -> int:
        return len(self.mixed)

    def exact(self, position: int) -> tuple[int, int]:
        return int(self.high[position]), int(self.low[position])


_SPREAD = 0x9E3779B97F4A7C15


def spread_days(days: NDArray[np.int32]) -> Words:
    """Days as words that differ in many bits, for mixing into keys."""
    return days.astype(np.int64).view(np.uint64) * np.uint64(_SPREAD)


def spread_day(day: int) -> int:
    """One day as such a word."""
    return (day * _SPREAD) & (2**64 - 1)


class ExistingRows:
    """The existing rows of a window, sorted for look-up.

    ``unique`` marks rows with an identity of their own; rows that share one (equal SMS) are compared as a
    multiset by the loader, which also fills ``matched``.
    """

    def __init__(
        self,
        identities: Identities,
        days: NDArray[np.int32],
        hashes: Words,
        occurrences: NDArray[np.int32],
    ) -> None:
        order = np.argsort(identities.mixed, kind="stable")
        self.identities = identities.take(order)
        self.days = days[order]
        self.hashes = hashes[order]
        self.occurrences = occurrences[order]
        self.matched: Flags = np.zeros(len(order), dtype=np.bool_)
        mixed = self.identities.mixed
        same = mixed[1:] == mixed[:-1]
        self.unique: Flags = np.ones(len(order), dtype=np.bool_)
        self.unique[1:] &= ~same
        self.unique[:-1] &= ~same

    def __len__(self) -> int:
        return len(self.days)

    def of_day(self, day: int) -> ExistingRows:
        """The rows of one day of several."""
        of_day = self.days == day
        return ExistingRows(
            self.identities.take(of_day),
            self.days[of_day],
            self.hashes[of_day],
            self.occurrences[of_day],
        )

    def find(self, wanted: Identities) -> tuple[Positions, Flags, Flags]:
        """Find each wanted identity: its position, whether it is there exactly once, and whether it is ambiguous.

        It is ambiguous if other existing rows share its mixed word.
        """
        mixed = self.identities.mixed
        if len(mixed) == 0:
            none = np.zeros(len(wanted), dtype=np.bool_)
            return np.zeros(len(wanted), dtype=np.intp), none, none
        positions = np.searchsorted(mixed, wanted.mixed)
        positions[positions == len(mixed)] = 0
        hit = mixed[positions] == wanted.mixed
        exact = (
            hit
            & self.unique[positions]
            & (self.identities.high[positions] == wanted.high)
            & (self.identities.low[positions] == wanted.low)
        )
        return positions, exact, hit & ~exact

    def shares_mixed(self, high: int, low: int) -> bool:
        """Whether an existing row has this identity's mixed word."""
        mixed = np.uint64(high ^ low)
        at = int(np.searchsorted(self.identities.mixed, mixed))
        return at < len(self) and bool(self.identities.mixed[at] == mixed)

    def positions_of(self, high: int, low: int) -> list[int]:
        """The positions of all existing rows of one identity, by ascending occurrence."""
        mixed = np.uint64(high ^ low)
        first = int(np.searchsorted(self.identities.mixed, mixed, side="left"))
        last = int(np.searchsorted(self.identities.mixed, mixed, side="right"))
        found = [p for p in range(first, last) if self.identities.exact(p) == (high, low)]
        return sorted(found, key=lambda position: int(self.occurrences[position]))


class SeenIdentities:
    """The identities that came in as new, in sorted runs that double in size.

    It takes 16 bytes a row; adding a page searches a handful of runs.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Words, Words]] = []

    def add(self, incoming: Identities) -> Flags:
        """Add identities; return which of them were there before, or came earlier in ``incoming``."""
        order = _order(incoming)
        mixed, high = incoming.mixed[order], incoming.high[order]
        before = np.zeros(len(order), dtype=np.bool_)
        # The order is stable: of equal identities, the earliest comes first and is not a repetition.
        before[1:] = (mixed[1:] == mixed[:-1]) & (high[1:] == high[:-1])
        for run_mixed, run_high in self._runs:
            before |= _contains(run_mixed, run_high, mixed, high)
        self._push(mixed[~before], high[~before])
        again = np.empty(len(order), dtype=np.bool_)
        again[order] = before
        return again

    def _push(self, mixed: Words, high: Words) -> None:
        while self._runs and len(self._runs[-1][0]) <= 2 * len(mixed):
            other_mixed, other_high = self._runs.pop()
            mixed, high = np.concatenate((other_mixed, mixed)), np.concatenate((other_high, high))
            order = np.argsort(mixed, kind="stable")
            mixed, high = mixed[order], high[order]
        if len(mixed):
            self._runs.append((mixed, high))


def _order(identities: Identities) -> Positions:
    """The stable order by mixed word, then by high word."""
    order = np.argsort(identities.mixed, kind="stable")
    mixed, high = identities.mixed[order], identities.high[order]
    if np.any((mixed[1:] == mixed[:-1]) & (high[1:] != high[:-1])):
        return np.lexsort((identities.high, identities.mixed))
    return order


def _contains(mixed: Words, high: Words, wanted_mixed: Words, wanted_high: Words) -> Flags:
    """Which of the wanted identities the run contains; sorted, they are found three times as fast."""
    left = np.searchsorted(mixed, wanted_mixed, side="left")
    inside = left < len(mixed)
    left[~inside] = 0
    hit = inside & (mixed[left] == wanted_mixed)
    found: Flags = hit & (high[left] == wanted_high)
    # Two identities can share their mixed word: look along the run of equal words for those.
    for position in np.flatnonzero(hit & ~found):
        right = int(np.searchsorted(mixed, wanted_mixed[position], side="right"))
        found[position] = bool(np.any(high[left[position] : right] == wanted_high[position]))
    return found
