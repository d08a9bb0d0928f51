"""The transaction of a window: days are held back one by one, and the others are loaded."""

from __future__ import annotations

from dagster_project.errors import SuspiciouslyShrunk
from tests.support.loading import QUIET, Loading, load, until_last


def shrink(loading: Loading) -> None:
    """Six days are loaded, and of the third and fourth the vendor has lost nearly all."""
    days = until_last(6)
    with loading.run() as run:
        load(run, loading.window(days[0], days[-1]))
    for day in days[2:4]:
        rows = loading.vendors.world.calltouch.rows(int(QUIET), day, day)
        loading.vendors.world.calltouch.replace_day(int(QUIET), day, rows[:2])
    newer = loading.vendors.world.calltouch.rows(int(QUIET), days[5], days[5])
    loading.vendors.world.calltouch.replace_day(int(QUIET), days[5], newer[1:])


def test_days_that_shrank_are_held_and_the_others_of_their_window_are_loaded(
    loading: Loading,
) -> None:
    days = until_last(6)
    shrink(loading)
    held = {day: loading.rows(day) for day in days[2:4]}
    settings = loading.settings(WAREHOUSE_HOLD_FROM_ROWS="5")
    with loading.run(settings=settings) as run:
        result = load(run, loading.window(days[0], days[-1]))
    [problem] = result.problems
    assert isinstance(problem, SuspiciouslyShrunk)
    assert problem.days == tuple(days[2:4]), "one command takes both"
    assert "--accept-shrink" in str(problem)
    assert sorted(receipt.day for receipt in result.receipts) == days[:2] + days[4:]
    for day in days[2:4]:
        assert loading.rows(day) == held[day]
    assert loading.rows(days[5]) == loading.truth(days[5])
    query = "SELECT day FROM ops.day_state WHERE held IS NOT NULL ORDER BY day"
    assert [row[0] for row in loading.select(query)] == days[2:4]
