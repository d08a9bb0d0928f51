"""Several exchanges under way at once, their results handed out as they come, memory bounded.

At most ``threads`` results exist at any moment, under way or waiting for the consumer: however slow
it is, and however many are asked for, no more is fetched ahead. A ``room`` bounds the results of
several callers together. When the consumer stops early or one fails, the others are given up: their
``stop`` is set, and the threads end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from dagster_project.transport.connection import LOOK_UP_SECONDS
from dagster_project.transport.exchange import Abandoned
from dagster_project.transport.room import WindowRoom

Asked = TypeVar("Asked")
Result = TypeVar("Result")


def side_by_side(
    fetch: Callable[[Asked, threading.Event], Result],
    asked: Iterable[Asked],
    threads: int,
    room: WindowRoom,
) -> Generator[Result, None, None]:
    """``fetch`` of each, in the order of completion; raises what the first failing one raised."""
    todo = list(asked)
    if not todo:
        return
    stop = threading.Event()
    rest = iter(todo)
    executor = ThreadPoolExecutor(min(threads, len(todo)), thread_name_prefix="side-by-side")
    waiting: set[Future[Result]] = set()
    try:
        waiting.update(
            executor.submit(_fetched, fetch, one, stop, room) for one in islice(rest, threads)
        )
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            future = done.pop()
            waiting.discard(future)
            result = future.result()
            del future
            try:
                yield result
            finally:
                del result
                room.release()
            waiting.update(
                executor.submit(_fetched, fetch, one, stop, room) for one in islice(rest, 1)
            )
    finally:
        stop.set()
        executor.shutdown(wait=True, cancel_futures=True)
        for left in waiting:
            if not left.cancelled() and left.exception() is None:
                room.release()


def _fetched(
    fetch: Callable[[Asked, threading.Event], Result],
    one: Asked,
    stop: threading.Event,
    room: WindowRoom,
) -> Result:
    """Fetch once there is room for the result; it is taken up until the consumer comes back."""
    while not room.acquire(timeout=LOOK_UP_SECONDS):
        if stop.is_set():
            raise Abandoned("the exchange was given up")
    try:
        return fetch(one, stop)
    except BaseException:
        room.release()
        raise
