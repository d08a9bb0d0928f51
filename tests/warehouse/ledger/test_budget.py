"""Points on a real Postgres, spent by many at once, and what dead processes leave of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.budget import Budget
from tests.warehouse.ledger.budgets import budgets_of
from tests.warehouse.server.homes import wait_until

DAY = date(2024, 4, 1)


NEXT = DAY + timedelta(days=1)


SITE = ("calltouch", "101")


HOST = "api.vendor.test"


@pytest.fixture
def open_budget(warehouse: Warehouse) -> Iterator[Callable[[], Budget]]:
    with budgets_of(warehouse) as fresh:
        yield fresh


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
    assert budgets[0].read_points(*SITE, DAY) == (48, 0)


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
    assert second.read_points(*SITE, DAY) == (0, 8)


def test_a_call_takes_from_its_reservation_and_a_refund_returns_there(
    open_budget: Callable[[], Budget],
) -> None:
    budget, mine = open_budget(), uuid4()
    budget.reserve(mine, *SITE, DAY, 4, 10)
    assert budget.spend(mine, *SITE, DAY, 2, 10) == (True, 2, 0)
    assert budget.read_points(*SITE, DAY) == (2, 2)
    budget.refund(mine, *SITE, DAY, 2)
    assert budget.read_points(*SITE, DAY) == (0, 4)


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
    assert budget.read_points(*SITE, DAY)[0] == 2


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
    assert budget.read_points(*SITE, DAY) == (2, 0)
    assert budget.read_points(*SITE, NEXT) == (2, 4)


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
        assert budget.read_points(*SITE, DAY) == (2, 6)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: budget.read_points(*SITE, DAY) == (2, 0))
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
    assert other.read_points(*SITE, DAY) == (6, 2)


def test_a_refund_is_not_sent_twice_over_a_broken_connection(
    open_budget: Callable[[], Budget], warehouse: Warehouse
) -> None:
    budget, mine = open_budget(), uuid4()
    budget.spend(mine, *SITE, DAY, 4, 10)
    end_other_sessions(warehouse)
    budget.refund(mine, *SITE, DAY, 2)
    assert budget.read_points(*SITE, DAY)[0] == 4


def end_other_sessions(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'warehouse:limits'"
        )


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
