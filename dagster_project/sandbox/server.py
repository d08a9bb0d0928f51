"""Running the sandbox: in a thread for tests, in a process of its own for the demo.

It listens on 127.0.0.1 alone. Data are a function of seed, clock and configuration, so two
sandboxes started alike tell the same.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from dagster_project.sandbox.app import make_app
from dagster_project.sandbox.clock import Clock
from dagster_project.sandbox.wire import Connections
from dagster_project.sandbox.world import World

BACKLOG = 512


class Sandbox:
    """A sandbox in this process: its ``url`` and its ``world``."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.url = url

    def settings_env(self) -> dict[str, str]:
        """The settings that point the product here."""
        return self.world.settings_env(self.url)

    def begin_anew(self) -> None:
        """No faults, and figures from zero. What was sent before, and given up, meets and counts in neither.

        Requests are seen in the order in which they were sent: once this one is answered, all are.
        """
        urllib.request.urlopen(f"{self.url}/_sandbox/ready", timeout=60).close()  # noqa: S310 - ours
        self.world.faults.clear()
        self.world.stats.reset()


@contextmanager
def running_sandbox(
    *, seed: int = 1, clock: Clock | datetime | str = "now", port: int = 0, **configs: Any
) -> Iterator[Sandbox]:
    """A sandbox in a thread of its own: ``running_sandbox(clock="2024-05-01T12:00:00+03:00")``.

    ``clock`` is ``now``, an instant at which it stands still, or a :class:`Clock`. Keywords named
    after a vendor take its ``Config`` or a dict of the fields that differ.
    """
    world = World(seed, _clock(clock), configs)
    listener = _listen(port)
    server = _server(world)
    thread = threading.Thread(target=server.run, args=([listener],), name="sandbox", daemon=True)
    thread.start()
    try:
        _wait_until(lambda: server.started or not thread.is_alive(), "the sandbox did not start")
        yield Sandbox(world, _url(listener))
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def serve(
    *,
    port: int = 0,
    seed: int = 1,
    clock: str = "now",
    running: bool = False,
    ready_file: Path | None = None,
    configs: dict[str, Any] | None = None,
    until_stdin_closes: bool = False,
    announce: bool = True,
) -> None:
    """Serve until a signal comes, or stdin closes where that is wished.

    ``ready_file`` appears, whole, once requests are answered: ``{"url": …, "pid": …}``.
    """
    world = World(seed, Clock.parse(clock, running=running), configs)
    listener = _listen(port)
    server = _server(world)
    if until_stdin_closes:
        threading.Thread(target=_stop_at_end_of, args=(sys.stdin, server), daemon=True).start()
    threading.Thread(
        target=_announce, args=(server, _url(listener), ready_file), daemon=True
    ).start()
    if announce:
        _tell(world, _url(listener))
    with suppress(KeyboardInterrupt):
        server.run([listener])


class SandboxProcess:
    """A sandbox in a process of its own, which ends with this one even if that is killed."""

    def __init__(
        self,
        *,
        seed: int = 1,
        clock: str = "now",
        port: int = 0,
        running: bool = False,
        **configs: Any,
    ) -> None:
        """``configs``: vendor name to a dict of the fields that differ, as JSON can carry them."""
        with tempfile.TemporaryDirectory(prefix="sandbox-") as folder:
            ready_file = Path(folder) / "ready.json"
            command = [sys.executable, "-m", __package__, "--port", str(port), "--seed", str(seed)]
            command += ["--clock", clock, "--ready-file", str(ready_file), "--until-stdin-closes"]
            command += ["--quiet", "--configs", json.dumps(configs)]
            command += ["--running"] if running else []
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
            try:
                _wait_until(
                    lambda: ready_file.exists() or self._process.poll() is not None,
                    "the sandbox did not start",
                )
                self.url: str = json.loads(ready_file.read_text())["url"]
            except BaseException:
                self.stop()
                raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def get(self, path: str) -> Any:
        """What a control under ``/_sandbox/`` answers."""
        return json.loads(self._ask("GET", path))

    def post(self, path: str, value: Any) -> Any:
        return json.loads(self._ask("POST", path, value))

    def delete(self, path: str) -> Any:
        return json.loads(self._ask("DELETE", path))

    def truth(self, vendor: str, **query: object) -> list[dict[str, Any]]:
        """The true rows now; ``query`` is the vendor's own (``from_`` stands for ``from``)."""
        text = urlencode({name.rstrip("_"): value for name, value in query.items()})
        lines = self._ask("GET", f"truth/{vendor}?{text}").splitlines()
        return [json.loads(line) for line in lines]

    def settings_env(self) -> dict[str, str]:
        settings: dict[str, str] = self.get("settings")
        return settings

    def stop(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> SandboxProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _ask(self, method: str, path: str, value: Any = None) -> str:
        request = urllib.request.Request(  # noqa: S310 - our own loopback server
            f"{self.url}/_sandbox/{path}",
            None if value is None else json.dumps(value).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            text: str = answer.read().decode()
            return text


def _server(world: World) -> uvicorn.Server:
    connections = Connections()

    class Protocol(H11Protocol):
        """Tells ``connections`` of what comes and goes, so that faults can reset a connection."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            client, server = (transport.get_extra_info(end) for end in ("peername", "sockname"))
            self._ends = tuple(client), tuple(server)
            connections.opened(self._ends, transport)

        def data_received(self, data: bytes) -> None:
            connections.received(self._ends)
            super().data_received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.closed(self._ends)
            super().connection_lost(exc)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            self._timekeeper = asyncio.create_task(connections.keep_time())
            await super().startup(sockets)

    config = uvicorn.Config(
        make_app(world, connections),
        http=Protocol,
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=30,
    )
    return Server(config)


def _listen(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it each answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(BACKLOG)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


def _clock(wish: Clock | datetime | str) -> Clock:
    if isinstance(wish, Clock):
        return wish
    return Clock.parse(wish) if isinstance(wish, str) else Clock(wish)


def _tell(world: World, url: str) -> None:
    """The settings that point at it, as lines of ``.env``; its port takes connections already."""
    settings = "\n".join(f"{name}={value}" for name, value in world.settings_env(url).items())
    print(f"{settings}\nThe vendors are played at {url} (Ctrl-C ends it).", flush=True)


def _announce(server: uvicorn.Server, url: str, ready_file: Path | None) -> None:
    _wait_until(lambda: server.started, "the sandbox did not start")
    if ready_file is not None:
        draft = ready_file.with_name(ready_file.name + ".draft")
        draft.write_text(json.dumps({"url": url, "pid": os.getpid()}))
        draft.replace(ready_file)


def _stop_at_end_of(stream: IO[str], server: uvicorn.Server) -> None:
    stream.read()
    server.should_exit = True


def _wait_until(done: Any, otherwise: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.01)
