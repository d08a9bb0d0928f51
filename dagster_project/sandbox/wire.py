"""The ASGI layer around the vendors: counts, limits, delays, and breaks their answers.

It sees each vendor call once, in this order: the vendor's own rate limit (a sliding second by client
address), faults that replace the answer, the vendor, faults that change or cut what it answered.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dagster_project.sandbox.faults import REPLACING, SCOPE_KEY, WIRE_KINDS, Fault
from dagster_project.sandbox.field_faults import change_field
from dagster_project.sandbox.world import Call, Vendor, World

HTML_PAGE = (
    "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form action='/login' "
    "method='post'><input name='username'><input name='password' type='password'></form></body></html>"
)
SECOND_NS = 1_000_000_000
CLOSING_SECONDS = 0.02
BEAT_SECONDS = 0.01

Ends = tuple[tuple[Any, ...], tuple[Any, ...]]


class Connections:
    """The open connections, and how late the sandbox itself may have noticed what came over them.

    A busy machine wakes this process late, and requests that came apart are then seen together. So each
    request is known by two instants: ``earliest``, when the event loop last showed itself awake before
    it, and the one at which it was seen. The client is blamed only for what is true of both.
    """

    def __init__(self) -> None:
        self._open: dict[Ends, asyncio.Transport] = {}
        self._earliest: dict[Ends, int] = {}
        self._beat = time.monotonic_ns()

    async def keep_time(self) -> None:
        """Show that the event loop is awake, for as long as it runs."""
        while True:
            self._beat = time.monotonic_ns()
            await asyncio.sleep(BEAT_SECONDS)

    def opened(self, ends: Ends, transport: asyncio.Transport) -> None:
        self._open[ends] = transport

    def received(self, ends: Ends) -> None:
        """Something came, not before the last beat."""
        self._earliest[ends] = self._beat

    def closed(self, ends: Ends) -> None:
        self._open.pop(ends, None)
        self._earliest.pop(ends, None)

    def transport(self, scope: Scope) -> asyncio.Transport | None:
        return self._open.get(ends_of(scope))

    def arrival(self, scope: Scope) -> tuple[int, int]:
        """Between which instants (monotonic, ns) the request came that is now being seen."""
        now = time.monotonic_ns()
        return self._earliest.get(ends_of(scope), now), now


def ends_of(scope: Scope) -> Ends:
    return tuple(scope["client"]), tuple(scope["server"])


class SlidingSecond:
    """At most ``limit`` calls in any second (or ``window``); a refused call does not count."""

    def __init__(self) -> None:
        self._taken: deque[int] = deque()

    def take(self, limit: float, earliest: int, seen: int, window: float = 1) -> bool:
        while self._taken and seen - self._taken[0] >= window * SECOND_NS:
            self._taken.popleft()
        if len(self._taken) >= limit:
            return False
        self._taken.append(earliest)
        return True


class Wire:
    """Wraps the application. ``connections`` finds the transport under a request, to reset it."""

    def __init__(self, app: ASGIApp, world: World, connections: Connections) -> None:
        self._app = app
        self._world = world
        self._connections = connections
        self._limits: dict[tuple[str, str], SlidingSecond] = {}
        self._routes = [
            (name, route) for name, vendor in world.vendors.items() for route in vendor.routes()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = self._vendor_of(scope) if scope["type"] == "http" else None
        if name is None:
            await self._app(scope, receive, send)
            return
        arrival = self._connections.arrival(scope)
        resets = self._world.stats.arrived(name, *arrival)
        vendor = self._world.vendors[name]
        allowed = self._within_limit(name, vendor, scope, arrival)
        try:
            body = await Request(scope, receive).body()
        except ClientDisconnect:
            self._world.stats.answered(resets, name, scope["path"], "cut off")
            return
        call = vendor.describe(Request(scope), body)
        outcome: int | str = "cut off"
        try:
            exchange = Exchange(self, scope, receive, send, body)
            if allowed:
                outcome = await self._answer(name, vendor, call, exchange)
            else:
                self._world.stats.limited(name)
                outcome = await exchange.respond(vendor.too_many(Request(scope)))
        finally:
            self._world.stats.answered(
                resets, name, scope["path"], outcome, call.account, call.page
            )

    def _vendor_of(self, scope: Scope) -> str | None:
        if scope["path"].startswith("/_sandbox/"):
            return None
        for name, route in self._routes:
            if route.matches(scope)[0] != Match.NONE:
                return name
        return None

    async def _answer(self, name: str, vendor: Vendor, call: Call, exchange: Exchange) -> int | str:
        path = exchange.scope["path"]
        faults = self._world.faults.on_call(name, path, call.account, call.page)
        for fault in faults:
            self._world.stats.played(fault.kind)
        if latency := getattr(vendor.config, "latency", 0):
            await asyncio.sleep(latency)
        return await exchange.play(faults)

    def _within_limit(
        self, name: str, vendor: Vendor, scope: Scope, arrival: tuple[int, int]
    ) -> bool:
        limit = getattr(vendor.config, "requests_per_second", 0)
        address = scope["client"][0] if scope.get("client") else ""
        log = self._limits.setdefault((name, address), SlidingSecond())
        return not limit or log.take(limit, *arrival, getattr(vendor.config, "rate_window", 1))

    @property
    def app(self) -> ASGIApp:
        return self._app

    def transport(self, scope: Scope) -> asyncio.Transport | None:
        return self._connections.transport(scope)


class Exchange:
    """One request and its answer, with the faults that are to be played on it."""

    def __init__(self, wire: Wire, scope: Scope, receive: Receive, send: Send, body: bytes) -> None:
        self.scope = scope
        self._wire = wire
        self._receive = receive
        self._send = send
        self._body = body

    async def play(self, faults: list[Fault]) -> int | str:
        wire_faults = {fault.kind: fault for fault in reversed(faults) if fault.kind in WIRE_KINDS}
        self.scope[SCOPE_KEY] = [fault for fault in faults if fault.kind not in WIRE_KINDS]
        if (hang := wire_faults.get("hang")) and not await self._wait(
            hang.params.get("seconds", 60)
        ):
            return "hung"
        replacing = next((fault for fault in faults if fault.kind in REPLACING), None)
        if replacing is not None:
            if replacing.params.get("processed"):
                await self._vendors_answer()
            if replacing.kind == "reset":
                return await self._reset()
            return await self.respond(replacement(replacing))
        answer = await self._vendors_answer()
        for kind in ("field", "bom", "cut_json", "gzip", "content_type"):
            if fault := wire_faults.get(kind):
                TRANSFORMS[kind](answer, fault)
        if fault := wire_faults.get("reset_in_body") or wire_faults.get("close_in_body"):
            return await self._break_off(answer, fault)
        if fault := wire_faults.get("slow_drip"):
            return await self._drip(answer, fault)
        return await self.respond(answer)

    async def respond(self, answer: Response) -> int:
        await answer(self.scope, self._receive, self._send)
        return answer.status_code

    async def _vendors_answer(self) -> Response:
        """Let the application answer, and hold its answer back."""
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": self._body, "more_body": False}

        async def hold(message: Message) -> None:
            sent.append(message)

        await self._wire.app(self.scope, receive, hold)
        answer = Response(
            b"".join(message.get("body", b"") for message in sent[1:]), sent[0]["status"]
        )
        answer.raw_headers = list(sent[0]["headers"])
        return answer

    async def _wait(self, seconds: float) -> bool:
        """Sleep; false as soon as the client has gone."""
        gone = asyncio.ensure_future(self._receive())
        done, _ = await asyncio.wait({gone}, timeout=seconds)
        gone.cancel()
        return not done

    async def _reset(self) -> str:
        """Close the connection with RST, as a crashed peer or a firewall does."""
        transport = self._wire.transport(self.scope)
        if transport is not None:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
            await asyncio.sleep(CLOSING_SECONDS)
        return "reset"

    async def _start(self, answer: Response) -> None:
        await self._send(
            {
                "type": "http.response.start",
                "status": answer.status_code,
                "headers": answer.raw_headers,
            }
        )

    async def _break_off(self, answer: Response, fault: Fault) -> str:
        body = bytes(answer.body)
        await self._start(answer)
        part = body[: max(1, int(len(body) * fault.params.get("at", 0.5)))]
        await self._send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(fault.params.get("seconds", 0.05))
        if fault.kind == "reset_in_body":
            return await self._reset() + " in the body"
        if transport := self._wire.transport(self.scope):
            transport.close()
            await asyncio.sleep(CLOSING_SECONDS)
        return "closed in the body"

    async def _drip(self, answer: Response, fault: Fault) -> int:
        body, pieces = bytes(answer.body), int(fault.params.get("pieces", 20))
        size = max(1, -(-len(body) // pieces))
        await self._start(answer)
        for start in range(0, len(body), size):
            await self._send(
                {
                    "type": "http.response.body",
                    "body": body[start : start + size],
                    "more_body": start + size < len(body),
                }
            )
            await asyncio.sleep(fault.params.get("seconds", 2) / pieces)
        return answer.status_code


def replacement(fault: Fault) -> Response:
    """The answer that a fault puts in the place of the vendor's."""
    params = fault.params
    if fault.kind == "html":
        return Response(HTML_PAGE, 200, media_type="text/html")
    if fault.kind == "empty":
        return Response(b"", 200, media_type="application/json")
    if fault.kind == "not_json":
        return Response(params.get("body", "OK"), 200, media_type="application/json")
    headers = {"Retry-After": str(params["retry_after"])} if "retry_after" in params else None
    return Response(
        params.get("body", ""),
        int(params.get("status", 503)),
        headers,
        params.get("content_type", "text/html"),
    )


def _set_body(answer: Response, body: bytes) -> None:
    answer.body = body
    answer.headers["content-length"] = str(len(body))


def _bom(answer: Response, fault: Fault) -> None:
    _set_body(answer, b"\xef\xbb\xbf" + bytes(answer.body))


def _cut_json(answer: Response, fault: Fault) -> None:
    body = bytes(answer.body)
    _set_body(answer, body[: int(len(body) * fault.params.get("at", 0.5))])


def _gzip(answer: Response, fault: Fault) -> None:
    _set_body(answer, gzip.compress(bytes(answer.body), compresslevel=1))
    answer.headers["content-encoding"] = "gzip"


def _content_type(answer: Response, fault: Fault) -> None:
    answer.headers["content-type"] = fault.params.get("value", "text/html; charset=windows-1251")


def _field(answer: Response, fault: Fault) -> None:
    _set_body(answer, change_field(bytes(answer.body), **fault.params))


TRANSFORMS: dict[str, Callable[[Response, Fault], None]] = {
    "field": _field,
    "bom": _bom,
    "cut_json": _cut_json,
    "gzip": _gzip,
    "content_type": _content_type,
}
