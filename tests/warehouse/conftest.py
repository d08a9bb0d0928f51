"""Homes of the embedded Postgres, to start, kill and spoil."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_project.warehouse.server.cluster import Cluster
from dagster_project.warehouse.server.embedded import ensure_running, stop
from tests.bi.conftest import loads, people, readers
from tests.cli.conftest import days, house, loaded_days, sandbox
from tests.conftest import scratch_folder
from tests.warehouse.server.homes import is_gone, wait_until

__all__ = ["days", "house", "loaded_days", "loads", "people", "readers", "sandbox"]


@pytest.fixture(scope="session")
def made_home() -> Iterator[Path]:
    """A home whose server is made and stopped: copied, it spares a test the making."""
    folder = scratch_folder()
    ensure_running(folder / "home")
    stop(folder / "home")
    yield folder / "home"
    shutil.rmtree(folder)


@pytest.fixture
def new_home(scratch: Path) -> Iterator[Path]:
    folder = scratch / "home"
    yield folder
    running = Cluster(folder / "postgres").running()
    if running is not None:
        os.kill(running.pid, signal.SIGQUIT)
        wait_until(lambda: is_gone(running.pid))


@pytest.fixture
def home(made_home: Path, new_home: Path) -> Path:
    subprocess.run(["cp", "-a", made_home, new_home], check=True)
    (new_home / "embedded.json").unlink()
    return new_home
