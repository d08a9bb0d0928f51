"""``warehouse backfill`` killed at work: the same command makes every day true and buries the dead run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random

import dagster as dg
import pytest

from dagster_project.orchestration import liveness
from dagster_project.sandbox.server import Sandbox
from tests.conftest import PostgresServer
from tests.scenarios.crash.conftest import DAYS
from tests.scenarios.crash.crashes import Crashes
from tests.scenarios.crash.scene import place_of
from tests.support.operating import operating

A_FEW, MANY = 3, 40
PATIENCE = 300.0


def backfill(crashes: Crashes) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-c", "from dagster_project.cli.main import main; main()"),
            *("backfill", "--source", crashes.rig.feed.source),
            *("--from", str(DAYS[0]), "--to", str(DAYS[-1])),
        ],
        env={k: v for k, v in {**os.environ, **crashes.env}.items() if v},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_at_work(crashes: Crashes, draw: Random) -> str:
    """So long after the command has begun to ask the vendor; answers where it stood."""
    begun = "SELECT coalesce(max(extraction_id), 0) FROM ops.extraction"
    before = crashes.scene.value(begun)
    process = backfill(crashes)
    give_up = time.monotonic() + PATIENCE
    while crashes.scene.value(begun) == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up, "it does not begin"
        time.sleep(0.002)
    time.sleep(draw.uniform(0, 1))
    process.send_signal(signal.SIGSTOP)
    place, _ = place_of(crashes.scene.sessions())
    process.kill()
    process.communicate()
    crashes.check_outcome()
    crashes.turn()
    return place


def play(
    kills: int,
    vendors: Sandbox,
    server: PostgresServer,
    home: Path,
    seed: int,
    patch: pytest.MonkeyPatch,
) -> None:
    draw = Random(f"command {seed}")
    crashes = Crashes("calltouch", vendors, server, home)
    server.add_dagster(crashes.warehouse)
    try:
        with operating(crashes.warehouse, home, patch, crashes.env) as house:
            places = Counter(kill_at_work(crashes, draw) for _ in range(kills))
            print(f"CRASH_SEED={seed} warehouse backfill: {places}")
            process = backfill(crashes)
            output, errors = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, output + errors
            crashes.judge_end()
            liveness.fail_dead_runs(house.instance, house.warehouse, grace=timedelta())
            ends = Counter(run.status for run in house.instance.get_runs())
        assert set(ends) <= {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
        assert ends[dg.DagsterRunStatus.SUCCESS] >= 1
    finally:
        crashes.close()


def test_a_killed_backfill_is_made_whole_by_the_same_command(
    vendors: Sandbox,
    server: PostgresServer,
    scratch: Path,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play(A_FEW, vendors, server, scratch, seed, monkeypatch)


@pytest.mark.soak
def test_a_backfill_killed_many_times(
    vendors: Sandbox,
    server: PostgresServer,
    scratch: Path,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play(MANY, vendors, server, scratch, seed, monkeypatch)
