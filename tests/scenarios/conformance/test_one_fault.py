"""Under each fault every feed ends true, or fails clearly with its old rows whole; then it heals."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from dagster_project.feeds import FEEDS
from dagster_project.sandbox.world import World
from tests.scenarios.conformance.faults import HANGING, HARMLESS, PASSING, Fault
from tests.scenarios.conformance.played import PLAYED
from tests.scenarios.conformance.rig import Rig

pytestmark = pytest.mark.long

OF_VENDORS = [
    (feed.source, kind)
    for vendors in (World().vendors,)
    for feed in FEEDS
    for kind in sorted(vendors[PLAYED[feed.source].vendor].domain_faults)
]
"""Feeds, each with the faults that its vendor plays itself."""


@cache
def calls_of(rig: Rig) -> int:
    """How many requests a trial's refresh sends when nothing goes wrong: counted once for each rig."""
    stats = rig.world.stats
    with rig.trial():
        before = stats.requests(rig.played.vendor)
        rig.refresh()
        return stats.requests(rig.played.vendor) - before


def script(rig: Rig, fault: Fault, *, nth: int = 1, times: int | None = 1) -> None:
    kind, params = fault
    match = {"vendor": rig.played.vendor, "nth": nth}
    rig.world.faults.add(kind, times=times, match=match, **params)


def positions(calls: int) -> list[int]:
    """The first call, one in the middle and the last but one."""
    return sorted({1, calls // 2, max(1, calls - 1)})


@pytest.mark.parametrize("name", HARMLESS)
def test_an_odd_looking_answer_is_read_like_any(rig: Rig, name: str) -> None:
    with rig.trial():
        script(rig, HARMLESS[name], times=None)
        assert not rig.refresh().problems
        assert rig.is_true()


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_costs_nothing_and_one_that_lasts_changes_nothing(
    rig: Rig, name: str
) -> None:
    passes_and_lasts(rig, PASSING[name])


@pytest.mark.parametrize("name", HANGING)
def test_a_server_that_does_not_end_its_answer_is_given_up(
    rig: Rig, patience: Callable[[float, int], None], name: str
) -> None:
    patience(0.5, 3)
    passes_and_lasts(rig, HANGING[name], meanwhile=lambda: patience(1.5, 4))


@pytest.mark.parametrize(("rig", "kind"), OF_VENDORS, indirect=["rig"])
def test_what_only_the_vendor_can_do_wrong(rig: Rig, kind: str) -> None:
    calls = calls_of(rig)
    for nth, times in ((1, 1), (calls // 2, 1), (calls - 1, 1), (calls // 2, None)):
        with rig.trial() as old:
            script(rig, (kind, {}), nth=nth, times=times)
            done = rig.refresh()
            if kind not in rig.played.unnoticed:
                rig.check_outcome(done, old)
    rig.heals()


def passes_and_lasts(rig: Rig, fault: Fault, meanwhile: Callable[[], None] = lambda: None) -> None:
    """``meanwhile`` comes between a fault that lasts and ones that pass."""
    calls = calls_of(rig)
    with rig.trial() as old:
        script(rig, fault, nth=calls // 2, times=None)
        done = rig.refresh()
        assert done.problems, "a fault without end cannot end well"
        rig.check_outcome(done, old)
        rig.world.faults.clear()
        meanwhile()
        for nth in positions(calls):
            script(rig, fault, nth=nth)
        done = rig.refresh()
        assert not done.problems, done.problems
        assert rig.is_true()
    rig.heals()
