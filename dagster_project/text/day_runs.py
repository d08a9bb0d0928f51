"""Group days into runs of consecutive days."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import pairwise


def runs_of(days: Iterable[date]) -> list[list[date]]:
    """The days as ascending runs of consecutive days."""
    ordered = sorted(days)
    runs = [[ordered[0]]] if ordered else []
    for before, day in pairwise(ordered):
        if day - before == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs
