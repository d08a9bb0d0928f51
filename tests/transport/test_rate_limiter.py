"""The rate limiter over a real Postgres, against vendors that count."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dagster_project.concurrency import Abandoned
from dagster_project.model.window import Account
from dagster_project.transport.rate_limiter import MARGIN, SLACK, ClockMap, RateLimiter, Slot
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.budget import Budget
from tests.transport.rate_limited import (
    PER_SECOND,
    asked_to_leave,
    busy_cores,
    hammer,
    pace,
    rate_limited,
)

HOST = "api.vendor.test"
SITE = Account("calltouch", "101", ZoneInfo("Europe/Moscow"))
ROUNDS = 5
NOON = datetime(2024, 4, 1, 9, 0, tzinfo=UTC)


@pytest.fixture
def open_rate_limiter(warehouse: Warehouse) -> Iterator[Callable[[], RateLimiter]]:
    """Makes rate limiters with a connection each, as so many processes would have."""
    budgets: list[Budget] = []

    def fresh() -> RateLimiter:
        budgets.append(Budget(warehouse, reconnect_seconds=10))
        return RateLimiter(budgets[-1])

    yield fresh
    for budget in budgets:
        budget.close()


def test_four_processes_draw_no_429_and_use_the_limit(warehouse: Warehouse) -> None:
    """A busy machine may keep requests back in some rounds; nothing lets them come too fast."""
    reached = []
    for _ in range(ROUNDS):
        with rate_limited(latency=1.0) as (port, stop):
            hammer(warehouse, port, processes=4, threads=12, seconds=10)
            seen = stop()
        assert seen.refused == 0
        reached.append(seen.per_second if len(seen.arrivals) >= 40 else 0.0)
        if reached[-1] >= 0.95 * PER_SECOND:
            return
    pytest.fail(f"of at least forty requests, a second: {reached}")


@pytest.mark.soak
@pytest.mark.parametrize("hogs", [0, 2])
def test_a_long_run_draws_no_429_on_a_busy_machine_either(warehouse: Warehouse, hogs: int) -> None:
    with rate_limited(latency=1.0) as (port, stop), busy_cores(hogs):
        hammer(warehouse, port, processes=4, threads=12, seconds=30)
        seen = stop()
    assert seen.refused == 0
    assert seen.per_second >= 0.95 * PER_SECOND
    assert seen.least_apart >= 1.0 + (MARGIN - SLACK) / 2, "what is left for the network"


def test_a_request_that_wakes_six_milliseconds_late_has_missed_its_slot() -> None:
    assert Slot(NOON, time.monotonic() - 0.006).is_missed


def test_a_slot_that_was_missed_is_not_used_late(
    open_rate_limiter: Callable[[], RateLimiter], monkeypatch: pytest.MonkeyPatch
) -> None:
    rate_limiter = open_rate_limiter()
    moves = []
    store, move = rate_limiter._store, rate_limiter._store.move_slot
    monkeypatch.setattr(store, "move_slot", lambda *slot: moves.append(move(*slot)) or moves[-1])
    slot_request = rate_limiter.slot_request(HOST, 1.0)
    assert not slot_request.acquire()
    time.sleep(SLACK + 0.2)
    assert not slot_request.acquire()
    left = asked_to_leave(slot_request)
    assert pace(rate_limiter, HOST, 1.0) - left >= 1.0
    (_, _, granted, _, _), *_ = moves
    assert granted, "moved, not forfeited"


def test_a_connection_that_is_made_slowly_lets_no_request_leave_early(
    open_rate_limiter: Callable[[], RateLimiter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it knows of the server's clock is one answer, and that took long."""
    left = pace(open_rate_limiter(), HOST, 1.0)
    connect = Budget._connect

    def slowly(budget: Budget) -> Any:
        time.sleep(0.3)
        return connect(budget)

    monkeypatch.setattr(Budget, "_connect", slowly)
    time.sleep(0.55)
    assert pace(open_rate_limiter(), HOST, 1.0) - left >= 1.0


def test_threads_that_wait_for_their_turn_let_no_request_leave_early(
    open_rate_limiter: Callable[[], RateLimiter],
    warehouse: Warehouse,
) -> None:
    left = pace(open_rate_limiter(), HOST, 1.0)
    budget = Budget(warehouse, reconnect_seconds=10)
    budget.read_points("calltouch", "101", date(2024, 4, 1))
    time.sleep(0.5)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(budget._fetch_row, "SELECT pg_sleep(0.3)", ())
        time.sleep(0.05)
        again = pace(RateLimiter(budget), HOST, 1.0)
        held.result()
    budget.close()
    assert again - left >= 1.0


def test_many_threads_of_a_process_keep_the_pace_together(
    open_rate_limiter: Callable[[], RateLimiter],
) -> None:
    """A busy machine may keep threads back in some rounds; nothing lets them leave too early."""
    rate_limiter = open_rate_limiter()
    took = []

    def leave(_: int) -> float:
        return pace(rate_limiter, HOST, 20.0)

    for _ in range(ROUNDS):
        began = time.monotonic()
        with ThreadPoolExecutor(12) as pool:
            left = sorted(pool.map(leave, range(60)))
        took.append(time.monotonic() - began)
        gaps = [later - earlier for earlier, later in zip(left, left[20:], strict=False)]
        assert min(gaps) >= 1.0
        if took[-1] < 6.0:
            return
    pytest.fail(f"sixty took so many seconds: {took}")


def test_a_429_seen_by_one_process_holds_back_the_others(
    open_rate_limiter: Callable[[], RateLimiter],
) -> None:
    began = time.monotonic()
    open_rate_limiter().cool_down(HOST, 1.5)
    pace(open_rate_limiter(), HOST, 5.0)
    assert 1.4 <= time.monotonic() - began < 10


def test_a_wait_for_a_slot_can_be_given_up(open_rate_limiter: Callable[[], RateLimiter]) -> None:
    rate_limiter = open_rate_limiter()
    rate_limiter.cool_down(HOST, 60.0)
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()

    def wait(_: int) -> str:
        try:
            pace(rate_limiter, HOST, 5.0, stop)
        except Abandoned:
            return "gave up"
        return "left"

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(wait, range(4))) == ["gave up"] * 4
    assert time.monotonic() - began < 15


def at(seconds: float) -> datetime:
    return datetime(2024, 4, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def test_the_narrowest_sample_of_the_stores_clock_counts() -> None:
    clock = ClockMap()
    clock.observe(at(100.0), asked=10.0, received=10.002)
    clock.observe(at(100.9), asked=10.0, received=11.0)
    assert clock.to_monotonic(at(101.0)) == pytest.approx(11.001, abs=1e-4)


def test_a_stores_clock_that_was_set_is_learnt_anew() -> None:
    clock = ClockMap()
    clock.observe(at(100.0), asked=10.0, received=10.002)
    clock.observe(at(3700.0), asked=11.0, received=11.004)
    assert clock.to_monotonic(at(3701.0)) == pytest.approx(12.002, abs=1e-4)
