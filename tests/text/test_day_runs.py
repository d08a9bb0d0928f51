"""Days as runs of neighbouring days."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project.text.day_runs import runs_of

FIRST = date(2024, 2, 27)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def test_neighbouring_days_are_one_run_also_over_the_end_of_a_month() -> None:
    assert runs_of([day(3), day(0), day(1), day(2)]) == [[day(0), day(1), day(2), day(3)]]
    assert runs_of([day(0), day(2), day(3)]) == [[day(0)], [day(2), day(3)]]
    assert runs_of([]) == []


@settings(deadline=None)
@given(st.sets(st.integers(0, 60)))
def test_runs_hold_every_day_once_and_are_apart(numbers: set[int]) -> None:
    runs = runs_of(day(number) for number in numbers)
    assert [one for run in runs for one in run] == [day(number) for number in sorted(numbers)]
    assert all(run[-1] - run[0] == timedelta(days=len(run) - 1) for run in runs)
    ends = pairwise(runs)
    assert all(later[0] - earlier[-1] > timedelta(days=1) for earlier, later in ends)
