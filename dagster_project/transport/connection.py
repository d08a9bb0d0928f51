"""HTTP connections that send at their slot and read until a deadline.

``requests`` has no setting for two needs:

*   A rate limit counts requests as they reach the vendor. So a slot must be taken on a connection that
    is already open: a TCP and TLS handshake between slot and request (the first request of each
    thread) would delay the request by 100 ms or more, into the next second. ``Attempt.acquire`` is
    called last of all, and the connection is checked again after a wait.
*   A read timeout limits the silence between two packets, not the whole response: a server that sends
    a byte a second would hold a thread for ever. ``_DeadlineReader`` limits the response as a whole
    (head and body), and stops within half a second when the extraction is abandoned.

The third need has a setting that ``requests`` does not use. The kernel sends a lost request again, for a
quarter of an hour. When a link comes back after a while, all these requests would reach the vendor at once,
long after their slots. So a request that is not acknowledged within ``DELIVERY_SECONDS`` is abandoned
(``TCP_USER_TIMEOUT``, Linux), and sent again in a new slot.

The current attempt is in a context variable, set in the thread that sends. Without one, connections
behave as urllib3's do.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPResponse
from math import inf
from time import monotonic
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from dagster_project import clock
from dagster_project.concurrency import POLL_SECONDS

DELIVERY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts in seconds: to connect, between two packets, and for the whole response once it is requested."""

    connect: float = 10.0
    read: float = 60.0
    total: float = 180.0


@dataclass(slots=True)
class Attempt:
    """One HTTP request under way: what to wait for before it is sent, and until when to read.

    ``acquire`` returns True if the request may be sent at this instant, False after having waited.
    ``on_sending`` is called just before it is sent, ``on_sent`` once it is. ``raise_if_abandoned`` raises
    if nobody waits for the response any more.
    """

    timeouts: Timeouts
    acquire: Callable[[], bool]
    on_sent: Callable[[], None]
    raise_if_abandoned: Callable[[], None]
    on_sending: Callable[[], None]
    deadline: float = inf
    asked_at: datetime = field(default_factory=clock.now)
    sent: bool = False

    def mark_sent(self) -> None:
        self.deadline = monotonic() + self.timeouts.total
        self.asked_at = clock.now()
        self.sent = True
        self.on_sending()


current_attempt: ContextVar[Attempt | None] = ContextVar("current_attempt", default=None)


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until the attempt's deadline."""

    def __init__(self, raw: Any, sock: socket.socket, attempt: Attempt) -> None:
        self._raw, self._sock, self._attempt = raw, sock, attempt

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        silent_until = monotonic() + self._attempt.timeouts.read
        while True:
            self._attempt.raise_if_abandoned()
            patience = min(silent_until, self._attempt.deadline) - monotonic()
            if patience <= 0:
                raise TimeoutError("the answer took too long")
            self._sock.settimeout(min(patience, POLL_SECONDS))
            try:
                return self._sock.recv_into(buffer)
            except TimeoutError:
                continue


class _DeadlineResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        attempt = current_attempt.get()
        if attempt is not None:
            raw = self.fp.detach()
            self.fp = io.BufferedReader(_DeadlineReader(raw, sock, attempt))


class _PacedMixin:
    """Sends when ``Attempt.acquire`` allows it, on a connection that is still open then.

    ``acquire`` is called once the connection is open, and again once the request's bytes are ready:
    preparing them takes a busy process tens of milliseconds, which would make a request miss its slot.
    """

    _leaving: Attempt | None = None

    def connect(self: Any) -> None:
        super().connect()  # type: ignore[misc]
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock = getattr(self.sock, "socket", self.sock)  # TLS inside of TLS, through a proxy
            patience = round(DELIVERY_SECONDS * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)

    def request(self, *args: Any, **named: Any) -> None:
        attempt = current_attempt.get()
        if attempt is None:
            super().request(*args, **named)  # type: ignore[misc]
            return
        self._ensure_connected()
        while not attempt.acquire():
            self._ensure_connected()
        self._leaving = attempt
        try:
            super().request(*args, **named)  # type: ignore[misc]
        finally:
            self._leaving = None
        attempt.on_sent()

    def send(self: Any, data: Any) -> None:
        attempt, self._leaving = self._leaving, None
        if attempt is not None:
            while not attempt.acquire():
                if not self.is_connected:
                    raise ConnectionResetError("the server hung up before the request left")
            attempt.mark_sent()
        super().send(data)  # type: ignore[misc]

    def _ensure_connected(self: Any) -> None:
        if self.is_connected:
            return
        if not self.is_closed:
            if self.proxy_is_tunneling:
                raise ConnectionResetError("the proxy closed its tunnel before the request left")
            self.close()
        self.connect()


class _PacedHTTPConnection(_PacedMixin, HTTPConnection):
    response_class = _DeadlineResponse


class _PacedHTTPSConnection(_PacedMixin, HTTPSConnection):
    response_class = _DeadlineResponse


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _PacedHTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PacedHTTPSConnection


class PacedAdapter(HTTPAdapter):
    """The ``requests`` adapter that uses these connections, through a proxy as well."""

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        _use_paced_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **named: Any) -> Any:
        manager = super().proxy_manager_for(*args, **named)
        _use_paced_pools(manager)
        return manager


def _use_paced_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
