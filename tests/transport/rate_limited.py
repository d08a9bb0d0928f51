"""A vendor in a process of its own that answers 429 past five requests a second, and its users.

It holds them to both readings of that rule: five in any second, and five in each second of the
clock. A request arrives when its bytes do: on a busy machine this process may get to read them
some 50 ms later, which is no fault of the sender's, so Linux is asked how long they have lain.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from dagster_project.concurrency import Abandoned
from dagster_project.errors import TryLater
from dagster_project.model.response import ExtractStats
from dagster_project.transport.exchange import Gate, Request
from dagster_project.transport.rate_limiter import RateLimiter, SlotRequest
from dagster_project.transport.session import RetryPolicy, Session
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.budget import Budget

PER_SECOND = 5
spawn = multiprocessing.get_context("spawn")


@dataclass
class Seen:
    """What arrived: instants, and how many were answered 429."""

    arrivals: list[float]
    refused: int

    @property
    def per_second(self) -> float:
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0])

    @property
    def least_apart(self) -> float:
        """The fewest seconds from a request to the fifth after it."""
        pairs = zip(self.arrivals, self.arrivals[PER_SECOND:], strict=False)
        return min(later - earlier for earlier, later in pairs)


@contextmanager
def rate_limited(latency: float) -> Iterator[tuple[int, Callable[[], Seen]]]:
    """Its port, and what it has seen once it is asked to stop."""
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(latency, there), daemon=True)
    process.start()

    def stop() -> Seen:
        here.send("stop")
        return Seen(*here.recv())

    try:
        yield here.recv(), stop
    finally:
        process.kill()
        process.join()


def _serve(latency: float, pipe: Any) -> None:
    asyncio.run(_Vendor(latency).serve(pipe))


class _Vendor:
    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.arrivals: list[float] = []
        self.refused = 0
        self.accepted: deque[float] = deque()
        self.seconds: Counter[int] = Counter()

    async def serve(self, pipe: Any) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        pipe.send((sorted(self.arrivals), self.refused))
        await asyncio.sleep(3600)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                if self._accepts(time.time() - lain(writer.get_extra_info("socket"))):
                    await asyncio.sleep(self.latency)
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                else:
                    self.refused += 1
                    writer.write(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()

    def _accepts(self, now: float) -> bool:
        self.arrivals.append(now)
        self.seconds[int(now)] += 1
        while self.accepted and self.accepted[0] <= now - 1.0:
            self.accepted.popleft()
        self.accepted.append(now)
        return len(self.accepted) <= PER_SECOND and self.seconds[int(now)] <= PER_SECOND


def lain(connection: Any) -> float:
    """Seconds since the last bytes arrived: ``tcpi_last_data_recv`` of Linux's ``tcp_info``."""
    if sys.platform != "linux":
        return 0.0
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 56)
    return int.from_bytes(info[52:56], sys.byteorder) / 1000


class PacedGate(Gate):
    def __init__(self, slot_request: SlotRequest) -> None:
        self._slot_request = slot_request

    def acquire(self) -> bool:
        return self._slot_request.acquire()

    def on_sent(self) -> None:
        self._slot_request.on_sent()


def pace(
    rate_limiter: RateLimiter,
    limiter: str,
    per_second: float,
    stop: threading.Event | None = None,
) -> float:
    """Wait until a request may leave at once; answers the instant (monotonic) at which that was asked.

    A busy machine may put the thread aside before it reads a clock again: what it would read then
    tells nothing of the limiter.
    """
    return asked_to_leave(rate_limiter.slot_request(limiter, per_second, stop))


def asked_to_leave(slot_request: SlotRequest) -> float:
    while True:
        asked = time.monotonic()
        if slot_request.acquire():
            return asked


def hammer(warehouse: Warehouse, port: int, processes: int, threads: int, seconds: float) -> None:
    """So many processes of so many threads ask as fast as they may, for so long."""
    users = [
        spawn.Process(target=_ask, args=(warehouse, port, threads, seconds))
        for _ in range(processes)
    ]
    for user in users:
        user.start()
    for user in users:
        user.join()
        assert user.exitcode == 0


def _ask(warehouse: Warehouse, port: int, threads: int, seconds: float) -> None:
    budget = Budget(warehouse)
    rate_limiter = RateLimiter(budget)
    session = Session(pool_size=threads, retry=RetryPolicy(attempts=1))
    stop = threading.Event()
    request = Request("GET", f"http://127.0.0.1:{port}/")

    def run() -> None:
        with suppress(Abandoned):
            while True:
                gate = PacedGate(rate_limiter.slot_request("127.0.0.1", PER_SECOND, stop))
                with suppress(TryLater):
                    session.send(request, stats=ExtractStats(), gate=gate, stop=stop)

    asking = [threading.Thread(target=run) for _ in range(threads)]
    for thread in asking:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in asking:
        thread.join()
    budget.close()


@contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """So many processes that do nothing but take a core each."""
    hogs = [spawn.Process(target=_spin, daemon=True) for _ in range(count)]
    for hog in hogs:
        hog.start()
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.join()


def _spin() -> None:
    while True:
        sys.getrecursionlimit()
