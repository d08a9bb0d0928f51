"""Slots on a real Postgres, taken by many at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.budget import Budget
from tests.warehouse.ledger.budgets import budgets_of

HOST = "api.vendor.test"


@pytest.fixture
def open_budget(warehouse: Warehouse) -> Iterator[Callable[[], Budget]]:
    with budgets_of(warehouse) as fresh:
        yield fresh


def densest(slots: list[datetime], seconds: float) -> int:
    """The most slots in any window of so many seconds, open at its end."""
    slots = sorted(slots)
    window = timedelta(seconds=seconds)
    return max(sum(first <= slot < first + window for slot in slots) for first in slots)


@pytest.mark.both_servers
@pytest.mark.parametrize(("burst", "period"), [(5, 61.04), (1, 62.5), (3, 60.2)])
def test_slots_given_to_many_at_once_never_exceed_the_burst(
    open_budget: Callable[[], Budget], burst: int, period: float
) -> None:
    budgets = [open_budget() for _ in range(4)]

    def take(number: int) -> datetime:
        due, clock, granted, *_ = budgets[number % 4].next_slot(HOST, burst, period, horizon=1e6)
        assert granted
        assert due >= clock
        return due

    with ThreadPoolExecutor(8) as pool:
        slots = list(pool.map(take, range(60)))
    assert densest(slots, period) == burst
    assert max(slots) - min(slots) <= timedelta(seconds=(60 / burst) * period)


def test_a_slot_beyond_the_horizon_is_told_and_not_given(
    open_budget: Callable[[], Budget],
) -> None:
    budget = open_budget()
    first = budget.next_slot(HOST, 1, 30.0, horizon=0.25)
    refused = [budget.next_slot(HOST, 1, 30.0, horizon=0.25) for _ in range(3)]
    assert first[2]
    assert [(due, granted) for due, _, granted, *_ in refused] == [
        (first[0] + timedelta(seconds=30), False)
    ] * 3


def test_limiters_do_not_share_their_slots(open_budget: Callable[[], Budget]) -> None:
    budget = open_budget()
    assert budget.next_slot("one.test", 1, 30.0, 0.25)[2]
    assert budget.next_slot("other.test", 1, 30.0, 0.25)[2]


def test_a_hold_set_by_one_holds_all_and_only_that_limiter(
    open_budget: Callable[[], Budget],
) -> None:
    budget = open_budget()
    before, *_ = budget.read_clock()
    open_budget().hold_slots(HOST, 600.0)
    after, *_ = budget.read_clock()
    open_budget().hold_slots(HOST, 2.0)
    due, _, granted, *_ = open_budget().next_slot(HOST, 5, 1.0, 0.25)
    assert not granted
    assert before <= due - timedelta(seconds=600) <= after
    assert open_budget().next_slot("other.test", 5, 1.0, 0.25)[2]


def test_a_missed_slot_moves_to_now_and_the_next_ones_follow_it(
    open_budget: Callable[[], Budget],
) -> None:
    budget = open_budget()
    given, *_ = budget.next_slot(HOST, 1, 60.0, 0.25)
    time.sleep(0.3)
    moved, clock, granted, *_ = budget.move_slot(HOST, 1, 60.0, given, sent=False)
    following, *_ = budget.next_slot(HOST, 1, 60.0, 600.0)
    assert granted
    assert moved == clock
    assert moved - given >= timedelta(seconds=0.3)
    assert following == moved + timedelta(seconds=60)


def test_a_missed_slot_is_forfeited_where_moving_it_would_break_the_limit(
    open_budget: Callable[[], Budget],
) -> None:
    budget = open_budget()
    given, *_ = budget.next_slot(HOST, 1, 60.0, 600.0)
    following, *_ = budget.next_slot(HOST, 1, 60.0, 600.0)
    time.sleep(0.2)
    assert not budget.move_slot(HOST, 1, 60.0, given, sent=False)[2]
    assert budget.next_slot(HOST, 1, 60.0, 600.0)[0] == following + timedelta(seconds=60)


def test_a_request_that_left_late_counts_from_when_it_left(
    open_budget: Callable[[], Budget],
) -> None:
    budget = open_budget()
    given, *_ = budget.next_slot(HOST, 2, 60.0, 600.0)
    time.sleep(0.2)
    left, *_ = budget.move_slot(HOST, 2, 60.0, given, sent=True)
    slots = [budget.next_slot(HOST, 2, 60.0, 600.0)[0] for _ in range(3)]
    assert densest([left, *slots], 60.0) == 2


def test_slots_left_in_the_future_by_a_clock_set_back_are_forgotten(
    open_budget: Callable[[], Budget], warehouse: Warehouse
) -> None:
    budget = open_budget()
    budget.next_slot(HOST, 1, 1.0, 0.25)
    with warehouse.connect(autocommit=True) as connection:
        connection.execute(
            "UPDATE ops.request_slot SET slots = ARRAY[now() + interval '1 hour'],"
            " held_until = now() + interval '2 hours'"
        )
    assert budget.next_slot(HOST, 1, 1.0, 0.25)[2]
