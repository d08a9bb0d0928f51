"""Verbs that ask Postgres alone import neither Dagster nor pandas: each takes a second or more to import."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest

from dagster_project.cli.main import warehouse as command
from tests.support.erasing import DIGITS
from tests.support.operating import House

HEAVY = ("dagster", "pandas", "sqlalchemy", "alembic")
FOR_LOADS = ("numpy", "requests", "phonenumbers")
"""What a vendor's client and rows need, and what only reads does not."""
FOR_OTHERS = (
    "dagster_project.definitions",
    "dagster_project.orchestration.alarms",
    "dagster_project.orchestration.retention",
    "dagster_project.orchestration.schedules",
    "dagster_project.orchestration.status_page",
    "numpy.ma",
    "pandas",
)
"""What the daemon and the UI need, or nobody, and a load does not."""
READS = ("status", "held", "rejects", "alarms")
NEEDS_DAGSTER: Mapping[str, str] = {
    "backfill": "its runs are Dagster's",
    "replay": "its runs are Dagster's",
    "demo": "its runs are Dagster's",
    "ui": "it serves Dagster's UI",
    "exec": "it becomes one of Dagster's programs",
    "doctor": "it looks at Dagster's storage, daemon and runs",
    "metrics": "it counts Dagster's runs",
    "migrate": "it makes Dagster's storage",
}
SERVES = ("sandbox",)
"""Runs until it is interrupted."""
RUN = (
    "import sys; from dagster_project.cli.main import main\n"
    "try: main(sys.argv[2:])\n"
    "finally: open(sys.argv[1], 'w').write(__import__('json').dumps(sorted(sys.modules)))\n"
)


@dataclass(frozen=True)
class Call:
    """How a verb is called for real; ``status`` is the exit status that shows how far it came."""

    arguments: Sequence[str] = ()
    stdin: str = ""
    status: int = 0


CALLS: Mapping[str, Call] = {
    "backfill --spread": Call(("--from", "{day}", "--to", "{day}")),
    "forget": Call(stdin=f"+7{DIGITS}\n"),
    "labels": Call(("labels.csv",)),
    "logins": Call(("--passwords", "."), status=2),  # no password in there
    "plan": Call(("--from", "{day}", "--to", "{day}")),
    "psql": Call(("-c", "SELECT 1")),
    "remove-account": Call(("calltouch", "40777", "--dry-run")),
    "status": Call(status=1),  # rejected records make the days red
    "stop": Call(status=2),  # it is no server of ours
    "subject": Call(("held.json",), stdin=f"+7{DIGITS}\n"),
}
"""Of verbs that take more than their name."""
LIGHT = [
    *sorted(set(command.commands) - set(NEEDS_DAGSTER) - set(SERVES)),
    "backfill --spread",
    "migrate --dry-run",
]


def test_the_verbs_that_are_left_out_exist() -> None:
    assert {*NEEDS_DAGSTER, *SERVES} <= set(command.commands)


@pytest.mark.parametrize("verb", LIGHT)
def test_a_verb_that_asks_postgres_alone_imports_neither_dagster_nor_pandas(
    verb: str, house: House, days: list[date], tmp_path: Path
) -> None:
    call = CALLS.get(verb, Call())
    Path("labels.csv").write_text("vendor,account,label\ncalltouch,40202,Shop\n")
    modules = imported_by(
        tmp_path,
        verb,
        replace(call, arguments=[part.format(day=days[0]) for part in call.arguments]),
    )

    assert {"dagster_project.pipeline.services", "psycopg"} <= modules
    assert not modules & set(HEAVY)
    assert verb not in READS or not modules & set(FOR_LOADS)


def test_a_load_imports_what_its_own_job_needs(
    house: House, days: list[date], tmp_path: Path
) -> None:
    span = ("--from", str(days[0]), "--to", str(days[0]))
    modules = imported_by(tmp_path, "backfill", Call(("--source", "calltouch", *span)))

    assert {
        "dagster_project.orchestration.jobs",
        "dagster_project.vendors.calltouch.rows",
    } <= modules
    assert not modules & set(FOR_OTHERS)


def imported_by(folder: Path, verb: str, call: Call) -> set[str]:
    """The modules in a process that has done this."""
    told = folder / "modules.json"
    done = subprocess.run(
        [sys.executable, "-c", RUN, told, *verb.split(), *call.arguments],
        input=call.stdin,
        capture_output=True,
        text=True,
    )
    assert done.returncode == call.status, done.stdout + done.stderr
    return set(json.loads(told.read_text()))
