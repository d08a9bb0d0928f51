"""What the tests of the embedded Postgres do to its homes and its processes."""

from __future__ import annotations

import os
import pickle
import pwd
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from dagster_project.warehouse.server.cluster import Cluster
from dagster_project.warehouse.server.embedded import EmbeddedServer

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


def as_nobody(work: Callable[[], Any]) -> Any:
    """What ``work`` answers or raises in a child process that runs as an ordinary user."""
    return as_user("nobody", work)


def as_user(name: str, work: Callable[[], Any]) -> Any:
    """The same, as this user."""
    account = pwd.getpwnam(name)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            try:
                answer = (True, work())
            except BaseException as error:  # noqa: BLE001 - it is raised again in the parent
                answer = (False, error)
            os.write(write, pickle.dumps(answer))
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        succeeded, answer = pickle.loads(pipe.read())  # noqa: S301 - our own child's
    os.waitpid(child, 0)
    if not succeeded:
        raise answer
    return answer


def as_admin(server: EmbeddedServer) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "user": "postgres",
        "password": server.passwords["postgres"].get_secret_value(),
        "dbname": "postgres",
    }


def ask(server: EmbeddedServer, query: str) -> Any:
    with psycopg.connect(**as_admin(server), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def pid_of(home: Path) -> int:
    running = Cluster(home / "postgres").running()
    assert running is not None
    return running.pid


def kill_server(home: Path) -> None:
    pid = pid_of(home)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(pid))


def is_gone(pid: int) -> bool:
    """Dead, though its parent may not have asked for it yet."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777
