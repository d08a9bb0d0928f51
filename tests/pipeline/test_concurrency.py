"""Jobs that run concurrently: as many as allowed, nothing lost, failures raised."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from dagster_project.pipeline.concurrency import (
    MAX_CONCURRENT_ACCOUNTS,
    MAX_ROWS_OF_ACCOUNT,
    MAX_WINDOWS_OF_ACCOUNT,
    MIN_WINDOWS_OF_ACCOUNT,
    WindowConcurrency,
    run_accounts,
    run_concurrently,
)


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
    assert sorted(run_concurrently(jobs, lambda: 2, 2)) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_one_at_a_time_goes_in_order() -> None:
    crowd = Crowd()
    jobs = [partial(crowd.job, number) for number in range(3)]
    assert list(run_concurrently(jobs, lambda: 1, 4)) == [0, 0, 1, 1, 2, 2]
    assert crowd.most == 1


def test_as_many_run_at_once_as_the_limit_says_and_no_more_than_most() -> None:
    crowd = Crowd(meet=3)
    jobs = [partial(crowd.job, number) for number in range(6)]
    assert len(list(run_concurrently(jobs, lambda: 10, 3))) == 12
    assert crowd.most == 3


def test_a_job_is_chosen_when_its_turn_comes() -> None:
    chosen: list[int] = []

    def choose() -> Iterator[partial[Iterator[int]]]:
        for number in range(3):
            chosen.append(number)
            yield partial(Crowd().job, number)

    results = run_concurrently(choose(), lambda: 1, 2)
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
        for number in run_concurrently([failing, steady, never], lambda: 2, 2):
            given.append(number)

    with pytest.raises(ValueError, match="broken"):
        take()
    assert given == [7]


def test_nothing_to_do_gives_nothing() -> None:
    assert list(run_concurrently([], lambda: 3, 3)) == []


def test_one_window_of_an_account_at_a_time_until_the_vendor_answers_and_while_it_does_not() -> (
    None
):
    concurrency = WindowConcurrency()
    concurrency.suit(rows=1)
    assert concurrency.limit() == 1
    concurrency.is_answering = True
    assert concurrency.limit() == MAX_WINDOWS_OF_ACCOUNT
    concurrency.is_answering = False
    assert concurrency.limit() == 1


@pytest.mark.parametrize(
    ("rows", "limit"),
    [
        (0, MAX_WINDOWS_OF_ACCOUNT),
        (MAX_ROWS_OF_ACCOUNT // 3, 3),
        (10 * MAX_ROWS_OF_ACCOUNT, MIN_WINDOWS_OF_ACCOUNT),
    ],
)
def test_fewer_windows_at_once_where_they_have_many_rows(rows: int, limit: int) -> None:
    concurrency = WindowConcurrency()
    concurrency.is_answering = True
    concurrency.suit(rows)
    assert concurrency.limit() == limit


def never() -> None:
    raise AssertionError("nothing failed, and nobody stopped")


def test_accounts_run_beside_each_other_and_no_more_than_may() -> None:
    crowd = Crowd(meet=MAX_CONCURRENT_ACCOUNTS)
    jobs = {str(n): partial(crowd.job, n) for n in range(2 * MAX_CONCURRENT_ACCOUNTS)}
    assert len(list(run_accounts(jobs, never))) == 4 * MAX_CONCURRENT_ACCOUNTS
    assert crowd.most == MAX_CONCURRENT_ACCOUNTS
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
