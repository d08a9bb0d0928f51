"""Parts ``night``, ``small`` and ``readers``: four sources at once, many small sites, what readers feel of a reload.

A night: the last eight days of every source, each source a run in a process of its own, as Dagster's
queue starts them; the vendors answer after as long as real ones may. Small: eight days of many sites with
50 SMS a day each, seven of them loaded before and 2 % of their statuses changed, under the vendor's limit. Readers: the day's rows are
counted over and over while the day is loaded again with changes; the slowest answer counts.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.first_load import PAGES_A_DAY, load
from benchmarks.scene import (
    FIRST_DAY,
    ROOT,
    ROWS_A_PAGE,
    Scene,
    StaticVendor,
    calltouch_env,
    product,
    scene,
    sms_scene,
)
from benchmarks.startup import SOURCES, sandbox_env
from benchmarks.table import Line, spread
from benchmarks.under_limit import PER_SECOND
from dagster_project.sandbox.server import SandboxProcess

LATENCIES: dict[str, dict[str, Any]] = {
    "calltouch": {"latency": 1.0},
    "tellody": {"latency": 0.4},
    "trust": {"latency": 0.6},
}
NIGHT_DAYS = 8
SMALL_SITES, SMS_A_DAY = 60, 50
SMALL_LATENCY = 1.0
SMALL_SHARE = 0.85
SAMPLE_SECONDS = 0.05
COMMAND = Path(sys.executable).with_name("warehouse")
COUNT = (
    "SELECT count(*), count(*) FILTER (WHERE outcome = 'delivered') FROM warehouse.calltouch_sms"
    " WHERE sent_on = %s"
)


def night(rounds: int) -> Iterator[Line]:
    sandbox = SandboxProcess(**LATENCIES)
    try:
        env = {**sandbox_env(sandbox), "CALLTOUCH_REQUESTS_PER_SECOND": "5"}
        with scene(env) as made:
            together: list[float] = []
            alone: dict[str, list[float]] = {source: [] for source in SOURCES}
            _at_once(made, SOURCES)  # the first one makes what is made once
            for _ in range(rounds):
                together.append(_at_once(made, SOURCES))
                for source in SOURCES:
                    alone[source].append(_at_once(made, [source]))
    finally:
        sandbox.stop()
    slowest = max(alone, key=lambda source: median(alone[source]))
    ratio = median(together) / median(alone[slowest])
    yield Line(
        f"a night of four sources at once, {NIGHT_DAYS} days, latencies of 0.4 to 1 s",
        f"{median(together):.1f} s",
        f"slowest alone ({slowest}): {median(alone[slowest]):.1f} s",
        f"{ratio:.2f} of it",
        "<= 1.1",
        ratio <= 1.1,
        f"{spread(together)} / {spread(alone[slowest])}",
    )


def _at_once(made: Scene, sources: tuple[str, ...] | list[str]) -> float:
    last = datetime.now(UTC).date() - timedelta(days=2)
    first = last - timedelta(days=NIGHT_DAYS - 1)
    span = ["--from", str(first), "--to", str(last)]
    begun = time.perf_counter()
    runs = [
        subprocess.Popen(
            [COMMAND, "backfill", "--source", source, *span],
            cwd=ROOT,
            env=made.env,
            stdout=subprocess.DEVNULL,
        )
        for source in sources
    ]
    statuses = [run.wait() for run in runs]
    if any(statuses):
        raise RuntimeError("a run of the night failed")
    return time.perf_counter() - begun


def small_sites(count: int) -> Iterator[Line]:
    """A night of small sites: how much of the vendor's bound it keeps busy, and what waits for a lock."""
    vendor = StaticVendor("--sms-a-day", str(SMS_A_DAY))
    sites = ",".join(str(site) for site in range(1, count + 1))
    before = FIRST_DAY, FIRST_DAY + timedelta(days=NIGHT_DAYS - 2)
    night = FIRST_DAY, FIRST_DAY + timedelta(days=NIGHT_DAYS - 1)
    try:
        env = {**calltouch_env(vendor.url, PER_SECOND), "CALLTOUCH_SITE_IDS": sites}
        with scene(env) as made:
            with product(made, CALLTOUCH_REQUESTS_PER_SECOND="1000") as unlimited:
                load(made, unlimited, before)
            made.checkpoint()
            vendor.set(version=1, latency=SMALL_LATENCY, limit=PER_SECOND)
            with product(made) as worker:
                commits = made.one(_COMMITS)
                waits = LockWaits(made)
                waits.start()
                run = load(made, worker, night)
                waits.end()
                commits = made.one(_COMMITS) - commits
            counted = vendor.set(latency=0, limit=None)
    finally:
        vendor.close()
    asked = counted["pages"]
    bound = asked / (asked / PER_SECOND + SMALL_LATENCY)
    share = asked / run.seconds / bound
    per_site = 1000 * run.cpu / count, 1000 * run.server_cpu / count
    yield Line(
        f"a night of {count:,} sites with {SMS_A_DAY} SMS a day, {NIGHT_DAYS} days,"
        f" {SMALL_LATENCY:.0f} s latency, {PER_SECOND} requests a second",
        f"{run.seconds:.1f} s, {asked} requests, {counted['refused']} answers of 429",
        f"bound: {asked / bound:.1f} s",
        f"{share:.0%} of it",
        f">= {SMALL_SHARE:.0%}, no 429",
        share >= SMALL_SHARE and not counted["refused"],
        f"a site: {per_site[0]:.0f} + {per_site[1]:.0f} ms of CPU, {commits / count:.0f} transactions",
        f"{run.cpu:.1f} + {run.server_cpu:.1f} s",
        f"{run.peak_mb:.0f} MB",
    )
    yield Line(
        "its backends that wait for a lock, seen 20 times a second",
        f"{waits.waiting} of {waits.seen:,} looks",
        ratio=", ".join(f"{kind} {times}" for kind, times in waits.kinds.most_common()),
        goal="none for another's commit",
    )


_COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"


class LockWaits(threading.Thread):
    """Looks again and again whether a backend waits for a lock; counts the looks, and what was waited for."""

    def __init__(self, made: Scene) -> None:
        super().__init__(daemon=True)
        self.made = made
        self.stop = threading.Event()
        self.seen = self.waiting = 0
        self.kinds: Counter[str] = Counter()

    def run(self) -> None:
        with self.made.admin() as connection:
            connection.autocommit = True
            while not self.stop.wait(SAMPLE_SECONDS):
                kinds = connection.execute(
                    "SELECT wait_event || ': ' || left(query, 60) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                ).fetchall()
                self.seen += 1
                self.waiting += bool(kinds)
                self.kinds.update(kind for (kind,) in kinds)

    def end(self) -> None:
        self.stop.set()
        self.join()


class Reader(threading.Thread):
    """Asks the same question until told to stop; keeps how long each answer took, and what it was."""

    def __init__(self, made: Scene, day: date) -> None:
        super().__init__(daemon=True)
        self.made, self.day = made, day
        self.stop = threading.Event()
        self.taken: list[float] = []
        self.answers: set[tuple[Any, ...]] = set()

    def run(self) -> None:
        with self.made.admin() as connection:
            connection.autocommit = True
            while not (self.answers and self.stop.is_set()):
                begun = time.perf_counter()
                row = connection.execute(COUNT, (self.day,)).fetchone()
                self.taken.append(time.perf_counter() - begun)
                self.answers.add(tuple(row))
                time.sleep(0.002)

    def end(self) -> Reader:
        self.stop.set()
        self.join()
        return self


def _read(made: Scene, seconds: float) -> Reader:
    reader = Reader(made, FIRST_DAY)
    reader.start()
    time.sleep(seconds)
    return reader.end()


def readers(rounds: int) -> Iterator[Line]:
    """Slowest answer while 100,000 rows of a day are loaded again, 2 % of them changed."""
    version, slowest, baselines = 0, [], []
    wrong: set[tuple[Any, ...]] = set()
    with sms_scene(PAGES_A_DAY) as (made, vendor), product(made) as worker:
        load(made, worker, (FIRST_DAY, FIRST_DAY))
        for _ in range(max(rounds, 3)):
            before = _read(made, 2)
            baselines.append(median(before.taken))
            version = 1 - version
            vendor.set(version=version)
            reader = Reader(made, FIRST_DAY)
            reader.start()
            load(made, worker, (FIRST_DAY, FIRST_DAY))
            reader.end()
            after = _read(made, 0.5)
            slowest.append(max(reader.taken))
            wrong |= reader.answers - before.answers - after.answers
    excess = 1000 * (median(slowest) - median(baselines))
    yield Line(
        f"slowest query while {PAGES_A_DAY * ROWS_A_PAGE:,} SMS of its day are reloaded, 2 % changed",
        f"{1000 * median(slowest):.0f} ms, {len(wrong)} wrong counts",
        f"median without a load: {1000 * median(baselines):.0f} ms",
        f"+{excess:.0f} ms",
        "<= +60 ms, none wrong",
        excess <= 60 and not wrong,
        spread(slowest),
    )
