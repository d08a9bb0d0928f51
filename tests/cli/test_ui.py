"""A UI whose Postgres is stopped says so, and goes on by itself once Postgres runs again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from dagster_project.cli.ui import (
    POSTGRES_IS_AWAY,
    POSTGRES_IS_BACK,
    _ending_quietly,
    _only_daemon,
)
from dagster_project.errors import TryLater
from tests.support.ports import free_port

PROGRAM = str(Path(sys.executable).with_name("warehouse"))
ASKED = """{ runsOrError(limit: 1) { __typename }
    instance { daemonHealth { allDaemonStatuses { daemonType healthy lastHeartbeatTime } } } }"""

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


class Installation:
    """The demo's warehouse with its UI and daemon, as ``make ui`` starts them without credentials."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.log = folder / "ui.log"
        kept = {name: value for name, value in os.environ.items() if "DAGSTER" not in name}
        for name in ("WAREHOUSE_URL", "DAGSTER_URL", "PII_HASH_KEY"):
            kept.pop(name, None)
        self.environment = kept | {"WAREHOUSE_HOME": str(folder / "home"), "WAREHOUSE_ENV_FILE": ""}
        self.ui = subprocess.Popen(
            [PROGRAM, "ui", "--port", str(self.port)],
            env=self.environment,
            cwd=folder,
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [PROGRAM, "--demo", *arguments],
            env=self.environment,
            cwd=self.log.parent,
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in done.stderr
        return done.stdout

    def answer(self) -> dict[str, dict[str, dict[str, object]]] | None:
        """What a page asks; None: an error."""
        try:
            reply = requests.post(
                f"http://127.0.0.1:{self.port}/graphql", json={"query": ASKED}, timeout=60
            ).json()
        except requests.RequestException:
            return None
        return None if reply.get("errors") else reply["data"]

    def last_heartbeat(self) -> float:
        found = self.answer()
        if found is None:
            return 0.0
        statuses = found["instance"]["daemonHealth"]["allDaemonStatuses"]
        beats = [one["lastHeartbeatTime"] or 0.0 for one in statuses]  # type: ignore[index]
        return max(beats, default=0.0)

    def said(self, text: str) -> bool:
        return text in self.log.read_text()


@pytest.fixture
def installation(scratch: Path) -> Iterator[Installation]:
    running = Installation(scratch)
    yield running
    running.ui.send_signal(signal.SIGINT)
    running.ui.wait()
    running.run("stop")


def wait_until(condition: Callable[[], object], what: Installation, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert what.ui.poll() is None, what.log.read_text()[-3000:]
        assert time.monotonic() < deadline, what.log.read_text()[-3000:]
        time.sleep(1)


def test_an_interrupt_while_a_part_of_it_is_imported_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\nprint('importing', flush=True)\ntime.sleep(600)\n"
    )
    command = _ending_quietly("slow")
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == 0


def test_a_home_has_one_daemon_also_where_the_ui_that_started_it_was_killed(scratch: Path) -> None:
    with ExitStack() as killed:
        daemon = _only_daemon(["sleep", "600"], scratch, killed)
    try:
        said = rf"already \(process {daemon.pid}\).*Way out: end the `warehouse ui`"
        with pytest.raises(TryLater, match=said), ExitStack() as stack:
            _only_daemon(["sleep", "600"], scratch, stack)
    finally:
        daemon.kill()
        daemon.wait()
    with ExitStack() as stack:
        _only_daemon(["true"], scratch, stack).wait()


def test_a_stopped_postgres_is_told_on_both_sides_and_pages_work_again_without_a_restart(
    installation: Installation,
) -> None:
    wait_until(installation.last_heartbeat, installation)
    assert "applying" not in installation.log.read_text(), "no list of migrations"
    said = installation.run("stop")
    assert said.startswith("stopped\nStill running, and without Postgres now:\n")
    assert "  Dagster's UI, process " in said
    assert "  Dagster's daemon, process " in said
    assert "`warehouse status`" in said
    assert max(map(len, said.splitlines())) <= 80
    wait_until(lambda: installation.said(POSTGRES_IS_AWAY), installation)
    assert installation.answer() is None

    began = time.time()
    installation.run("status")
    wait_until(lambda: installation.said(POSTGRES_IS_BACK), installation)
    wait_until(installation.answer, installation)
    wait_until(lambda: installation.last_heartbeat() > began, installation)
    assert installation.ui.poll() is None
