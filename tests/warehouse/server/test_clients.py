"""Who still works on the embedded server: by connection, and programs of Dagster's by their home."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dagster_project.warehouse.server.clients import clients_of, name_of
from tests.support.ports import free_port

WAITS = "import sys; print('up', flush=True); sys.stdin.read()"
CONNECTS = (
    "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
    " print('up', flush=True); sys.stdin.read()"
)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python -m dagster_project.orchestration.webserver --port 3000", "Dagster's UI"),
        ("python -m dagster._daemon run", "Dagster's daemon"),
        ("python -m dagster api grpc --socket x", "a process of Dagster's"),
        ("python .venv/bin/warehouse backfill --from 2024-04-01", "warehouse backfill"),
        ("/usr/bin/psql postgresql://host/warehouse", "psql"),
        ("", "a process"),
    ],
)
def test_a_process_is_named_as_a_person_would(command: str, name: str) -> None:
    assert name_of(command.split()) == name


def started(script: str, *arguments: str, **given: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, **given},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_who_is_connected_and_whose_dagster_serves_this_home_is_found(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        home = {"WAREHOUSE_HOME": str(tmp_path)}
        connected = started(CONNECTS, str(port))
        daemon = started(WAITS, "dagster._daemon", **home)
        elsewhere = started(WAITS, "dagster._daemon", WAREHOUSE_HOME="/elsewhere")
        other = started(WAITS, "other", **home)
        try:
            found = {client.pid: client.name for client in clients_of(port, tmp_path)}
        finally:
            for process in (connected, daemon, elsewhere, other):
                process.communicate("")
    assert found.keys() == {connected.pid, daemon.pid}
    assert found[daemon.pid] == "Dagster's daemon"
    assert clients_of(free_port(), tmp_path) == []
