"""A run killed at random instants: every day stays as it was or is new, and the next run makes it true.

Every other kill comes upon what the one before it has left, before a run heals both. The seed is shown, and where the kills fell;
``CRASH_SEED=<seed>`` draws the same instants again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from dagster_project.feeds import FEEDS
from dagster_project.sandbox.server import Sandbox
from tests.conftest import PostgresServer
from tests.scenarios.crash.crashes import Crashes
from tests.scenarios.crash.warm import Ended, Warm, at_seconds, at_step

pytestmark = pytest.mark.long

KILLS_A_WAREHOUSE, KILLS_IN_A_ROW = 6, 2
A_FEW = {"calltouch": 18, "tellody_activity": 4, "tellody_purchases": 4, "trust": 4}
MANY = {"calltouch": 240, "tellody_activity": 40, "tellody_purchases": 40, "trust": 40}


def instants(draw: Random, whole: Ended) -> Iterator[dict[str, float]]:
    """By the clock, and by the steps: short ones such as a commit are hit by these alone."""
    while True:
        yield at_seconds(draw.uniform(0, whole.seconds))
        yield at_step(draw.randint(1, whole.steps), draw.choice((0.0, draw.uniform(0, 0.003))))


def measured(
    source: str, vendors: Sandbox, server: PostgresServer, warm: Warm, home: Path
) -> Ended:
    """A run that nobody kills, and that finds something to change."""
    crashes = Crashes(source, vendors, server, home)
    try:
        crashes.run(warm)
        crashes.turn()
        return crashes.run(warm)
    finally:
        crashes.close()


def play(
    source: str,
    kills: int,
    vendors: Sandbox,
    server: PostgresServer,
    warm: Warm,
    home: Path,
    seed: int,
) -> Counter[str]:
    """So many kills, and more where chance let too few of them fall into a transaction; answers where they fell."""
    draw = Random(f"{source} {seed}")
    places: Counter[str] = Counter()
    in_transaction = 0
    drawn = instants(draw, measured(source, vendors, server, warm, home))
    enough = kills // 6
    while (left_over := kills - places.total()) > 0 or in_transaction < enough:
        assert places.total() < 5 * kills, "kills that interrupt nothing prove nothing"
        crashes = Crashes(source, vendors, server, home)
        try:
            to_come = min(KILLS_A_WAREHOUSE, max(left_over, KILLS_IN_A_ROW))
            for left in reversed(range(to_come)):
                while (killed := crashes.kill(warm, next(drawn))) is None:
                    crashes.turn()
                place, was_open = killed
                places[place] += 1
                in_transaction += was_open
                if left % KILLS_IN_A_ROW == 0:
                    crashes.heals(warm)
                crashes.turn()
        finally:
            crashes.close()
    print(f"CRASH_SEED={seed} {source}: {in_transaction} in a transaction of {places}")
    return places


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("source", [feed.source for feed in FEEDS])
def test_a_killed_run_leaves_each_day_old_or_new_and_the_next_one_makes_it_true(
    source: str, vendors: Sandbox, server: PostgresServer, warm: Warm, scratch: Path, seed: int
) -> None:
    play(source, A_FEW[source], vendors, server, warm, scratch, seed)


@pytest.mark.soak
@pytest.mark.parametrize("source", [feed.source for feed in FEEDS])
def test_hundreds_of_kills(
    source: str, vendors: Sandbox, server: PostgresServer, warm: Warm, scratch: Path, seed: int
) -> None:
    places = play(source, MANY[source], vendors, server, warm, scratch, seed)
    assert len(places) >= 5, "the instants fall everywhere"
