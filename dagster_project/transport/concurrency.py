"""Several exchanges under way at once, their results handed out as they come, memory bounded.

Each has a place in a ``room``, which bounds what several callers ask for and hold together: however
slow the consumer is, no more is fetched ahead. When it stops early or one fails, the others are given
up: their ``stop`` is set, and the threads end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from dagster_project.transport.in_flight import Permit, WindowPermits

Asked = TypeVar("Asked")
Result = TypeVar("Result")


def fetch_concurrently(
    fetch: Callable[[Asked, threading.Event, Permit], Result],
    asked: Sequence[Asked],
    threads: int,
    room: WindowPermits,
) -> Generator[Result, None, None]:
    """``fetch`` of each, in the order of completion; raises what the first failing one raised."""
    if not asked:
        return
    stop = threading.Event()
    rest = iter(asked)
    executor = ThreadPoolExecutor(min(threads, len(asked)), thread_name_prefix="side-by-side")
    waiting: dict[Future[Result], Permit] = {}

    def begin(one: Asked) -> None:
        place = room.place(stop)
        waiting[executor.submit(_fetched, fetch, one, stop, place)] = place

    try:
        for one in islice(rest, threads):
            begin(one)
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            future = done.pop()
            with waiting.pop(future):
                result = future.result()
                del future
                try:
                    yield result
                finally:
                    del result
            for one in islice(rest, 1):
                begin(one)
    finally:
        stop.set()
        executor.shutdown(wait=True, cancel_futures=True)
        for place in waiting.values():
            place.leave()


def _fetched(
    fetch: Callable[[Asked, threading.Event, Permit], Result],
    one: Asked,
    stop: threading.Event,
    place: Permit,
) -> Result:
    """Fetch once there is room for one more; the place is taken until the consumer comes back."""
    place.ask()
    return fetch(one, stop, place)
