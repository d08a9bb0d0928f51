"""Several pieces of work under way at once, what they give handed out as it comes.

While one window's last pages arrive and its rows commit, the next one's first page can be asked for:
a vendor that takes a second to answer is then used as fast as it allows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Result = TypeVar("Result")
Job = Callable[[], Iterator[Result]]


def run_concurrently(
    jobs: Iterable[Job[Result]], width: Callable[[], int], most: int
) -> Generator[Result, None, None]:
    """What the jobs give, in the order of its coming; raises what the first failing one raised,
    when those beside it have ended.

    ``width`` says each time how many may be under way (at least one is, and never more than
    ``most``); a job is taken out of ``jobs`` when its turn comes. When the consumer stops early, what
    is under way is waited for: it may have something to bring to its end.
    """
    coming: SimpleQueue[tuple[bool, Result | BaseException | None]] = SimpleQueue()
    rest = iter(jobs)
    under_way = 0
    failure: BaseException | None = None
    with ThreadPoolExecutor(most, thread_name_prefix="abreast") as pool:
        while True:
            while failure is None and under_way < max(1, min(width(), most)):
                job = next(rest, None)
                if job is None:
                    break
                pool.submit(_work, job, coming)
                under_way += 1
            if not under_way:
                break
            is_end, result = coming.get()
            if not is_end:
                yield result  # type: ignore[misc]
                continue
            under_way -= 1
            if isinstance(result, BaseException):
                failure = failure or result
    if failure is not None:
        raise failure


def _work(
    job: Job[Result], coming: SimpleQueue[tuple[bool, Result | BaseException | None]]
) -> None:
    end: BaseException | None = None
    try:
        for result in job():
            coming.put((False, result))
    except BaseException as error:  # noqa: BLE001 - raised again by the consumer
        end = error
    coming.put((True, end))
