"""Part ``limit``: pages a second under a vendor that allows 5 requests a second and answers after 1 s, or 2 s.

The bound of N pages: N / 5 seconds, and the time that the last answer takes. The vendor counts by a
sliding second and answers 429 to what is too much, as the real one does. The days are new to the
warehouse: their window is asked for, found too big, and taken in parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from benchmarks.first_load import load
from benchmarks.scene import FIRST_DAY, product, sms_scene
from benchmarks.table import Line

PER_SECOND = 5
LATENCIES = (1.0, 2.0)
PAGES_A_DAY = 10
MANY_PAGES = 300


def goal_of(pages: int, latency: float) -> float:
    """The share of the bound to reach."""
    if latency > 1:
        return 0.85
    return 0.95 if pages >= MANY_PAGES else 0.9


def under_limit(pages: int) -> Iterator[Line]:
    days = max(1, pages // PAGES_A_DAY)
    span = FIRST_DAY, FIRST_DAY + timedelta(days=days - 1)
    with sms_scene(PAGES_A_DAY, PER_SECOND) as (scene, vendor), product(scene) as worker:
        load(scene, worker, (FIRST_DAY, FIRST_DAY))
        vendor.warm(*span, days * PAGES_A_DAY)
        for latency in LATENCIES:
            scene.forget_loads()
            vendor.set(latency=latency, limit=PER_SECOND)
            run = load(scene, worker, span)
            counted = vendor.set(latency=0, limit=None)
            asked = counted["pages"]
            bound = asked / (asked / PER_SECOND + latency)
            rate = asked / run.seconds
            goal = goal_of(pages, latency)
            yield Line(
                f"{asked} pages, {latency:.0f} s latency, {PER_SECOND} requests a second",
                f"{rate:.2f} pages/s, {counted['refused']} answers of 429",
                f"bound: {bound:.2f} pages/s",
                f"{rate / bound:.0%} of it",
                f">= {goal:.0%}, no 429",
                not counted["refused"] and rate / bound >= goal,
                f"most in a second: {counted['most_in_a_second']}",
                f"{run.cpu:.1f} + {run.server_cpu:.1f} s",
                f"{run.peak_mb:.0f} MB",
            )
