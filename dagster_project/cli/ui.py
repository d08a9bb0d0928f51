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
from contextlib import ExitStack
from pathlib import Path

import click

from dagster_project.errors import SettingsError
from dagster_project.feeds import FEEDS
from dagster_project.orchestration import services
from dagster_project.orchestration.instance import prepare_home
from dagster_project.orchestration.launch import WORKSPACE

_LOOPBACK = "127.0.0.1"


def ui(*, port: int, no_daemon: bool) -> int:
    """Run both until one of them ends or the person interrupts."""
    with ExitStack() as stack:
        settings = services.settings()
        if not any(feed.accounts(settings) for feed in FEEDS) and settings.embedded:
            from dagster_project.cli.demo import demo_environment

            click.echo("no source has credentials: showing the demo's warehouse")
            stack.enter_context(demo_environment(running=True))
        warehouse = services.ready_warehouse(click.echo)
        prepare_home(services.settings(), warehouse)
        port = _usable_port(port)
        commands = [_webserver(port)] + ([] if no_daemon else [_daemon()])
        children = [_start(command) for command in commands]
        click.echo(f"Dagster's UI: http://{_LOOPBACK}:{port}  (Ctrl-C ends it)")
        return _until_one_ends(children)


def _webserver(port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "dagster_project.orchestration.webserver"),
        *("--host", _LOOPBACK, "--port", str(port), "--workspace", str(WORKSPACE)),
        *("--log-level", "warning"),
    ]


def _daemon() -> list[str]:
    return [
        *(sys.executable, "-m", "dagster._daemon", "run"),
        *("--workspace", str(WORKSPACE), "--log-level", "warning"),
    ]


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "DAGSTER_DISABLE_TELEMETRY": "1"}
    root = Path(WORKSPACE).parent
    return subprocess.Popen(command, env=environment, cwd=root, start_new_session=True)


def _until_one_ends(children: list[subprocess.Popen[bytes]]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Also where a shell started us in the background, with interrupts ignored.
        signal.signal(number, _interrupt)
    try:
        while all(child.poll() is None for child in children):
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
