"""Days put into request windows: neighbours together where that costs fewer calls, never otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from itertools import combinations
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.pipeline.planner import (
    Expected,
    RequestLimits,
    chunks_of,
    expected_rows,
    next_window,
    planned_windows,
)
from dagster_project.text.day_runs import runs_of

START = date(2024, 4, 1)
LIMITS = RequestLimits(rows_a_call=10_000, window_rows=150_000, window_days=400)


def day(number: int) -> date:
    return START + timedelta(days=number)


def holding(*rows: int) -> dict[date, Expected]:
    """Neighbouring days from the first of April on, each known to hold so many rows."""
    return {day(n): Expected(count, "receipt") for n, count in enumerate(rows)}


def unknown(days: int) -> dict[date, Expected]:
    return {day(n): Expected(0, "unknown") for n in range(days)}


def numbers(windows: list[list[date]]) -> list[list[int]]:
    return [[(one - START).days for one in window] for window in windows]


def cost(windows: list[list[date]], expected: Mapping[date, Expected]) -> int:
    return sum(max(1, ceil(sum(expected[d].rows for d in w) / 10_000)) for w in windows)


def test_days_of_few_rows_are_asked_for_together() -> None:
    assert numbers(planned_windows(holding(40, 40, 40, 40), LIMITS)) == [[0, 1, 2, 3]]


def test_days_whose_pages_are_full_are_asked_for_singly() -> None:
    assert numbers(planned_windows(holding(10_000, 10_000), LIMITS)) == [[1], [0]]


def test_a_pair_goes_together_only_where_that_saves_a_call() -> None:
    assert numbers(planned_windows(holding(15_000, 15_000), LIMITS)) == [[0, 1]]
    assert numbers(planned_windows(holding(15_000, 16_000), LIMITS)) == [[1], [0]]


def test_a_day_that_is_not_asked_for_is_in_no_window() -> None:
    expected = holding(10, 10, 10, 10, 10)
    del expected[day(2)]
    assert numbers(planned_windows(expected, LIMITS)) == [[3, 4], [0, 1]]


def test_a_quiet_year_costs_its_rows_over_ten_thousand() -> None:
    expected = holding(*[40] * 365)
    windows = planned_windows(expected, LIMITS)
    assert cost(windows, expected) == ceil(365 * 40 / 10_000) == 2


def test_a_year_of_which_nothing_is_known_is_one_question() -> None:
    assert len(planned_windows(unknown(366), LIMITS)) == 1


def test_no_window_holds_more_rows_than_a_transaction_should_unless_a_day_does() -> None:
    windows = planned_windows(holding(200_000, *[30_000] * 20), LIMITS)
    assert numbers(windows)[-1] == [0]
    assert all(len(window) <= 5 for window in windows)


def test_where_a_day_is_a_call_each_is_asked_for_singly() -> None:
    assert numbers(planned_windows(unknown(3), RequestLimits(0, 150_000, 1))) == [[2], [1], [0]]


@given(
    st.lists(st.one_of(st.integers(0, 3_000), st.integers(9_000, 21_000)), min_size=1, max_size=9)
)
def test_no_other_way_to_cut_a_run_of_days_costs_fewer_calls(rows: list[int]) -> None:
    expected = holding(*rows)
    windows = planned_windows(expected, LIMITS)
    assert sorted(d for window in windows for d in window) == sorted(expected)
    inner = range(1, len(rows))
    others = [
        [[day(n) for n in range(a, b)] for a, b in zip((0, *cuts), (*cuts, len(rows)), strict=True)]
        for count in range(len(rows))
        for cuts in combinations(inner, count)
    ]
    cheapest = min(cost(other, expected) for other in others)
    assert cost(windows, expected) == cheapest
    most = max(len(other) for other in others if cost(other, expected) == cheapest)
    assert len(windows) == most, "at equal cost, smaller windows"


def test_what_is_expected_comes_from_the_day_its_weekday_or_any_day() -> None:
    known = {day(7 * n): 100 for n in range(4)} | {day(1): 40}
    found = expected_rows(known, [day(0), day(28), day(30)])
    assert found[day(0)] == Expected(100, "receipt")
    assert found[day(28)] == Expected(100, "weekday")
    assert found[day(30)] == Expected(88, "mean")
    assert expected_rows({}, [day(0)]) == {day(0): Expected(0, "unknown")}


@pytest.mark.parametrize(
    ("calls", "window", "passed"),
    [(None, [0, 1, 2], []), (3, [0, 1, 2], []), (2, [1, 2], []), (1, [2], []), (0, [], [0, 1, 2])],
)
def test_a_window_is_cut_to_the_newest_days_that_the_budget_has_room_for(
    calls: int | None, window: list[int], passed: list[int]
) -> None:
    expected = holding(12_000, 12_000, 6_000)
    found, over = next_window(expected, LIMITS, calls)
    assert [(d - START).days for d in found] == window
    assert [(d - START).days for d in over] == passed


def test_a_day_that_is_too_much_does_not_stand_in_the_way_of_smaller_ones() -> None:
    expected = holding(10_000, 10_000, 45_000)
    window, passed = next_window(expected, LIMITS, 2)
    assert (window, passed) == ([day(1)], [day(2)])


def test_the_oldest_window_comes_first_where_that_is_wished() -> None:
    window, _ = next_window(holding(10_000, 10_000), LIMITS, None, newest_first=False)
    assert window == [day(0)]


def test_runs_and_chunks() -> None:
    days = [day(5), day(1), day(2), day(6), day(9)]
    assert numbers(runs_of(days)) == [[1, 2], [5, 6], [9]]
    assert numbers(chunks_of(days, 2)) == [[6, 9], [2, 5], [1]]
    assert numbers(chunks_of(days, 2, newest_first=False)) == [[1, 2], [5, 6], [9]]
    assert runs_of([]) == []
