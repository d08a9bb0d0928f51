"""Fetch several responses concurrently, and yield each as it completes, in bounded memory.

Each fetch holds a permit (``in_flight.py``), which limits what all callers together request and hold: a
slow consumer does not make more be fetched ahead. If the consumer stops early or a fetch fails, the others
are abandoned: their ``stop`` is set, and the threads end.
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
    permits: WindowPermits,
) -> Generator[Result, None, None]:
    """Fetch each of ``asked``; yield the results as they complete, and raise the first failure."""
    if not asked:
        return
    stop = threading.Event()
    rest = iter(asked)
    executor = ThreadPoolExecutor(min(threads, len(asked)), thread_name_prefix="fetch")
    waiting: dict[Future[Result], Permit] = {}

    def begin(one: Asked) -> None:
        permit = permits.permit(stop)
        waiting[executor.submit(_fetch, fetch, one, stop, permit)] = permit

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
        for permit in waiting.values():
            permit.release()


def _fetch(
    fetch: Callable[[Asked, threading.Event, Permit], Result],
    one: Asked,
    stop: threading.Event,
    permit: Permit,
) -> Result:
    """Wait for the permit, then fetch; the permit is released when the consumer asks for the next result."""
    permit.acquire()
    return fetch(one, stop, permit)
