"""What a run does concurrently, and every limit of it.

Accounts run beside each other, and so do windows of one account: while one window's last pages arrive
and its rows commit, the next one's first page can be asked for, so that a vendor that takes a second to
answer is used as fast as it allows. Pages of one window: ``transport/concurrency.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TypeVar

MAX_CONCURRENT_ACCOUNTS = 4
MAX_CONCURRENT_WINDOWS = 8
"""Of all accounts of a run together, each on two connections."""
MAX_WINDOWS_OF_ACCOUNT = 6
MIN_WINDOWS_OF_ACCOUNT = 2
"""However big they are: one commits while the next one arrives."""
MAX_ROWS_OF_ACCOUNT = 200_000
"""In all windows of an account that are under way, where there are more than the least number."""
MAX_CONCURRENT_ENCODERS = 2
"""Responses whose rows are encoded at once: each takes memory, and one interpreter."""
STOPPING_SECONDS = 10.0

Result = TypeVar("Result")
Job = Callable[[], Iterator[Result]]
_Queue = SimpleQueue[tuple[bool, Result | BaseException | None]]


class WindowConcurrency:
    """How many windows of an account may be under way at once.

    One, until the vendor was seen to answer and while it does not; several where no budget decides which
    of them comes next.
    """

    def __init__(self) -> None:
        self.is_answering = False
        self._limit = 1

    def suit(self, rows: int) -> None:
        """Allow as many as suit windows of so many rows, to bound memory."""
        most = min(MAX_ROWS_OF_ACCOUNT // max(rows, 1), MAX_WINDOWS_OF_ACCOUNT)
        self._limit = max(MIN_WINDOWS_OF_ACCOUNT, most)

    def limit(self) -> int:
        return self._limit if self.is_answering else 1


def run_concurrently(
    jobs: Iterable[Job[Result]], limit: Callable[[], int], most: int
) -> Generator[Result, None, None]:
    """Run the jobs, and yield what they yield as it comes; raise what the first failing one raised,
    when those beside it have ended.

    ``limit`` says each time how many may be under way (at least one is, and never more than
    ``most``); a job is taken out of ``jobs`` when its turn comes. When the consumer stops early, what
    is under way is waited for: it may have something to bring to its end.
    """
    results: _Queue[Result] = SimpleQueue()
    rest = iter(jobs)
    under_way = 0
    failure: BaseException | None = None
    with ThreadPoolExecutor(most, thread_name_prefix="window") as pool:
        while True:
            while failure is None and under_way < max(1, min(limit(), most)):
                job = next(rest, None)
                if job is None:
                    break
                pool.submit(_run_job, job, results)
                under_way += 1
            if not under_way:
                break
            is_end, result = results.get()
            if not is_end:
                yield result  # type: ignore[misc]
                continue
            under_way -= 1
            if isinstance(result, BaseException):
                failure = failure or result
    if failure is not None:
        raise failure


def run_accounts(
    jobs: Mapping[str, Job[Result]], stop: Callable[[], None], heartbeat: float | None = None
) -> Generator[Result | None, None, None]:
    """Run each job in a thread of its own, which its key names, and yield what they yield as it comes.

    Where nothing comes for ``heartbeat`` seconds, None is yielded.

    Where a job fails or the consumer stops early, ``stop`` is called and what was raised is raised at
    once; the threads are waited for no longer than ``STOPPING_SECONDS``.
    """
    results: _Queue[Result] = SimpleQueue()
    permits = threading.Semaphore(MAX_CONCURRENT_ACCOUNTS)

    def run(job: Job[Result]) -> None:
        with permits:
            _run_job(job, results)

    threads = [
        threading.Thread(target=run, args=(job,), name=name, daemon=True)
        for name, job in jobs.items()
    ]
    for thread in threads:
        thread.start()
    try:
        working = len(threads)
        while working:
            try:
                is_end, result = results.get(timeout=heartbeat)
            except Empty:
                yield None
                continue
            if not is_end:
                yield result  # type: ignore[misc]
                continue
            working -= 1
            if isinstance(result, BaseException):
                raise result
    except BaseException:
        stop()
        raise
    finally:
        give_up = monotonic() + STOPPING_SECONDS
        for thread in threads:
            thread.join(max(0.0, give_up - monotonic()))


def _run_job(job: Job[Result], results: _Queue[Result]) -> None:
    end: BaseException | None = None
    try:
        for result in job():
            results.put((False, result))
    except BaseException as error:  # noqa: BLE001 - raised again by the consumer
        end = error
    results.put((True, end))
