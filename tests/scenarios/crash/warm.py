"""A process that has imported everything: each piece of work is a fork of it, to be killed at an instant.

The start of Dagster takes seconds, a fork milliseconds: so a kill costs no more than the work it ends.
Jobs come pickled on standard input, what becomes of them goes out as lines of JSON. The work stops by
itself (SIGSTOP) at its instant, so that it can be seen where it stands before it is killed (SIGKILL).

An instant is so many seconds after the start, or a *step*: an exchange with Postgres (a statement, a
portion of a COPY, a commit), before it is sent or a moment after.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Timer
from typing import Any

import psycopg

PR_SET_PDEATHSIG = 1
ROW_OF_A_COPY = "_read_gen"
ROOT = Path(__file__).resolve().parents[3]


def at_seconds(seconds: float) -> dict[str, float]:
    """The instant so long after the start of the work."""
    return {"seconds": seconds}


def at_step(step: int, later: float) -> dict[str, float]:
    """The instant before this step; ``later``: so many seconds after it was begun."""
    return {"step": step, "later": later}


@dataclass(frozen=True)
class Ended:
    """Work that came to its end: how, and after how many seconds and steps."""

    status: int
    seconds: float
    steps: int


class Warm:
    """The process, for the tests; it ends when its standard input does."""

    def __init__(self, log: Path) -> None:
        self.log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def run(self, work: str, *arguments: Any, env: Mapping[str, str]) -> Ended:
        """Do the work to its end."""
        ended = self.begin(work, *arguments, env=env, instant={})
        assert isinstance(ended, Ended)
        assert ended.status == 0, self.log.read_text()[-4000:]
        return ended

    def begin(
        self, work: str, *arguments: Any, env: Mapping[str, str], instant: Mapping[str, float]
    ) -> Ended | None:
        """Do the work up to the instant; None: it stands there, stopped, until ``kill``."""
        assert self._process.stdin is not None
        pickle.dump((work, arguments, dict(env), dict(instant)), self._process.stdin)
        self._process.stdin.flush()
        self._pid = self._told()["pid"]
        told = self._told()
        return None if "stopped" in told else Ended(**told)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        assert self._told()["status"] == -signal.SIGKILL

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log.read_text()[-4000:]
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Fork a child for each job, and tell what becomes of it."""
    _end_with_the_parent()
    from tests.scenarios.crash import work

    while True:
        try:
            name, arguments, env, instant = pickle.load(sys.stdin.buffer)  # noqa: S301 - of our own tests
        except EOFError:
            return
        reading, writing = os.pipe()
        if not (pid := os.fork()):
            os._exit(_child(getattr(work, name), arguments, env, instant, writing))
        os.close(writing)
        _tell(pid=pid)
        _, status = os.waitpid(pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            _tell(stopped=True)
            _, status = os.waitpid(pid, 0)
        with open(reading) as told:
            seconds, steps = json.loads(told.read() or "[0, 0]")
        _tell(status=os.waitstatus_to_exitcode(status), seconds=seconds, steps=steps)


def _tell(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def _child(
    work: Any, arguments: Any, env: Mapping[str, str], instant: Mapping[str, float], writing: int
) -> int:
    _end_with_the_parent()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.environ.update(env)
    os.chdir(env.get("WAREHOUSE_HOME", "."))
    began = time.monotonic()
    if "seconds" in instant:
        _in_a_moment(instant["seconds"])
    steps = _count_steps(int(instant.get("step", 0)), instant.get("later", 0.0))
    try:
        work(*arguments)
    except BaseException:  # noqa: BLE001 - told in the log that the tests show
        traceback.print_exc()
        return 1
    os.write(writing, json.dumps([time.monotonic() - began, next(steps) - 1]).encode())
    return 0


def _count_steps(stop_at: int, later: float) -> count[int]:
    """Every exchange with Postgres goes through ``Connection.wait``; a row read by COPY is no step."""
    steps = count(1)
    exchange = psycopg.Connection.wait

    def counted(connection: Any, talk: Any, *arguments: Any, **options: Any) -> Any:
        if talk.__name__ != ROW_OF_A_COPY and next(steps) == stop_at:
            if later:
                _in_a_moment(later)
            else:
                _stop()
        return exchange(connection, talk, *arguments, **options)

    psycopg.Connection.wait = counted  # type: ignore[method-assign]
    return steps


def _end_with_the_parent() -> None:
    """A process that stands stopped would outlive tests that are interrupted."""
    with suppress(AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _in_a_moment(seconds: float) -> None:
    timer = Timer(seconds, _stop)
    timer.daemon = True
    timer.start()


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    main()
