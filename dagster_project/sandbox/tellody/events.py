"""What happened at a played Tellody account: a stream of events, each at its own millisecond.

A pure function of seed and UTC day, so the totals of any window, to the millisecond, are the sums of
the windows that it is cut into. SMS also happen at the first and the last millisecond of each half
hour: a window that is off by one at a local midnight, in any zone, counts wrong.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dagster_project.sandbox.world import World

DAY = 86_400_000
HALF_HOUR = 1_800_000
SHARES = {
    "SMS_SENT": 1.0,
    "EMAIL_SENT": 0.45,
    "URL": 0.16,
    "VOUCHER": 0.07,
    "DL": 0.04,
    "OPTOUT": 0.005,
}
ON_THE_EDGE = "SMS_SENT"

Milliseconds = NDArray[np.int64]


class Events:
    """Drawn a UTC day at a time when first asked for. ``volume`` is the usual SMS a day."""

    def __init__(self, world: World, volume: int) -> None:
        self._world = world
        self._volume = volume
        self._days: dict[int, dict[str, Milliseconds]] = {}

    def totals(self, first: int, last: int) -> dict[str, int]:
        """Events of each kind from ``first`` to ``last``, milliseconds since 1970, both included."""
        totals = dict.fromkeys(SHARES, 0)
        for number in range(first // DAY, last // DAY + 1):
            day = self._day(number)
            for kind, at in day.items():
                if first <= number * DAY and (number + 1) * DAY <= last + 1:
                    totals[kind] += len(at)
                else:
                    begin, end = np.searchsorted(at, [first, last + 1])
                    totals[kind] += int(end - begin)
        return totals

    def _day(self, number: int) -> dict[str, Milliseconds]:
        if number not in self._days:
            self._days[number] = {kind: self._draw(number, kind) for kind in SHARES}
        return self._days[number]

    def _draw(self, number: int, kind: str) -> Milliseconds:
        draw = self._world.random("tellody", "events", number, kind)
        weekend = 0.5 if (number + 3) % 7 >= 5 else 1.0
        season = 1 + 0.3 * np.sin(number / 30)
        events = int(self._volume * SHARES[kind] * weekend * season * draw.uniform(0.8, 1.2))
        at = draw.integers(0, DAY, events)
        if kind == ON_THE_EDGE:
            edges = np.arange(0, DAY, HALF_HOUR)
            at = np.concatenate((at, edges, edges + HALF_HOUR - 1))
        return np.sort(at) + number * DAY
