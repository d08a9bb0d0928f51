"""What is killed: the product's own work, called as its runs and commands call it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from io import StringIO
from pathlib import Path

from dagster_project.cli import forget as forgetting
from dagster_project.cli.status import status as show_status
from dagster_project.orchestration import liveness
from dagster_project.orchestration.instance import opened_instance
from dagster_project.orchestration.retention import retention_job
from dagster_project.pipeline import services
from dagster_project.pipeline.opening import open_pipeline
from dagster_project.pipeline.runner import RunScope, refresh_days
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema import migrate as migrations
from tests.support.operating import feed_of


def refresh(source: str, days: Sequence[date], run_id: str) -> None:
    """A run of both assets over these days: what the asset does between Dagster's events.

    The played vendor also goes back in time, when purchases were fewer.
    """
    with (
        liveness.alive(services.warehouse(), run_id),
        open_pipeline(feed_of(source), run_id=run_id, accept_shrink=True) as run,
    ):
        for done in refresh_days(run, RunScope(days)):
            if done.problems:
                raise done.problems[0]


def migrate(warehouse: Warehouse, folder: Path) -> None:
    """``warehouse migrate``."""
    migrations.migrate(warehouse, folder=folder)


def retention() -> None:
    """The nightly job, in this process."""
    with opened_instance(services.settings(), services.warehouse()) as instance:
        assert retention_job.execute_in_process(instance=instance).success


def forget(numbers: Sequence[str]) -> None:
    """``warehouse forget`` with these numbers on standard input; none: ``--again``."""
    sys.stdin = StringIO("\n".join(numbers))
    assert (forgetting.erase_typed() if numbers else forgetting.apply_list()) == 0


def status() -> None:
    """``warehouse status``, which answers 1 here: some records of each day are rejected."""
    assert show_status(sources=(), as_json=True) in (0, 1)
