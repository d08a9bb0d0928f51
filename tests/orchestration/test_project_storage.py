"""Dagster's own commands, typed in the project's folder by habit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.orchestration.instance import STORAGE_URL
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.text.remedies import SERVE_INSTEAD
from dagster_project.warehouse.connection import Warehouse
from tests.support.operating import House, calltouch_alone, days_back, operating

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def project(scratch: Path) -> Path:
    """The project's files that Dagster looks for in the folder where it is called."""
    folder = scratch / "project"
    folder.mkdir()
    for name in ("dagster.yaml", "pyproject.toml", "workspace.yaml"):
        shutil.copy(ROOT / name, folder)
    (folder / "dagster_project").symlink_to(ROOT / "dagster_project")
    return folder


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[House, Sandbox]]:
    with (
        running_sandbox(clock=datetime.now(UTC)) as sandbox,
        operating(
            warehouse_with_dagster, scratch, monkeypatch, calltouch_alone(sandbox)
        ) as running,
    ):
        yield running, sandbox


def call(project: Path, *command: str, **given: str) -> subprocess.CompletedProcess[str]:
    own = STORAGE_URL if "WAREHOUSE_HOME" in given else ""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DAGSTER_") and name != own
    }
    return subprocess.run(
        [str(PROGRAMS / command[0]), *command[1:]],
        cwd=project,
        env={**kept, "PYTHONPATH": str(ROOT), **given},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", [("dagster", "dev", "-p", "0"), ("dagster-webserver",)])
def test_a_server_without_guards_says_what_to_type_instead(
    project: Path, command: tuple[str, ...]
) -> None:
    done = call(project, *command, WAREHOUSE_HOME=str(project / "home"))
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(SERVE_INSTEAD)
    assert "Traceback" not in done.stdout + done.stderr
    assert not (project / "home").exists()


def test_looking_at_definitions_makes_no_warehouse(project: Path) -> None:
    done = call(project, "dg", "check", "defs", WAREHOUSE_HOME=str(project / "home"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (project / "home").exists()


def test_a_run_that_dg_launches_loads_its_day_and_shows_in_the_ui(
    house: tuple[House, Sandbox], project: Path
) -> None:
    running, _ = house
    (day,) = days_back(3, 3)
    selection = "raw/calltouch_sms,calltouch/sms"
    done = call(project, "dg", "launch", "--assets", selection, "--partition", str(day))
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = running.instance.get_runs()
    assert run.status is dg.DagsterRunStatus.SUCCESS
    key = dg.AssetKey(["calltouch", "sms"])
    assert running.instance.get_materialized_partitions(key) == {str(day)}
    assert running.rows("SELECT count(*) > 0 FROM warehouse.calltouch_sms WHERE sent_on = %s", day)
