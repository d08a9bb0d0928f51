"""Part ``startup``: what help, status and a small day cost, and a year of each source by partition.

``warehouse backfill`` is started as a process and timed to its exit, against the sandbox in a process
of its own; imports are timed in fresh processes, interleaved with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median

from benchmarks.scene import ROOT, Scene, measured, product, scene
from benchmarks.table import Line, spread
from dagster_project.sandbox.server import SandboxProcess

DAYS = 365
QUICK = {"calltouch": {"requests_per_second": 1000}}
LIGHT = {"--help": 0.2, "status": 0.5}
"""Seconds more than ``python -c pass``, by verb."""
RED = 1
"""The exit status of ``status`` where something is red."""
SOURCES = ("calltouch", "tellody_activity", "tellody_purchases", "trust")


def timed(command: list[str], env: dict[str, str], also: int = 0) -> float:
    """Seconds from start to exit. ``also`` is an exit status that is as good as 0."""
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    if done.returncode not in (0, also):
        raise subprocess.CalledProcessError(done.returncode, command)
    return time.perf_counter() - begun


def importing(what: str, env: dict[str, str]) -> float:
    return timed([sys.executable, "-c", f"import {what}"], env)


def startup(rounds: int) -> Iterator[Line]:
    sandbox = SandboxProcess(**QUICK)
    try:
        with scene(sandbox_env(sandbox)) as made:
            yield from _light_verbs(made, max(rounds, 5))
            yield from _small_day(made, sandbox, max(rounds, 5))
            yield from _years(made)
    finally:
        sandbox.stop()


def sandbox_env(sandbox: SandboxProcess) -> dict[str, str]:
    env = dict(sandbox.get("settings"))
    return {**env, "CALLTOUCH_REQUESTS_PER_SECOND": "500"}


def _light_verbs(made: Scene, rounds: int) -> Iterator[Line]:
    """Verbs that need neither Dagster nor pandas, beside an interpreter that does nothing."""
    taken: dict[str, list[float]] = {verb: [] for verb in LIGHT}
    nothing = []
    for number in range(rounds + 1):
        bare = timed([sys.executable, "-c", "pass"], made.env)
        verbs = {verb: timed([warehouse_command(), verb], made.env, also=RED) for verb in LIGHT}
        if not number:
            continue  # the first one reads the files
        nothing.append(bare)
        for verb, seconds in verbs.items():
            taken[verb].append(seconds)
    for verb, goal in LIGHT.items():
        beyond = median(taken[verb]) - median(nothing)
        yield Line(
            f"warehouse {verb}, start to exit",
            f"{median(taken[verb]):.2f} s",
            f"python -c pass: {median(nothing):.2f} s",
            f"{beyond:.2f} s more",
            f"<= {goal} s more",
            beyond <= goal,
            spread(taken[verb]),
        )


def warehouse_command() -> str:
    return os.path.join(os.path.dirname(sys.executable), "warehouse")


def _small_day(made: Scene, sandbox: SandboxProcess, rounds: int) -> Iterator[Line]:
    day = (datetime.now(UTC).date() - timedelta(days=2)).isoformat()
    order = [warehouse_command(), "backfill", "--source", "trust", "--from", day, "--to", day]
    whole, dagster, definitions = [], [], []
    for number in range(rounds + 1):
        taken = timed(order, made.env)
        if not number:
            continue  # the first one makes what is made once
        whole.append(taken)
        dagster.append(importing("dagster", made.env))
        definitions.append(importing("dagster_project.definitions", made.env))
    http = made.one(
        "SELECT extract(epoch FROM sum(received_at - asked_at) / count(DISTINCT extraction_id))"
        " FROM raw.response JOIN ops.extraction USING (extraction_id) WHERE source = 'trust'"
    )
    ratio = median(whole) / median(dagster)
    yield Line(
        "warehouse backfill, one day of trust, start to exit",
        f"{median(whole):.2f} s",
        f"import dagster: {median(dagster):.2f} s; its HTTP calls: {float(http or 0):.3f} s",
        f"{ratio:.2f} times the import",
        "<= 1.8",
        ratio <= 1.8,
        spread(whole),
    )
    yield Line(
        "import of the definitions",
        f"{median(definitions):.2f} s",
        f"import dagster: {median(dagster):.2f} s",
        f"{median(definitions) / median(dagster):.2f} times",
        spread=spread(definitions),
    )


def _years(made: Scene) -> Iterator[Line]:
    last = datetime.now(UTC).date() - timedelta(days=2)
    first = last - timedelta(days=DAYS - 1)
    with product(made) as worker:
        for source in SOURCES:
            run = measured(made, worker, do="load", source=source, first=str(first), last=str(last))
            yield Line(
                f"{DAYS} days of {source}, one run",
                f"{run.seconds / DAYS * 1000:.1f} ms a partition",
                f"whole: {run.seconds:.1f} s{'' if run.facts['success'] else ' (failed)'}",
                cpu=f"{run.cpu:.1f} + {run.server_cpu:.1f} s",
                memory=f"{run.peak_mb:.0f} MB",
            )
