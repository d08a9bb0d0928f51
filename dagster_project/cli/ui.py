"""``warehouse ui``: Dagster's webserver and daemon on loopback, until interrupted.

With credentials set, over the real warehouse; with none, over the demo's, with the sandbox's clock
running, so that its statuses mature from day to day.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import click

from dagster_project.cli.set_up import make_storage, setting_up
from dagster_project.errors import SettingsError
from dagster_project.feeds import FEEDS
from dagster_project.orchestration.instance import prepare_home
from dagster_project.orchestration.launch import WORKSPACE
from dagster_project.pipeline import services
from dagster_project.text.remedies import END_OTHER_UI, START_POSTGRES
from dagster_project.warehouse.server.home import hold_lock, read_private

_LOOPBACK = "127.0.0.1"
_LOOK_EVERY_SECONDS = 3.0
POSTGRES_IS_AWAY = (
    "Postgres does not answer: pages of the UI show an error and no run begins until it does."
)
POSTGRES_IS_BACK = "Postgres answers again: pages and schedules go on."


def ui(*, port: int, no_daemon: bool) -> int:
    """Run both until one of them ends or the person interrupts."""
    with ExitStack() as stack:
        settings = services.settings()
        if not any(feed.accounts(settings) for feed in FEEDS) and settings.embedded:
            from dagster_project.cli.demo import demo_environment

            click.echo("no source has credentials: showing the demo's warehouse")
            stack.enter_context(demo_environment(running=True))
        with setting_up() as steps:
            warehouse = services.ready_warehouse(make_storage, steps.report)
        home = prepare_home(services.settings(), warehouse)
        port = _usable_port(port)
        children = [] if no_daemon else [_only_daemon(_daemon(), home, stack)]
        children.append(_start(_webserver(port)))
        click.echo(f"Dagster's UI: http://{_LOOPBACK}:{port}  (Ctrl-C ends it)")
        return _until_one_ends(children, PostgresWatch(warehouse.place))


def _webserver(port: int) -> list[str]:
    return [
        *_ending_quietly("dagster_project.orchestration.webserver"),
        *("--host", _LOOPBACK, "--port", str(port), "--workspace", str(WORKSPACE)),
        *("--log-level", "warning"),
    ]


def _daemon() -> list[str]:
    return [
        *_ending_quietly("dagster._daemon"),
        *("run", "--workspace", str(WORKSPACE), "--log-level", "warning"),
    ]


def _ending_quietly(module: str) -> list[str]:
    """A command that runs a module; an interrupt ends it without a traceback, also while it is imported."""
    run = (
        "import runpy, signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(0));"
        " runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
    )
    return [sys.executable, "-c", run, module]


def _only_daemon(command: list[str], home: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
    """Start the daemon, unless this home has one: two could launch the same run.

    It holds the lock until its own end, which may come later than that of this process.
    """
    file = home / "daemon.lock"
    process = read_private(file) or "unknown"
    lock = hold_lock(
        file,
        f"Dagster's daemon runs over this warehouse already (process {process}).",
        hint=END_OTHER_UI,
        patience=0,
    )
    descriptor = stack.enter_context(lock)
    daemon = _start(command, descriptor)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(daemon.pid).encode(), 0)
    return daemon


def _start(command: list[str], *inherited: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "DAGSTER_DISABLE_TELEMETRY": "1"}
    root = Path(WORKSPACE).parent
    return subprocess.Popen(
        command, env=environment, cwd=root, start_new_session=True, pass_fds=inherited
    )


class PostgresWatch:
    """Says once that Postgres does not answer any more, and once that it does again.

    The webserver and the daemon go on by themselves: until then pages show an error, and no run begins.
    """

    def __init__(self, place: Mapping[str, str]) -> None:
        self._address = (place.get("host", "localhost"), int(place.get("port", 5432)))
        self._answers = True
        self._next_look = 0.0

    def look(self) -> None:
        """Look every few seconds, however often this is called."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY_SECONDS
        answers = self._is_open()
        if answers != self._answers:
            click.echo(POSTGRES_IS_BACK if answers else f"{POSTGRES_IS_AWAY} {START_POSTGRES}")
        self._answers = answers

    def _is_open(self) -> bool:
        if self._address[0].startswith("/") or "," in self._address[0]:
            return True  # a socket's folder, or several hosts: nothing is known of these
        try:
            socket.create_connection(self._address, timeout=2).close()
        except OSError:
            return False
        return True


def _until_one_ends(children: list[subprocess.Popen[bytes]], postgres: PostgresWatch) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Also where a shell started us in the background, with interrupts ignored.
        signal.signal(number, _interrupt)
    try:
        while all(child.poll() is None for child in children):
            postgres.look()
            time.sleep(0.5)
        return max(abs(child.poll() or 0) for child in children) and 1
    except KeyboardInterrupt:
        return 0
    finally:
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
        for child in children:
            try:
                child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                child.kill()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _usable_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            raise SettingsError(
                f"port {port} is taken.", hint="use --port 0 for a free one, or name another."
            ) from error
        return int(probe.getsockname()[1])
