"""All that runs concurrently in a process, and every bound of it.

Accounts of a run go beside each other, and so do windows of an account: while one window's last pages arrive
and its rows commit, the next one's pages can be asked for, so that a vendor that takes a second to answer is
used as fast as it allows. The pages of all windows are fetched by few threads, those of the window that was opened
first before the others. No other module starts a thread or makes a semaphore or a queue; a test sees to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from queue import Empty, PriorityQueue, SimpleQueue
from threading import Semaphore
from time import monotonic
from typing import Any, Generic, TypeVar


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that a run does at once, of all its accounts together where nothing else is said."""

    accounts: int = 8
    """Small ones have a window each, so that as many calls are under way: enough for five a second if a call takes one."""
    stopping_seconds: float = 10.0
    """How long accounts are waited for where a run ends early."""

    windows: int = 8
    """Each on two connections."""
    windows_of_account: int = 6
    least_windows_of_account: int = 2
    """However big they are: one commits while the next one arrives."""
    windows_of_slow_vendor: int = 4
    """Instead, where answers take long to begin: the pages of two would not keep enough calls under way. Few
    of them are in memory at a time."""
    slow_seconds: float = 1.5
    rows_of_account: int = 200_000
    """In all windows of an account that are under way, where there are more than the least number."""
    encoders: int = 2
    """Responses whose rows are encoded at once: each takes memory, and one interpreter."""

    fetch_threads: int = 14
    sending: int = 2
    """Requests that wait for a slot: few, so that a new window's first page need not wait for many."""
    requested: int = 12
    """Calls under way: enough for five a second if a call takes two seconds."""
    held: int = 6
    """Responses in memory: a page of SMS takes megabytes. The others wait on their connections."""
    connection_seconds: float = 20.0
    """How long they do, before they are read anyway: a vendor closes a connection that is not read, and the
    call would be lost."""
    asked_ahead: int = 10
    """Pages of a window that are asked for before its first one told how many there are."""


BOUNDS = Bounds()
POLL_SECONDS = 0.5
"""How often somebody who waits looks whether he is given up."""

Asked = TypeVar("Asked")
Result = TypeVar("Result")
Thing = TypeVar("Thing")
Job = Callable[[], Iterator[Result]]


class Abandoned(Exception):
    """Nobody waits for this work any more: its ``stop`` is set."""


class WindowConcurrency:
    """How many windows of an account may be under way at once.

    One, until the vendor was seen to answer and while it does not; several where no budget decides which
    of them comes next.
    """

    def __init__(self) -> None:
        self.is_answering = False
        self.latency: float | None = None
        self._rows: int | None = None

    def suit(self, rows: int) -> None:
        """Allow as many as suit windows of so many rows, to bound memory."""
        self._rows = rows

    def limit(self) -> int:
        if not self.is_answering or self._rows is None:
            return 1
        most = min(BOUNDS.rows_of_account // max(self._rows, 1), BOUNDS.windows_of_account)
        return max(windows_to_keep_busy(self.latency), most)


def windows_to_keep_busy(latency: float | None) -> int:
    """How many windows must be under way, however big they are, where answers begin after so many seconds."""
    if latency is not None and latency > BOUNDS.slow_seconds:
        return BOUNDS.windows_of_slow_vendor
    return BOUNDS.least_windows_of_account


def run_concurrently(
    jobs: Iterable[Job[Result]], most: int, limit: Callable[[], int] | None = None
) -> Generator[Result, None, None]:
    """Run the jobs, and yield what they yield as it comes; raise what the first failing one raised,
    when those beside it have ended.

    Never more than ``most`` are under way; ``limit`` says each time how many may be, at least one. A job is
    taken out of ``jobs`` when its turn comes. When the consumer stops early, what is under way is waited
    for: it may have something to bring to its end.
    """
    crew: _Crew[Result] = _Crew(("window", job) for job in jobs)
    failure: BaseException | None = None
    try:
        while crew.start(max(1, min(limit(), most) if limit else most) if failure is None else 0):
            failure = (yield from crew.results()) or failure
    finally:
        crew.join()
    if failure is not None:
        raise failure


def run_accounts(
    jobs: Mapping[str, Job[Result]], stop: Callable[[], None], heartbeat: float | None = None
) -> Generator[Result | None, None, None]:
    """Run each job in a thread of its own, which its key names, and yield what they yield as it comes.

    Where nothing comes for ``heartbeat`` seconds, None is yielded.

    Where a job fails or the consumer stops early, ``stop`` is called and what was raised is raised at
    once; the threads are waited for no longer than ``stopping_seconds``.
    """
    crew: _Crew[Result] = _Crew(jobs.items())
    try:
        while crew.start(BOUNDS.accounts):
            failure = yield from crew.results(heartbeat)
            if failure is not None:
                raise failure
    except BaseException:
        stop()
        raise
    finally:
        crew.join(BOUNDS.stopping_seconds)


class _Crew(Generic[Result]):
    """Named jobs, those under way each in a thread of its own, and the queue of what they yield."""

    def __init__(self, jobs: Iterable[tuple[str, Job[Result]]]) -> None:
        self._rest = iter(jobs)
        self._working = 0
        self._threads: list[threading.Thread] = []
        self._results: SimpleQueue[tuple[bool, Result | BaseException | None]] = SimpleQueue()

    def start(self, limit: int) -> int:
        """Start jobs until so many are under way; return how many are."""
        while self._working < limit and (named := next(self._rest, None)):
            name, job = named
            thread = threading.Thread(target=self._run, args=(job,), name=name, daemon=True)
            thread.start()
            self._threads = [*(each for each in self._threads if each.is_alive()), thread]
            self._working += 1
        return self._working

    def results(self, heartbeat: float | None = None) -> Generator[Any, None, BaseException | None]:
        """Yield results until a job ends; return what it raised."""
        while True:
            try:
                is_end, result = self._results.get(timeout=heartbeat)
            except Empty:
                yield None
                continue
            if is_end:
                self._working -= 1
                return result  # type: ignore[return-value]
            yield result

    def join(self, patience: float = threading.TIMEOUT_MAX) -> None:
        give_up = monotonic() + patience
        for thread in self._threads:
            thread.join(min(max(0.0, give_up - monotonic()), threading.TIMEOUT_MAX))

    def _run(self, job: Job[Result]) -> None:
        end: BaseException | None = None
        try:
            for result in job():
                self._results.put((False, result))
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            end = error
        self._results.put((True, end))


class FetchPool:
    """Fetches the pages of all windows, in bounded memory: those of the window that was opened first go first.

    So concurrent windows end one after another: the pages of the next one arrive while one commits.
    """

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.bounds = bounds
        self.requested, self.sending = Semaphore(bounds.requested), Semaphore(bounds.sending)
        self.held = Semaphore(bounds.held)
        self._threads = ThreadPoolExecutor(bounds.fetch_threads, "fetch")
        self._numbers = count()
        self._waiting: PriorityQueue[tuple[int, int, Permit, Future[Any], Callable[[], Any]]]
        self._waiting = PriorityQueue()

    @contextmanager
    def open_window(self) -> Iterator[WindowFetches]:
        """Open a window's fetches; what is under way at the end of the block is abandoned."""
        window = WindowFetches(self, next(self._numbers))
        try:
            yield window
        finally:
            window.abandon()

    def submit(self, window: int, permit: Permit, task: Callable[[], Any]) -> Future[Any]:
        """Have the task done, with a permit to be requested, when no earlier window has one that waits."""
        future: Future[Any] = Future()
        self._waiting.put((window, next(self._numbers), permit, future, task))
        self._threads.submit(self._do_next)
        return future

    def close(self) -> None:
        self._threads.shutdown()

    def _do_next(self) -> None:
        """Do one task. Which one is decided when it may be requested: until then an earlier window may have another."""
        self.requested.acquire()
        self.sending.acquire()
        *_, permit, future, task = self._waiting.get()
        permit.grant()
        if not future.set_running_or_notify_cancel():
            permit.release()
            return
        try:
            result = task()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever takes the result
            future.set_exception(error)
        else:
            future.set_result(result)


Fetch = Callable[[Asked, threading.Event, "Permit"], Result]


class WindowFetches:
    """One window's fetches; each holds a permit until the consumer asks for the result after its own."""

    def __init__(self, pool: FetchPool, number: int) -> None:
        self._pool, self._number = pool, number
        self._stop = threading.Event()
        self._under_way: dict[Future[Any], tuple[Any, Permit]] = {}
        self._ended: SimpleQueue[Future[Any]] = SimpleQueue()

    def begin(self, fetch: Fetch[Asked, Result], asked: Iterable[Asked]) -> None:
        """Have each of ``asked`` fetched."""
        for one in asked:
            permit = Permit(self._pool, self._stop)
            task = partial(fetch, one, self._stop, permit)
            future = self._pool.submit(self._number, permit, task)
            self._under_way[future] = one, permit
            future.add_done_callback(self._ended.put)

    def results(
        self, is_wanted: Callable[[Any], bool] = lambda _: True
    ) -> Generator[Any, None, None]:
        """Yield the results as they come; raise the first failure. What is not wanted is let go, whatever came of it."""
        while self._under_way:
            future = self._ended.get()
            one, permit = self._under_way.pop(future)
            with permit:
                if not is_wanted(one):
                    continue
                result = future.result()
                del future
                try:
                    yield result
                finally:
                    del result

    def abandon(self) -> None:
        """Give up what is under way, and wait for its threads."""
        self._stop.set()
        wait([future for future in self._under_way if not future.cancel()])
        for _, permit in self._under_way.values():
            permit.release()
        self._under_way.clear()


@dataclass
class Permit:
    """One response's permit: to be requested, then held, then released. One thread at a time.

    A response that is requested again after a failed attempt keeps its permit.
    """

    pool: FetchPool
    stop: threading.Event
    _taken: list[Semaphore] = field(default_factory=list)

    def __enter__(self) -> Permit:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def grant(self) -> None:
        """Let the response be requested; the pool has acquired what that takes."""
        self._taken += [self.pool.requested, self.pool.sending]

    def on_sent(self) -> None:
        """Note that the request was sent, or abandoned: another one may wait for a slot."""
        self._give(self.pool.sending)

    def on_headers(self) -> None:
        """Wait, now that the headers have arrived, until the response may be held.

        Raises:
            Abandoned: nobody waits for the response any more.
        """
        if self.pool.held not in self._taken:
            self._hold()
            self._give(self.pool.sending)
            self._give(self.pool.requested)

    def release(self) -> None:
        """Give the permit back, at any stage."""
        for semaphore in list(self._taken):
            self._give(semaphore)

    def _hold(self) -> None:
        give_up = monotonic() + self.pool.bounds.connection_seconds
        while not self.stop.is_set():
            left = min(POLL_SECONDS, give_up - monotonic())
            if left <= 0:
                return
            if self.pool.held.acquire(timeout=left):
                self._taken.append(self.pool.held)
                return
        raise Abandoned("the exchange was given up")

    def _give(self, semaphore: Semaphore) -> None:
        if semaphore in self._taken:
            self._taken.remove(semaphore)
            semaphore.release()


class Lending(Generic[Thing]):
    """Lends things, the one returned last first, at most ``most`` at once; they are made when first needed."""

    def __init__(self, make: Callable[[], Thing], most: int) -> None:
        self._make = make
        self._free: list[Thing] = []
        self._permits, self._lock = Semaphore(most), threading.Lock()

    @contextmanager
    def lend(self) -> Iterator[Thing]:
        """Lend one inside the block; wait while all are lent."""
        with self._permits:
            with self._lock:
                thing = self._free.pop() if self._free else None
            if thing is None:
                thing = self._make()
            try:
                yield thing
            finally:
                self._free.append(thing)


def permits(most: int) -> Semaphore:
    """Permits for at most so many at once."""
    return Semaphore(most)


def thread_beside(name: str) -> ThreadPoolExecutor:
    """One thread beside the caller's, for one job after another; a block around it waits for them."""
    return ThreadPoolExecutor(1, thread_name_prefix=name)
