"""Slots and points on a real Postgres, taken by many at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from dagster_project.warehouse.budget import Budget
from dagster_project.warehouse.connection import Warehouse

DAY = date(2024, 4, 1)
NEXT = DAY + timedelta(days=1)
SITE = ("calltouch", "101")
HOST = "api.vendor.test"


@pytest.fixture
def open_budget(warehouse: Warehouse) -> Iterator[Callable[[], Budget]]:
    """Makes stores with a connection each, as so many processes would have."""
    opened: list[Budget] = []

    def fresh() -> Budget:
        opened.append(Budget(warehouse, reconnect_seconds=10))
        return opened[-1]

    yield fresh
    for budget in opened:
        budget.close()


def densest(slots: list[datetime], seconds: float) -> int:
    """The most slots in any window of so many seconds, open at its end."""
    slots = sorted(slots)
    window = timedelta(seconds=seconds)
    return max(sum(first <= slot < first + window for slot in slots) for first in slots)


@pytest.mark.both_servers
@pytest.mark.parametrize(("burst", "period"), [(5, 1.04), (1, 2.5), (3, 0.2)])
def test_slots_given_to_many_at_once_never_exceed_the_burst(
    open_budget: Callable[[], Budget], burst: int, period: float
) -> None:
    budgets = [open_budget() for _ in range(4)]

    def take(number: int) -> datetime:
        due, clock, granted = budgets[number % 4].next_slot(HOST, burst, period, horizon=1e6)
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
    assert [(due, granted) for due, _, granted in refused] == [
        (first[0] + timedelta(seconds=30), False)
    ] * 3


def test_limiters_do_not_share_their_slots(open_budget: Callable[[], Budget]) -> None:
    budget = open_budget()
    assert budget.next_slot("one.test", 1, 30.0, 0.25)[2]
    assert budget.next_slot("other.test", 1, 30.0, 0.25)[2]


def test_a_hold_set_by_one_holds_all_and_only_that_limiter(
    open_budget: Callable[[], Budget],
) -> None:
    open_budget().hold_slots(HOST, 30.0)
    open_budget().hold_slots(HOST, 2.0)
    due, clock, granted = open_budget().next_slot(HOST, 5, 1.0, 0.25)
    assert not granted
    assert 29 < (due - clock).total_seconds() <= 30
    assert open_budget().next_slot("other.test", 5, 1.0, 0.25)[2]


def test_a_missed_slot_moves_to_now_and_the_next_ones_follow_it(
    open_budget: Callable[[], Budget],
) -> None:
    budget = open_budget()
    given, _, _ = budget.next_slot(HOST, 1, 0.5, 0.25)
    time.sleep(0.3)
    moved, clock, granted = budget.move_slot(HOST, 1, 0.5, given, sent=False)
    following, _, _ = budget.next_slot(HOST, 1, 0.5, 10.0)
    assert granted
    assert moved == clock
    assert moved - given >= timedelta(seconds=0.3)
    assert following == moved + timedelta(seconds=0.5)


def test_a_missed_slot_is_forfeited_where_moving_it_would_break_the_limit(
    open_budget: Callable[[], Budget],
) -> None:
    budget = open_budget()
    given, _, _ = budget.next_slot(HOST, 1, 0.5, 10.0)
    following, _, _ = budget.next_slot(HOST, 1, 0.5, 10.0)
    time.sleep(0.2)
    assert not budget.move_slot(HOST, 1, 0.5, given, sent=False)[2]
    assert budget.next_slot(HOST, 1, 0.5, 10.0)[0] == following + timedelta(seconds=0.5)


def test_a_request_that_left_late_counts_from_when_it_left(
    open_budget: Callable[[], Budget],
) -> None:
    budget = open_budget()
    given, _, _ = budget.next_slot(HOST, 2, 0.5, 10.0)
    time.sleep(0.2)
    left, _, _ = budget.move_slot(HOST, 2, 0.5, given, sent=True)
    slots = [budget.next_slot(HOST, 2, 0.5, 10.0)[0] for _ in range(3)]
    assert densest([left, *slots], 0.5) == 2


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


@pytest.mark.both_servers
def test_many_at_once_never_spend_more_than_the_budget(
    open_budget: Callable[[], Budget],
) -> None:
    budgets = [open_budget() for _ in range(4)]

    def extract(number: int) -> int:
        budget, reservation = budgets[number % 4], uuid4()
        if not budget.reserve(reservation, *SITE, DAY, 6, 50)[0]:
            return 0
        spent = [budget.spend(reservation, *SITE, DAY, 2, 50)[0] for _ in range(3)]
        budget.release(reservation)
        return 2 * sum(spent)

    with ThreadPoolExecutor(8) as pool:
        spent = sum(pool.map(extract, range(24)))
    assert spent == 48  # eight windows of 6; a ninth does not fit
    assert budgets[0].standing(*SITE, DAY) == (48, 0)


def test_a_reservation_keeps_others_out_until_it_is_released(
    open_budget: Callable[[], Budget],
) -> None:
    first, second, mine, theirs = open_budget(), open_budget(), uuid4(), uuid4()
    assert first.reserve(mine, *SITE, DAY, 8, 10) == (True, 0, 0)
    assert second.reserve(theirs, *SITE, DAY, 4, 10) == (False, 0, 8)
    assert second.spend(theirs, *SITE, DAY, 4, 10) == (False, 0, 8)
    assert first.reserve(mine, *SITE, DAY, 2, 10) == (True, 0, 0)
    assert second.reserve(theirs, *SITE, DAY, 8, 10) == (True, 0, 2)
    first.release(mine)
    assert second.standing(*SITE, DAY) == (0, 8)


def test_a_call_takes_from_its_reservation_and_a_refund_returns_there(
    open_budget: Callable[[], Budget],
) -> None:
    budget, mine = open_budget(), uuid4()
    budget.reserve(mine, *SITE, DAY, 4, 10)
    assert budget.spend(mine, *SITE, DAY, 2, 10) == (True, 2, 0)
    assert budget.standing(*SITE, DAY) == (2, 2)
    budget.refund(mine, *SITE, DAY, 2)
    assert budget.standing(*SITE, DAY) == (0, 4)


def test_a_reserved_call_goes_through_though_the_rest_of_the_budget_is_gone(
    open_budget: Callable[[], Budget],
) -> None:
    budget, mine, theirs = open_budget(), uuid4(), uuid4()
    budget.reserve(mine, *SITE, DAY, 2, 10)
    budget.reserve(theirs, *SITE, DAY, 8, 10)
    assert budget.spend(mine, *SITE, DAY, 2, 10)[0]
    assert not budget.spend(mine, *SITE, DAY, 2, 10)[0]


def test_no_bound_refuses_nothing_and_still_counts(open_budget: Callable[[], Budget]) -> None:
    budget, mine = open_budget(), uuid4()
    assert budget.reserve(mine, *SITE, DAY, 10**9, None)[0]
    assert budget.spend(mine, *SITE, DAY, 2, None)[0]
    assert budget.standing(*SITE, DAY)[0] == 2


def test_sites_and_days_have_budgets_of_their_own(open_budget: Callable[[], Budget]) -> None:
    budget = open_budget()
    assert budget.spend(uuid4(), "calltouch", "101", DAY, 10, 10)[0]
    assert not budget.spend(uuid4(), "calltouch", "101", DAY, 2, 10)[0]
    assert budget.spend(uuid4(), "calltouch", "102", DAY, 10, 10)[0]
    assert budget.spend(uuid4(), "calltouch", "101", NEXT, 10, 10)[0]


def test_after_midnight_calls_and_the_rest_of_the_reservation_count_on_the_new_day(
    open_budget: Callable[[], Budget],
) -> None:
    budget, mine = open_budget(), uuid4()
    budget.reserve(mine, *SITE, DAY, 8, 10)
    budget.spend(mine, *SITE, DAY, 2, 10)
    assert budget.spend(mine, *SITE, NEXT, 2, 10) == (True, 2, 0)
    assert budget.standing(*SITE, DAY) == (2, 0)
    assert budget.standing(*SITE, NEXT) == (2, 4)


def test_an_expired_reservation_holds_nothing(
    open_budget: Callable[[], Budget], warehouse: Warehouse
) -> None:
    budget, mine = open_budget(), uuid4()
    budget.reserve(mine, *SITE, DAY, 8, 10)
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("UPDATE ops.point_reservation SET expires_at = now() - interval '1 s'")
    assert budget.reserve(uuid4(), *SITE, DAY, 10, 10) == (True, 0, 0)


def reserve_and_wait(warehouse: Warehouse, reservation: UUID, ready: Any) -> None:
    budget = Budget(warehouse)
    budget.reserve(reservation, *SITE, DAY, 8, 10)
    budget.spend(reservation, *SITE, DAY, 2, 10)
    ready.set()
    time.sleep(600)


def test_what_a_killed_process_reserved_is_free_again_and_what_it_spent_stays_spent(
    open_budget: Callable[[], Budget], warehouse: Warehouse
) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=reserve_and_wait, args=(warehouse, uuid4(), ready))
    process.start()
    try:
        assert ready.wait(60)
        budget = open_budget()
        assert budget.standing(*SITE, DAY) == (2, 6)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: budget.standing(*SITE, DAY) == (2, 0))
        assert budget.reserve(uuid4(), *SITE, DAY, 8, 10)[0]
    finally:
        process.kill()
        process.join()


def test_a_broken_connection_is_made_again_and_keeps_what_it_had_reserved(
    open_budget: Callable[[], Budget], warehouse: Warehouse
) -> None:
    budget, other, mine = open_budget(), open_budget(), uuid4()
    budget.reserve(mine, *SITE, DAY, 8, 10)
    for _ in range(3):
        end_other_sessions(warehouse)
        assert budget.spend(mine, *SITE, DAY, 2, 10)[0]
        assert budget.next_slot(HOST, 5, 1.0, 10.0)[2]
    assert other.standing(*SITE, DAY) == (6, 2)


def test_a_refund_is_not_sent_twice_over_a_broken_connection(
    open_budget: Callable[[], Budget], warehouse: Warehouse
) -> None:
    budget, mine = open_budget(), uuid4()
    budget.spend(mine, *SITE, DAY, 4, 10)
    end_other_sessions(warehouse)
    budget.refund(mine, *SITE, DAY, 2)
    assert budget.standing(*SITE, DAY)[0] == 4


def end_other_sessions(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'warehouse:limits'"
        )


def wait_until(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_limits_are_the_loaders_alone(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute("SET ROLE warehouse_bi_pii")
        for call in (
            "ops.next_slot('x', 1, '1 s', '1 s')",
            "ops.hold_slots('x', '1 day')",
            "ops.release_points(gen_random_uuid())",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT {call}".encode())


def test_every_table_column_and_function_of_the_limits_has_a_comment(
    warehouse: Warehouse,
) -> None:
    with warehouse.connect() as connection:
        bare = connection.execute(
            "SELECT c.relname, a.attname FROM pg_class c"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " WHERE c.oid IN ('ops.request_slot'::regclass, 'ops.point_ledger'::regclass,"
            " 'ops.point_reservation'::regclass)"
            " AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)"
        ).fetchall()
        silent = connection.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'ops'::regnamespace"
            " AND proname ~ '(_slots?|_points|lock_ledger|points_held)$'"
            " AND obj_description(oid) IS NULL"
        ).fetchall()
    assert (bare, silent) == ([], [])
