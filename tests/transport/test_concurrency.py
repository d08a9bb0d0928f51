"""Fetches under way at once: handed out as they come, bounded, and given up together."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dagster_project.transport.concurrency import fetch_concurrently
from dagster_project.transport.in_flight import InFlightLimit, Permit, WindowPermits


@pytest.fixture
def window() -> Iterator[WindowPermits]:
    with InFlightLimit(4, 2).open_window("101") as opened:
        yield opened


def fetch(number: int, stop: threading.Event, permit: Permit) -> int:
    permit.on_sent()
    permit.on_headers()
    return number * number


def test_every_result_comes_once(window: WindowPermits) -> None:
    found = list(fetch_concurrently(fetch, range(20), 3, window))
    assert sorted(found) == [number * number for number in range(20)]
    assert window.requested == window.held == 0, "every permit is given back"


def test_nothing_asked_is_nothing_fetched(window: WindowPermits) -> None:
    assert list(fetch_concurrently(fetch, [], 3, window)) == []


def test_the_first_failure_is_raised_and_stops_the_others(window: WindowPermits) -> None:
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

    with pytest.raises(ValueError, match="the first one"):
        list(fetch_concurrently(failing, range(2), 2, window))
    assert stopped.is_set()
    assert window.requested == window.held == 0


def test_a_consumer_that_ends_early_gives_up_the_rest(window: WindowPermits) -> None:
    results = fetch_concurrently(fetch, range(20), 3, window)
    next(results)
    results.close()
    assert window.requested == window.held == 0
