"""Two faults at once, drawn at random: every feed ends true, or fails clearly, its old rows whole.

The seed stands in each test's name; ``CONFORMANCE_SEED=<seed>`` plays that one draw again.
"""

from __future__ import annotations

import os
from random import Random, SystemRandom

import pytest

from tests.scenarios.conformance.faults import HARMLESS, PASSING, Fault
from tests.scenarios.conformance.rig import Rig
from tests.scenarios.conformance.test_one_fault import calls_of, script

A_FEW, MANY = 6, 80
GIVEN = os.environ.get("CONFORMANCE_SEED")
RUN = "CI" if "CI" in os.environ else os.environ.get("PYTEST_XDIST_TESTRUNUID")
"""Shared by the processes of a test run, which have to agree on the names of tests. As those of
Hypothesis, draws are always the same in CI, and new ones everywhere else."""
DRAW = Random(RUN) if RUN else SystemRandom()
SEEDS = [int(GIVEN)] if GIVEN else [DRAW.randrange(10**6) for _ in range(A_FEW)]


@pytest.mark.parametrize("seed", SEEDS, ids="seed-{}".format)
def test_two_faults_at_once(rig: Rig, seed: int) -> None:
    play_two(rig, Random(f"{rig.feed.source} {seed}"))


@pytest.mark.soak
def test_many_pairs_of_faults(rig: Rig) -> None:
    seed = int(GIVEN) if GIVEN else SystemRandom().randrange(10**6)
    print(f"CONFORMANCE_SEED={seed}")
    draw = Random(f"{rig.feed.source} {seed}")
    for _ in range(MANY):
        play_two(rig, draw)


def play_two(rig: Rig, draw: Random) -> None:
    calls = calls_of(rig)
    with rig.trial() as old:
        for fault in draw.sample(faults_of(rig), 2):
            nth, times = draw.randint(1, calls), draw.choice((1, 1, 2, 5, None))
            print(f"{rig.feed.source}: {fault} from call {nth} of {calls}, {times} times")
            script(rig, fault, nth=nth, times=times)
        rig.check_outcome(rig.refresh(), old)
    rig.heals()


def faults_of(rig: Rig) -> list[Fault]:
    own = rig.world.vendors[rig.played.vendor].domain_faults - rig.played.unnoticed
    return [*HARMLESS.values(), *PASSING.values(), *((kind, {}) for kind in sorted(own))]
