"""Responses in flight: never more than may be; the window that began first goes first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from dagster_project.transport import in_flight
from dagster_project.transport.exchange import Abandoned
from dagster_project.transport.in_flight import MAX_SENDING, InFlightLimit, Permit, WindowPermits
from tests.warehouse.server.homes import wait_until


def test_no_more_are_requested_than_may_be() -> None:
    with two_windows(requested=3, held=9) as (first, behind):
        asked = [first.ask(), first.ask(), behind.ask()]
        late = [first.ask_later(), behind.ask_later()]
        assert not any(each.is_done() for each in late)
        asked[0].release()
        wait_until(late[0].is_done)
        assert not late[1].is_done()


def test_few_wait_for_a_slot_at_once() -> None:
    with two_windows(requested=9, held=9) as (first, behind):
        leaving = [first.window.permit(first.stop) for _ in range(MAX_SENDING)]
        for permit in leaving:
            permit.acquire()
        late = [first.ask_later(), behind.ask_later()]
        assert not any(each.is_done() for each in late)
        leaving[0].on_sent()
        wait_until(lambda: any(each.is_done() for each in late))
        leaving[1].release()
        wait_until(lambda: all(each.is_done() for each in late))


def test_a_response_that_is_held_counts_as_requested_no_more() -> None:
    with two_windows(requested=1, held=9) as (first, _):
        for _each in range(5):
            first.ask().on_headers()
        assert (first.window.requested, first.window.held) == (0, 5)


def test_a_response_waits_on_its_connection_while_no_more_may_be_held() -> None:
    with two_windows(requested=9, held=2) as (first, _):
        held = [first.ask(), first.ask()]
        for each in held:
            each.on_headers()
        late = first.arrive_later(first.ask())
        assert not late.is_done()
        held[0].release()
        wait_until(late.is_done)


def test_a_second_try_keeps_the_permit_of_the_first() -> None:
    with two_windows(requested=1, held=1) as (first, _):
        permit = first.ask()
        permit.on_headers()
        permit.on_headers()
        assert first.window.held == 1
        permit.release()
        permit.release()
        assert (first.window.requested, first.window.held) == (0, 0)


def test_a_window_behind_asks_for_one_at_a_time_while_the_first_wants_more() -> None:
    with two_windows(requested=4, held=9) as (first, behind):
        behind.ask()
        of_first = [first.ask() for _ in range(3)]
        late = behind.ask_later()
        sooner = [first.ask_later(), first.ask_later()]
        of_first[0].release()
        of_first[1].release()
        wait_until(lambda: all(each.is_done() for each in sooner))
        assert not late.is_done()
        of_first[2].release()
        wait_until(late.is_done)  # the first one wants nothing any more


def test_a_window_behind_may_request_more_when_its_response_is_held() -> None:
    with two_windows(requested=3, held=9) as (first, behind):
        of_behind = behind.ask()
        first.ask()
        first.ask()
        late = behind.ask_later()
        of_behind.on_headers()
        wait_until(late.is_done)


def test_a_window_behind_holds_two_while_the_first_wants_more() -> None:
    with two_windows(requested=9, held=4) as (first, behind):
        for window in (first, first, behind, behind):
            window.ask().on_headers()
        late = behind.arrive_later(behind.ask())
        of_first = first.arrive_later(first.ask())
        first.held[0].release()
        wait_until(of_first.is_done)
        assert not late.is_done()
        first.held[1].release()
        wait_until(late.is_done)  # the first one wants nothing any more


def test_windows_of_other_accounts_wait_for_nobody() -> None:
    with two_windows(requested=3, held=9, accounts=("1", "2")) as (first, other):
        of_first = [first.ask(), first.ask()]
        other.ask()
        late = other.ask_later()
        of_first[0].release()
        wait_until(late.is_done)


def test_a_window_that_ends_lets_the_next_one_on() -> None:
    limit = InFlightLimit(2, 2)
    with ThreadPoolExecutor(8) as pool, limit.open_window("1") as first:
        before = Threads(first, pool)
        with limit.open_window("1") as second:
            behind = Threads(second, pool)
            held = [before.ask(), behind.ask()]
            late = [behind.ask_later()]
            held[0].release()
            wait_until(late[0].is_done)


def test_whoever_is_given_up_waits_no_longer() -> None:
    with two_windows(requested=2, held=1) as (first, _):
        first.ask().on_headers()
        arriving = first.arrive_later(first.ask())
        asking = [first.ask_later(), first.ask_later()]
        first.stop.set()
        for late in (arriving, asking[-1]):
            with pytest.raises(Abandoned):
                late.future.result(timeout=10)


def test_an_answer_is_read_all_the_same_before_the_vendor_hangs_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(in_flight, "PATIENCE", 0.6)
    with two_windows(requested=2, held=1) as (first, _):
        first.ask().on_headers()
        late = first.arrive_later(first.ask())
        wait_until(late.is_done)
        assert first.window.held == 2


@dataclass
class Late:
    """Something that waits for a permit in a thread."""

    future: Future[None]

    def is_done(self) -> bool:
        return self.future.done()


@dataclass
class Threads:
    """A window's answers, and threads in which they wait."""

    window: WindowPermits
    pool: ThreadPoolExecutor
    held: list[Permit] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> Permit:
        permit = self.window.permit(self.stop)
        permit.acquire()
        permit.on_sent()
        self.held.append(permit)
        return permit

    def ask_later(self) -> Late:
        permit = self.window.permit(self.stop)

        def ask() -> None:
            permit.acquire()
            permit.on_sent()

        return self._waiting(ask)

    def arrive_later(self, permit: Permit) -> Late:
        return self._waiting(permit.on_headers)

    def _waiting(self, step: Callable[[], None]) -> Late:
        waiting = self.window.waiting
        late = Late(self.pool.submit(step))
        wait_until(lambda: self.window.waiting > waiting or late.is_done())
        return late


@contextmanager
def two_windows(
    requested: int, held: int, accounts: tuple[str, str] = ("1", "1")
) -> Iterator[tuple[Threads, Threads]]:
    """Under one limit; whatever still waits at the end is given up."""
    limit = InFlightLimit(requested, held)
    with (
        limit.open_window(accounts[0]) as one,
        limit.open_window(accounts[1]) as other,
        ThreadPoolExecutor(16) as pool,
    ):
        both = Threads(one, pool), Threads(other, pool)
        try:
            yield both
        finally:
            for threads in both:
                threads.stop.set()
