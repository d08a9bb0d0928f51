"""An HTTP server on loopback that does exactly what a test tells it, down to the socket."""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Play = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; ``number`` counts them from 1."""

    number: int
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def reply(
    body: bytes | str = b"{}",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    claims: int | None = None,
    after: float = 0.0,
) -> Play:
    """An answer; ``claims`` is a Content-Length that may be a lie."""
    raw = body.encode() if isinstance(body, str) else body

    def play(connection: socket.socket) -> None:
        time.sleep(after)
        connection.sendall(_head(status, len(raw) if claims is None else claims, headers) + raw)
        if claims is not None and claims != len(raw):
            hang_up(connection)

    return play


def cut_chunks(body: bytes) -> Play:
    """A chunked answer whose last chunk never comes."""

    def play(connection: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"%x\r\n" % len(body) + body + b"\r\n")
        hang_up(connection)

    return play


def reset(after_bytes: bytes = b"") -> Play:
    def play(connection: socket.socket) -> None:
        connection.sendall(after_bytes)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(connection.detach())

    return play


def hang(seconds: float) -> Play:
    def play(connection: socket.socket) -> None:
        time.sleep(seconds)
        hang_up(connection)

    return play


def hang_up(connection: socket.socket) -> None:
    """End the connection now; ``close`` alone would wait for its reader."""
    connection.shutdown(socket.SHUT_RDWR)
    os.close(connection.detach())


def drip(data: bytes, pause: float) -> Play:
    """Sends byte after byte."""

    def play(connection: socket.socket) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(pause)

    return play


def drip_body(length: int, pause: float) -> Play:
    def play(connection: socket.socket) -> None:
        connection.sendall(_head(200, length, None))
        drip(b" " * length, pause)(connection)

    return play


def _head(status: int, length: int, headers: Mapping[str, str] | None) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class ScriptedServer:
    """Asks ``script`` about each request what to do; remembers every request."""

    def __init__(
        self, script: Callable[[Asked], Play], context: ssl.SSLContext | None = None
    ) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._connections: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # else it accepts one more
        self._listener.close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.add(connection)
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            reader = connection.makefile("rb")
            while connection.fileno() >= 0:
                asked = self._read(reader)
                if asked is None:
                    return
                self.script(asked)(connection)

    def _read(self, reader: Any) -> Asked | None:
        line = reader.readline().decode("latin-1").split()
        if len(line) < 2:
            return None
        headers: dict[str, str] = {}
        while (field := reader.readline().decode("latin-1").strip()) != "":
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", 0)))
        parts = urlsplit(line[1])
        with self._lock:
            asked = Asked(
                len(self.asked) + 1,
                line[0],
                parts.path,
                dict(parse_qsl(parts.query)),
                headers,
                body,
                time.monotonic(),
            )
            self.asked.append(asked)
        return asked


@contextmanager
def serving(*plays: Play, context: ssl.SSLContext | None = None) -> Iterator[ScriptedServer]:
    """A server that plays these one after the other, and the last one for ever."""
    server = ScriptedServer(lambda asked: plays[min(asked.number, len(plays)) - 1], context)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def serving_script(script: Callable[[Asked], Play]) -> Iterator[ScriptedServer]:
    server = ScriptedServer(script)
    try:
        yield server
    finally:
        server.close()
