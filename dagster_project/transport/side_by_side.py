"""Several exchanges under way at once, their results handed out as they come, memory bounded.

At most ``threads`` results exist at any moment, under way or waiting for the consumer: however slow
it is, and however many are asked for, no more is fetched ahead. When the consumer stops early or
one fails, the others are given up: their ``stop`` is set, and the threads end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

Asked = TypeVar("Asked")
Result = TypeVar("Result")


def side_by_side(
    fetch: Callable[[Asked, threading.Event], Result], asked: Iterable[Asked], threads: int
) -> Generator[Result, None, None]:
    """``fetch`` of each, in the order of completion; raises what the first failing one raised."""
    todo = list(asked)
    if not todo:
        return
    stop = threading.Event()
    rest = iter(todo)
    executor = ThreadPoolExecutor(min(threads, len(todo)), thread_name_prefix="side-by-side")
    try:
        waiting: set[Future[Result]] = {
            executor.submit(fetch, one, stop) for one in islice(rest, threads)
        }
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            future = done.pop()
            waiting.discard(future)
            yield future.result()
            del future
            waiting.update(executor.submit(fetch, one, stop) for one in islice(rest, 1))
    finally:
        stop.set()
        executor.shutdown(wait=True, cancel_futures=True)
