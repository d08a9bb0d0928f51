"""What runs concurrently: as much as allowed, nothing lost, failures raised, and all of it begun in one module."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import dagster_project
from dagster_project.concurrency import (
    BOUNDS,
    Abandoned,
    Bounds,
    FetchPool,
    Lending,
    Permit,
    WindowConcurrency,
    WindowFetches,
    permits,
    run_accounts,
    run_concurrently,
    thread_beside,
)
from tests.warehouse.server.homes import wait_until

MAKES_THREADS = {
    "Thread",
    "Timer",
    "ThreadPoolExecutor",
    "ProcessPoolExecutor",
    "Semaphore",
    "BoundedSemaphore",
    "Condition",
    "Barrier",
    "Queue",
    "LifoQueue",
    "PriorityQueue",
    "SimpleQueue",
}


def test_threads_semaphores_and_queues_are_made_in_one_module() -> None:
    package = Path(dagster_project.__file__).parent
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in MAKES_THREADS)
        or (isinstance(node, ast.Name) and node.id in MAKES_THREADS)
    }
    assert {name for name in found if not name.startswith("sandbox/")} == {"concurrency.py"}


def test_bounds_are_fixed() -> None:
    with pytest.raises(FrozenInstanceError):
        BOUNDS.held = 100  # type: ignore[misc]


class Crowd:
    """Counts how many of its jobs run at once; each gives its number twice."""

    def __init__(self, meet: int = 1) -> None:
        self.most = self.running = 0
        self._lock = threading.Lock()
        self._met = threading.Barrier(meet)

    def job(self, number: int) -> Iterator[int]:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        yield number
        self._met.wait(timeout=60)
        yield number
        with self._lock:
            self.running -= 1


def test_gives_all_that_each_job_gives() -> None:
    crowd = Crowd()
    jobs = [partial(crowd.job, number) for number in range(5)]
    assert sorted(run_concurrently(jobs, 2)) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_one_at_a_time_goes_in_order() -> None:
    crowd = Crowd()
    jobs = [partial(crowd.job, number) for number in range(3)]
    assert list(run_concurrently(jobs, 4, lambda: 1)) == [0, 0, 1, 1, 2, 2]
    assert crowd.most == 1


def test_as_many_run_at_once_as_the_limit_says_and_no_more_than_most() -> None:
    crowd = Crowd(meet=3)
    jobs = [partial(crowd.job, number) for number in range(6)]
    assert len(list(run_concurrently(jobs, 3, lambda: 10))) == 12
    assert crowd.most == 3


def test_a_job_is_chosen_when_its_turn_comes() -> None:
    chosen: list[int] = []

    def choose() -> Iterator[partial[Iterator[int]]]:
        for number in range(3):
            chosen.append(number)
            yield partial(Crowd().job, number)

    results = run_concurrently(choose(), 2, lambda: 1)
    assert (next(results), chosen) == (0, [0])
    assert list(results) == [0, 1, 1, 2, 2]


def test_a_failure_is_raised_after_what_the_others_gave() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def failing() -> Iterator[int]:
        begun.wait(timeout=60)
        yield from ()
        may_end.set()
        raise ValueError("broken")

    def steady() -> Iterator[int]:
        begun.set()
        may_end.wait(timeout=60)
        yield 7

    never = partial(Crowd().job, 9)
    given: list[int] = []

    def take() -> None:
        for number in run_concurrently([failing, steady, never], 2):
            given.append(number)

    with pytest.raises(ValueError, match="broken"):
        take()
    assert given == [7]


def test_nothing_to_do_gives_nothing() -> None:
    assert list(run_concurrently([], 3)) == []


def test_one_window_of_an_account_at_a_time_until_the_vendor_answers_and_while_it_does_not() -> (
    None
):
    concurrency = WindowConcurrency()
    concurrency.suit(rows=1)
    assert concurrency.limit() == 1
    concurrency.is_answering = True
    assert concurrency.limit() == BOUNDS.windows_of_account
    concurrency.is_answering = False
    assert concurrency.limit() == 1


@pytest.mark.parametrize(
    ("rows", "limit"),
    [
        (0, BOUNDS.windows_of_account),
        (BOUNDS.rows_of_account // 3, 3),
        (10 * BOUNDS.rows_of_account, BOUNDS.least_windows_of_account),
    ],
)
def test_fewer_windows_at_once_where_they_have_many_rows(rows: int, limit: int) -> None:
    concurrency = WindowConcurrency()
    concurrency.is_answering = True
    concurrency.suit(rows)
    assert concurrency.limit() == limit


def test_a_slow_vendor_is_asked_for_more_windows_also_where_they_have_many_rows() -> None:
    concurrency = WindowConcurrency()
    concurrency.is_answering = True
    concurrency.suit(10 * BOUNDS.rows_of_account)
    for latency, limit in (
        (None, BOUNDS.least_windows_of_account),
        (BOUNDS.slow_seconds, BOUNDS.least_windows_of_account),
        (BOUNDS.slow_seconds + 0.1, BOUNDS.windows_of_slow_vendor),
    ):
        concurrency.latency = latency
        assert concurrency.limit() == limit
    concurrency.suit(1)
    assert concurrency.limit() == BOUNDS.windows_of_account


def never() -> None:
    raise AssertionError("nothing failed, and nobody stopped")


def test_accounts_of_one_window_keep_five_calls_of_a_second_under_way() -> None:
    """A night of small sites is as many windows of a call each; a fifth of the time is for all else."""
    assert BOUNDS.windows >= BOUNDS.accounts >= 1.2 * 5


def test_accounts_run_beside_each_other_and_no_more_than_may() -> None:
    crowd = Crowd(meet=BOUNDS.accounts)
    jobs = {str(n): partial(crowd.job, n) for n in range(2 * BOUNDS.accounts)}
    assert len(list(run_accounts(jobs, never))) == 4 * BOUNDS.accounts
    assert crowd.most == BOUNDS.accounts
    assert list(run_accounts({}, never)) == []


def test_an_account_that_fails_stops_the_others_at_once() -> None:
    stopped = threading.Event()

    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    def steady() -> Iterator[int]:
        stopped.wait(timeout=30)
        yield from ()

    with pytest.raises(ValueError, match="broken"):
        list(run_accounts({"failing": failing, "steady": steady}, stopped.set))
    assert stopped.is_set()


def test_while_no_result_comes_there_is_a_heartbeat_where_that_is_asked_for() -> None:
    go_on = threading.Event()

    def waiting() -> Iterator[int]:
        yield 1
        go_on.wait(timeout=30)
        yield 2

    results = run_accounts({"waiting": waiting}, go_on.set, heartbeat=0.01)
    assert next(one for one in results if one is not None) == 1
    assert next(results) is None
    go_on.set()
    assert [one for one in results if one is not None] == [2]


def test_accounts_are_stopped_when_their_results_are_not_wanted_any_more() -> None:
    stopped = threading.Event()

    def endless() -> Iterator[int]:
        yield 1
        stopped.wait(timeout=30)

    results = run_accounts({"endless": endless}, stopped.set)
    assert next(results) == 1
    results.close()
    assert stopped.is_set()
    assert not any(thread.name == "endless" for thread in threading.enumerate())


def test_no_more_are_requested_than_may_be() -> None:
    with waiting_threads(Bounds(requested=3, held=9)) as threads:
        asked = [threads.ask() for _ in range(3)]
        late = threads.ask_later()
        threads.sees_waiting(late)
        asked[0].release()
        wait_until(late.done)


def test_few_wait_for_a_slot_at_once() -> None:
    with waiting_threads(Bounds(requested=9, held=9)) as threads:
        leaving = [threads.granted() for _ in range(BOUNDS.sending)]
        late = [threads.ask_later(), threads.ask_later()]
        threads.sees_waiting(*late)
        leaving[0].on_sent()
        wait_until(lambda: any(each.done() for each in late))
        leaving[1].release()
        wait_until(lambda: all(each.done() for each in late))


def test_a_response_that_is_held_counts_as_requested_no_more() -> None:
    with waiting_threads(Bounds(requested=1, held=9)) as threads:
        for _ in range(5):
            threads.ask().on_headers()


def test_a_response_waits_on_its_connection_while_no_more_may_be_held() -> None:
    with waiting_threads(Bounds(requested=9, held=2)) as threads:
        held = [threads.ask(), threads.ask()]
        for each in held:
            each.on_headers()
        late = threads.arrive_later(threads.ask())
        threads.sees_waiting(late)
        held[0].release()
        wait_until(late.done)


def test_a_second_try_keeps_the_permit_of_the_first() -> None:
    with waiting_threads(Bounds(requested=1, held=1)) as threads:
        permit = threads.ask()
        permit.on_headers()
        permit.on_headers()
        late = threads.arrive_later(threads.ask())
        threads.sees_waiting(late)
        permit.release()
        permit.release()
        wait_until(late.done)
        another = threads.arrive_later(threads.ask())
        threads.sees_waiting(another)


def test_whoever_is_given_up_waits_no_longer() -> None:
    with waiting_threads(Bounds(requested=2, held=1)) as threads:
        threads.ask().on_headers()
        arriving = threads.arrive_later(threads.ask())
        threads.sees_waiting(arriving)
        threads.stop.set()
        with pytest.raises(Abandoned):
            arriving.result(timeout=60)


def test_an_answer_is_read_all_the_same_before_the_vendor_hangs_up() -> None:
    with waiting_threads(Bounds(requested=2, held=1, connection_seconds=0.6)) as threads:
        threads.ask().on_headers()
        late = threads.arrive_later(threads.ask())
        wait_until(late.done)
        late.result()


@dataclass
class Threads:
    """Permits of one pool, and threads in which they are waited for."""

    pool: FetchPool
    executor: ThreadPoolExecutor
    stop: threading.Event = field(default_factory=threading.Event)
    permits: list[Permit] = field(default_factory=list)

    def granted(self) -> Permit:
        permit = Permit(self.pool, self.stop)
        self.permits.append(permit)
        self.pool.submit(0, permit, lambda: None).result()
        return permit

    def ask(self) -> Permit:
        permit = self.granted()
        permit.on_sent()
        return permit

    def ask_later(self) -> Future[Any]:
        return self.executor.submit(self.ask)

    def arrive_later(self, permit: Permit) -> Future[Any]:
        return self.executor.submit(permit.on_headers)

    def sees_waiting(self, *late: Future[Any]) -> None:
        wait_until(lambda: all(each.running() for each in late))
        assert not self.stop.wait(0.1)
        assert not any(each.done() for each in late)


@contextmanager
def waiting_threads(bounds: Bounds) -> Iterator[Threads]:
    """Whatever still waits at the end is given up."""
    with ThreadPoolExecutor(16) as executor:
        threads = Threads(FetchPool(bounds), executor)
        try:
            yield threads
        finally:
            threads.stop.set()
            for permit in threads.permits:
                permit.release()
            threads.pool.close()


@contextmanager
def pool_of(threads: int, sending: int = BOUNDS.sending) -> Iterator[FetchPool]:
    of_others = set(threading.enumerate())
    pool = FetchPool(Bounds(fetch_threads=threads, requested=4, held=2, sending=sending))
    yield pool
    pool.close()
    left = set(threading.enumerate()) - of_others
    assert not [one for one in left if one.name.startswith("fetch")]
    for semaphore, free in (
        (pool.requested, 4),
        (pool.held, 2),
        (pool.sending, pool.bounds.sending),
    ):
        assert all(semaphore.acquire(blocking=False) for _ in range(free)), "all are given back"


def square(number: int, stop: threading.Event, permit: Permit) -> int:
    permit.on_sent()
    permit.on_headers()
    return number * number


def fetched(window: WindowFetches, fetch: Callable[..., int], *asked: int) -> list[int]:
    window.begin(fetch, asked)
    return list(window.results())


def test_every_result_comes_once() -> None:
    with pool_of(3) as pool, pool.open_window() as window:
        found = fetched(window, square, *range(20))
    assert sorted(found) == [number * number for number in range(20)]


def test_nothing_asked_is_nothing_fetched() -> None:
    with pool_of(3) as pool, pool.open_window() as window:
        assert fetched(window, square) == []


def test_the_first_failure_is_raised_and_stops_the_others() -> None:
    begun, stopped = threading.Event(), threading.Event()

    def failing(number: int, stop: threading.Event, permit: Permit) -> int:
        if number == 0:
            assert begun.wait(30)
            raise ValueError("the first one")
        permit.on_sent()
        begun.set()
        assert stop.wait(30), "nobody said that it is over"
        stopped.set()
        return number

    with (
        pool_of(2) as pool,
        pytest.raises(ValueError, match="the first one"),
        pool.open_window() as window,
    ):
        fetched(window, failing, 0, 1)
    assert stopped.is_set()


def test_a_consumer_that_ends_early_gives_up_the_rest() -> None:
    with pool_of(3) as pool, pool.open_window() as window:
        window.begin(square, range(20))
        results = window.results()
        next(results)
        results.close()


def test_what_is_not_wanted_is_let_go_whatever_came_of_it() -> None:
    def failing_from_3(number: int, stop: threading.Event, permit: Permit) -> int:
        if number >= 3:
            raise ValueError("there is no such page")
        return square(number, stop, permit)

    with pool_of(3) as pool, pool.open_window() as window:
        window.begin(failing_from_3, range(5))
        assert sorted(window.results(lambda number: number < 3)) == [0, 1, 4]


class HeldFetches:
    """Notes the order of what is fetched; number 0 is held until ``go_on`` is set."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.order: list[int] = []

    def __call__(self, number: int, stop: threading.Event, permit: Permit) -> int:
        if number == 0:
            self.begun.set()
            assert self.go_on.wait(30)
        self.order.append(number)
        return square(number, stop, permit)


def test_the_window_that_was_opened_first_goes_first() -> None:
    fetches = HeldFetches()
    with pool_of(1) as pool, pool.open_window() as first, pool.open_window() as behind:
        first.begin(fetches, [0])
        assert fetches.begun.wait(30)
        behind.begin(fetches, [10, 11])
        first.begin(fetches, [1, 2])
        fetches.go_on.set()
        assert len(list(first.results())) == 3
        assert len(list(behind.results())) == 2
    assert fetches.order == [0, 1, 2, 10, 11]


def test_a_page_goes_before_those_of_later_windows_that_wait_for_a_slot_already() -> None:
    fetches = HeldFetches()
    with pool_of(4, sending=1) as pool, pool.open_window() as first, pool.open_window() as behind:
        first.begin(fetches, [0])
        assert fetches.begun.wait(30)
        behind.begin(fetches, [10, 11])
        assert not fetches.go_on.wait(0.1), "until its threads have all begun to wait"
        first.begin(fetches, [1])
        fetches.go_on.set()
        assert len(list(first.results())) == 2
        assert len(list(behind.results())) == 2
    assert fetches.order == [0, 1, 10, 11]


def test_a_window_that_ends_leaves_the_next_one_its_threads() -> None:
    def waiting(number: int, stop: threading.Event, permit: Permit) -> int:
        assert stop.wait(30)
        raise Abandoned

    with pool_of(2) as pool:
        with pool.open_window() as first:
            first.begin(waiting, range(8))
        with pool.open_window() as second:
            assert sorted(fetched(second, square, 1, 2, 3)) == [1, 4, 9]


def test_what_could_not_be_made_is_tried_again_by_the_next() -> None:
    failures = [True] * 2

    def make() -> str:
        if failures:
            failures.pop()
            raise MemoryError
        return "made"

    lending = Lending(make, 2)
    for _ in range(2):
        with pytest.raises(MemoryError), lending.lend():
            pass
    with lending.lend() as thing:
        assert thing == "made"


def test_a_thing_is_made_when_needed_and_the_one_used_last_is_lent_first() -> None:
    made: list[object] = []
    lending = Lending(lambda: made.append(object()) or made[-1], 2)
    assert made == []
    with lending.lend() as first:
        pass
    with lending.lend() as again:
        assert again is first
        with lending.lend() as second:
            assert second is not first
    assert len(made) == 2


def test_a_thing_is_waited_for_while_all_are_lent() -> None:
    lending = Lending(object, 2)
    waiting, got = threading.Event(), threading.Event()

    def wait_for_one() -> None:
        waiting.set()
        with lending.lend():
            got.set()

    with lending.lend():
        with lending.lend():
            thread = threading.Thread(target=wait_for_one)
            thread.start()
            assert waiting.wait(timeout=30)
            assert not got.wait(timeout=0.2)
        assert got.wait(timeout=30)
        thread.join()


def test_a_thread_beside_does_one_job_after_another_and_is_waited_for() -> None:
    done: list[int] = []
    with thread_beside("aside") as beside:
        for number in range(5):
            beside.submit(done.append, number)
    assert done == [0, 1, 2, 3, 4]


def test_permits_are_for_so_many_at_once() -> None:
    two = permits(2)
    assert [two.acquire(blocking=False) for _ in range(3)] == [True, True, False]
