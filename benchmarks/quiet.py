"""Part ``quiet``: a day of which nothing changed, in one run of two years, and how a run of eight years grows.

The days are loaded once and then again, round by round; the rounds count. What the vendor's answers took is
left out where the source is asked a day at a time: the longest of its accounts, which run concurrently.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from benchmarks.scene import Run, Scene, Worker, measured, product, scene
from benchmarks.startup import QUICK, sandbox_env
from benchmarks.table import Line, spread
from dagster_project.sandbox.server import SandboxProcess

DAYS = 730
GOALS = {"tellody_purchases": 10, "tellody_activity": 20, "trust": 20, "calltouch": 25}
"""Milliseconds a day."""
GROWTH = (365, 2922)
MOST_GROWTH = 8.5
HTTP = """
SELECT coalesce(max(seconds), 0)::float FROM (
    SELECT extract(epoch FROM sum(received_at - asked_at)) AS seconds
    FROM raw.response JOIN ops.extraction USING (extraction_id)
    WHERE source = %s AND extraction_id > %s GROUP BY account) of_accounts
"""


def quiet(rounds: int) -> Iterator[Line]:
    sandbox = SandboxProcess(**QUICK)
    try:
        env = {**sandbox_env(sandbox), "WAREHOUSE_START_DATE": "2018-01-01"}
        with scene(env) as made, product(made) as worker:
            for source in GOALS:
                yield _quiet_day(made, worker, source, rounds)
            yield _growth(made, worker, rounds)
    finally:
        sandbox.stop()


def _again(made: Scene, worker: Worker, source: str, days: int) -> Run:
    last = datetime.now(UTC).date() - timedelta(days=2)
    span: dict[str, Any] = {"first": str(last - timedelta(days=days - 1)), "last": str(last)}
    run = measured(made, worker, do="load", source=source, **span)
    if not run.facts["success"]:
        raise RuntimeError(f"a run of {source} failed")
    return run


def _quiet_day(made: Scene, worker: Worker, source: str, rounds: int) -> Line:
    _again(made, worker, source, DAYS)
    _again(made, worker, source, DAYS)  # reports what the first one loaded beside its days
    taken, calls, runs = [], [], []
    for _ in range(rounds):
        newest = made.one("SELECT max(extraction_id) FROM ops.extraction")
        run = _again(made, worker, source, DAYS)
        http = made.one(HTTP, source, newest)
        taken.append(1000 * (run.seconds - http) / DAYS)
        calls.append(1000 * http / DAYS)
        runs.append(run)
    return Line(
        f"a quiet day of {source}, {DAYS} in one run, beside its HTTP",
        f"{median(taken):.1f} ms",
        f"its HTTP: {median(calls):.1f} ms",
        "",
        f"<= {GOALS[source]} ms",
        median(taken) <= GOALS[source],
        spread(taken),
        f"{median(r.cpu for r in runs):.1f} + {median(r.server_cpu for r in runs):.1f} s",
        f"{max(r.peak_mb for r in runs):.0f} MB",
    )


def _growth(made: Scene, worker: Worker, rounds: int) -> Line:
    source, (few, many) = "tellody_purchases", GROWTH
    _again(made, worker, source, many)
    short, long = [], []
    for _ in range(rounds):
        short.append(_again(made, worker, source, few).seconds)
        long.append(_again(made, worker, source, many).seconds)
    ratio = median(long) / median(short)
    return Line(
        f"{many:,} quiet days of {source} in one run",
        f"{median(long):.1f} s",
        f"{few} days: {median(short):.1f} s",
        f"{ratio:.1f} times",
        f"<= {MOST_GROWTH}",
        ratio <= MOST_GROWTH,
        f"{spread(long)} / {spread(short)}",
    )
