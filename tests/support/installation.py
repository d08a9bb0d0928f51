"""A whole installation in processes of its own: Dagster's daemon and webserver, over played vendors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
from dagster._core.scheduler.instigation import InstigatorType, TickStatus

from dagster_project.orchestration.instance import INSTANCE_YAML
from dagster_project.orchestration.launch import WORKSPACE
from dagster_project.orchestration.schedules import NIGHT_TAG
from tests.support.nights import Nights
from tests.support.ports import free_port

PATIENCE = 400.0
ROOT = Path(__file__).resolve().parents[2]


def write_instance(home: Path) -> None:
    """The instance as the product configures it, but for a queue that is looked at every second."""
    text = INSTANCE_YAML.replace(
        "  class: QueuedRunCoordinator\n",
        "  class: QueuedRunCoordinator\n  config:\n    dequeue_interval_seconds: 1\n",
    )
    assert text != INSTANCE_YAML
    (home / "dagster.yaml").write_text(text)


class Installation:
    """``nights`` has its warehouse, vendors and clock; daemon and webserver are started when asked."""

    def __init__(self, nights: Nights, folder: Path) -> None:
        self.nights = nights
        self.folder = folder
        self.daemon: subprocess.Popen[bytes] | None = None
        self.webserver: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.nights.house.instance

    def start_daemon(self) -> None:
        self.daemon = self._start("daemon", "-m", "tests.support.played_daemon", str(WORKSPACE))

    def kill_daemon(self) -> None:
        """With its code server and the runs it launched, as when a host is lost."""
        assert self.daemon is not None
        family = [psutil.Process(self.daemon.pid)]
        family += family[0].children(recursive=True)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)

    def start_webserver(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.webserver = self._start(
            "webserver",
            *("-m", "dagster_project.orchestration.webserver"),
            *("--host", "127.0.0.1", "--port", str(port)),
            *("--workspace", str(WORKSPACE), "--log-level", "warning"),
        )
        self.until(self._answers, "the webserver does not answer")

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{name}.log").open("ab")
        return subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
            cwd=self.folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def close(self) -> None:
        for process in (self.webserver, self.daemon):
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text()[-4000:] if path.exists() else ""

    def until(self, true: Callable[[], Any], otherwise: str, seconds: float = PATIENCE) -> Any:
        """Wait for it, and answer it; processes that died are told of."""
        give_up = time.monotonic() + seconds
        while not (found := true()):
            for name, process in (("daemon", self.daemon), ("webserver", self.webserver)):
                assert process is None or process.poll() is None, f"{name} ended: {self.log(name)}"
            assert time.monotonic() < give_up, f"{otherwise}: {self.log('daemon')}"
            time.sleep(0.5)
        return found

    def pass_night(
        self, moment: datetime, sources: int, before: set[str] | None = None
    ) -> list[dg.DagsterRun]:
        """Go to a moment of the night, wait for the ticks of so many sources and for their runs.

        Answers the runs of nightly schedules that began meanwhile: those that were not there ``before``, or
        not yet when this was called.
        """
        before = self.run_ids() if before is None else before
        self.nights.go(moment)
        requested = self.requested_since(moment.replace(hour=0, minute=0), sources)
        self.until(self.is_quiet, "runs do not end")
        nightly = [run for run in self.instance.get_runs() if NIGHT_TAG in run.tags]
        began = [run for run in nightly if run.run_id not in before]
        assert requested <= {run.run_id for run in began}, "a run of this night is gone"
        return began

    def run_ids(self) -> set[str]:
        return {run.run_id for run in self.instance.get_runs()}

    def requested_since(self, moment: datetime, sources: int) -> set[str]:
        """Wait for the ticks of so many sources; the runs that those requested."""
        self.until(lambda: len(self.ticks_since(moment)) >= sources, "no tick came")
        return {run_id for tick in self.ticks_since(moment) for run_id in tick.run_ids}

    def nightly_schedules(self) -> list[Any]:
        """Those that the daemon has taken up."""
        states = self.instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
        return [state for state in states if state.name.startswith("nightly_")]

    def ticks_since(self, moment: datetime) -> list[Any]:
        """The latest ticks of the nightly schedules, where they were evaluated to their end."""
        ended = (TickStatus.SUCCESS, TickStatus.SKIPPED)
        return [tick for tick in self.latest_ticks(moment) if tick.status in ended]

    def failed_ticks_since(self, moment: datetime) -> list[Any]:
        """The latest ticks of the nightly schedules, where they failed."""
        return [tick for tick in self.latest_ticks(moment) if tick.status == TickStatus.FAILURE]

    def latest_ticks(self, moment: datetime) -> list[Any]:
        found = []
        for state in self.nightly_schedules():
            found += self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        return [tick for tick in found if tick.timestamp >= moment.timestamp()]

    def is_quiet(self) -> bool:
        return all(run.is_finished for run in self.instance.get_runs())

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    def graphql(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own loopback server
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found = json.loads(answer.read())
        assert "errors" not in found, found
        return found["data"]

    def reexecute(self, run_id: str) -> str:
        """What the button does in the UI: re-execute all of a run; answers the new run."""
        data = self.graphql(
            """mutation Again($parameters: ReexecutionParams!) {
                 launchRunReexecution(reexecutionParams: $parameters) {
                   __typename
                   ... on LaunchRunSuccess { run { runId } }
                   ... on PythonError { message }
                 } }""",
            parameters={"parentRunId": run_id, "strategy": "ALL_STEPS"},
        )["launchRunReexecution"]
        assert data["__typename"] == "LaunchRunSuccess", data
        new: str = data["run"]["runId"]
        return new

    def materialize(self, assets: Sequence[Sequence[str]], day: date) -> str:
        """What the button does in the UI for one day of these assets; answers the new run."""
        selector = {
            "repositoryLocationName": "messaging_warehouse",
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": list(key)} for key in assets],
        }
        data = self.graphql(
            """mutation Materialize($parameters: ExecutionParams!) {
                 launchPipelineExecution(executionParams: $parameters) {
                   __typename
                   ... on LaunchRunSuccess { run { runId } }
                   ... on PythonError { message }
                 } }""",
            parameters={
                "mode": "default",
                "runConfigData": "{}",
                "selector": selector,
                "executionMetadata": {
                    "tags": [{"key": "dagster/partition", "value": day.isoformat()}]
                },
            },
        )["launchPipelineExecution"]
        assert data["__typename"] == "LaunchRunSuccess", data
        new: str = data["run"]["runId"]
        return new

    def wait_for(self, run_id: str) -> dg.DagsterRun:
        def ended() -> dg.DagsterRun | None:
            run = self.instance.get_run_by_id(run_id)
            return run if run is not None and run.is_finished else None

        run: dg.DagsterRun = self.until(ended, f"run {run_id} does not end")
        return run


@contextmanager
def installed(nights: Nights, folder: Path) -> Iterator[Installation]:
    installation = Installation(nights, folder)
    try:
        yield installation
    finally:
        installation.close()
