"""Which processes of this machine work on the embedded server, and what they are in a person's words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from dagster_project.config.project import HOME

_KINDS = (
    ("dagster_project.orchestration.webserver", "Dagster's UI"),
    ("dagster._daemon", "Dagster's daemon"),
    ("dagster-daemon", "Dagster's daemon"),
    ("dagster-webserver", "Dagster's UI"),
    ("dagster api", "a process of Dagster's"),
)
_VERBS = ("backfill", "replay", "demo", "metrics", "psql", "forget", "rekey", "remove-account")


@dataclass(frozen=True)
class Client:
    """A process that works on the server."""

    pid: int
    name: str


def clients_of(port: int, home: Path) -> list[Client]:
    """Every other process that works on the server, as far as this user may see them.

    It has a connection to this port of loopback; or it is a program of Dagster's for ``home``, which has
    one now and then.
    """
    found = [Client(process.pid, _name(process)) for process in _working(port, home)]
    return sorted(found, key=lambda client: (client.name, client.pid))


def _working(port: int, home: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with suppress(psutil.Error):
            if _serves(process, home) or _is_connected(process, port):
                yield process


def _serves(process: psutil.Process, home: Path) -> bool:
    command = " ".join(process.cmdline())
    is_dagster = any(part in command for part, _ in _KINDS)
    return is_dagster and process.environ().get(HOME) == str(home)


def _is_connected(process: psutil.Process, port: int) -> bool:
    return any(
        one.raddr and one.raddr.port == port and one.status == psutil.CONN_ESTABLISHED
        for one in process.net_connections("tcp")
    )


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return name_of(process.cmdline())
    return "a process"


def name_of(command: Sequence[str]) -> str:
    """``Dagster's UI``, ``warehouse backfill``, or the program's own name. No other argument is told."""
    text = " ".join(command)
    for part, name in _KINDS:
        if part in text:
            return name
    verb = next((word for word in command if word in _VERBS), None)
    if verb is not None and verb != "psql":
        return f"warehouse {verb}"
    return os.path.basename(command[0]) if command else "a process"
