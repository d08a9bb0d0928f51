"""Room for answers: never more than its places; the window that began first goes first."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from dagster_project.transport.room import Room, WindowRoom
from tests.warehouse.homes import wait_until

LONG, AT_ONCE = 10.0, 0.0


def test_all_windows_together_hold_no_more_than_its_places() -> None:
    room = Room(3)
    with room.of_window("1") as one, room.of_window("2") as other:
        assert [one.acquire(AT_ONCE), other.acquire(AT_ONCE), one.acquire(AT_ONCE)] == [True] * 3
        assert not one.acquire(AT_ONCE)
        assert not other.acquire(AT_ONCE)
        one.release()
        assert other.acquire(AT_ONCE)


def test_the_window_behind_waits_until_the_first_has_all_it_asks_for() -> None:
    with two_windows(4, "1", "1") as (first, behind, queue):
        assert behind.acquire(AT_ONCE)
        assert [first.acquire(AT_ONCE) for _ in range(3)] == [True] * 3
        entering = [queue("behind", behind), queue("behind", behind)]
        entering += [queue("first", first) for _ in range(3)]
        for so_far in range(1, 6):
            first.release()
            wait_until(lambda many=so_far: len(queue.entered) == many)  # type: ignore[misc]
        assert queue.entered == ["first"] * 3 + ["behind"] * 2
        assert all(each.result() for each in entering)


def test_the_window_behind_has_one_place_all_the_time() -> None:
    """However many the first one asks for: the vendor that answers at once is read by two."""
    with two_windows(2, "1", "1") as (first, behind, queue):
        assert first.acquire(AT_ONCE)
        assert behind.acquire(AT_ONCE)
        queue("first", first)
        behind.release()
        wait_until(lambda: queue.entered == ["first"])
        queue("behind", behind)
        first.release()
        wait_until(lambda: queue.entered == ["first", "behind"])


def test_windows_of_other_accounts_wait_for_nobody() -> None:
    with two_windows(3, "1", "2") as (first, other, queue):
        assert [first.acquire(AT_ONCE), first.acquire(AT_ONCE), other.acquire(AT_ONCE)]
        queue("other", other)
        first.release()
        wait_until(lambda: queue.entered == ["other"])


def test_a_window_that_ends_lets_the_next_one_on() -> None:
    room = Room(2)
    with room.of_window("1") as behind, ThreadPoolExecutor() as pool:
        queue = Queue(pool)
        with room.of_window("1") as last:
            assert behind.acquire(AT_ONCE)
            assert last.acquire(AT_ONCE)
            last.release()
        queue("behind", behind)
        wait_until(lambda: queue.entered == ["behind"])


@contextmanager
def two_windows(
    places: int, first: str, second: str
) -> Iterator[tuple[WindowRoom, WindowRoom, Queue]]:
    """Of these accounts, in one room."""
    room = Room(places)
    with (
        room.of_window(first) as one,
        room.of_window(second) as other,
        ThreadPoolExecutor(8) as pool,
    ):
        yield one, other, Queue(pool)


class Queue:
    """Threads that wait for a place, and note that they have it."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.entered: list[str] = []
        self._pool = pool

    def __call__(self, name: str, window: WindowRoom) -> Future[bool]:
        waiting = window._waiting
        future = self._pool.submit(self._enter, name, window)
        wait_until(lambda: window._waiting > waiting or future.done())
        return future

    def _enter(self, name: str, window: WindowRoom) -> bool:
        has_it = window.acquire(LONG)
        self.entered.append(name if has_it else f"{name} in vain")
        return has_it
