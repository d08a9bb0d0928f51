"""Part ``values``: Joda dates and purchase rows, against a plain loop and pandas; see ``tellody_values``."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import tellody_values
from benchmarks.table import Line

COUNT = 20_000


def values() -> Iterator[Line]:
    for title, ways in tellody_values.tables(COUNT).items():
        found = tellody_values.medians(ways)
        own, own_spread = found.pop("product")
        for name, (cpu, spread) in found.items():
            yield Line(
                title,
                f"{COUNT / own:,.0f} a CPU second",
                f"{name}: {COUNT / cpu:,.0f}",
                f"{cpu / own:.1f}x",
                spread=f"±{own_spread / 2:.0%} / ±{spread / 2:.0%}",
                cpu=f"{own:.2f} s",
            )
