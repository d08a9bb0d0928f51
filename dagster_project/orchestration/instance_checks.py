"""What the doctor asks Dagster: its storage, telemetry, daemon and runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from dagster_project.config.settings import Settings
from dagster_project.model.finding import Finding
from dagster_project.orchestration import liveness
from dagster_project.orchestration.instance import opened_instance
from dagster_project.text import remedies
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Warehouse

QUEUED_FOR_TOO_LONG = timedelta(hours=1)


def dagster(settings: Settings, warehouse: Warehouse) -> Iterator[Finding]:
    with opened_instance(settings, warehouse) as instance:
        count = instance.get_runs_count()
        yield Finding(
            "Dagster", "good", f"its storage answers and knows {pluralize(count, 'run')}."
        )
        if instance.telemetry_enabled:
            text = "telemetry is on."
            yield Finding(
                "Dagster", "wrong", text, "set telemetry: enabled: false in dagster.yaml."
            )
        else:
            yield Finding("Dagster", "good", "telemetry is off.")
        yield _daemon(instance)
        yield from _runs(instance, warehouse)


def _daemon(instance: dg.DagsterInstance) -> Finding:
    statuses = instance.get_daemon_statuses()
    silent = sorted(name for name, status in statuses.items() if not status.healthy)
    if silent:
        text = "its daemon does not run: no schedule, no alarm, no queued run goes on."
        return Finding("Dagster", "note", text, remedies.START_DAEMON)
    return Finding("Dagster", "good", "its daemon runs.")


def _runs(instance: dg.DagsterInstance, warehouse: Warehouse) -> Iterator[Finding]:
    with warehouse.connect(what="doctor", autocommit=True) as connection:
        for run in liveness.dead_runs(instance, connection):
            text = f"run {run.run_id} is called started, and its process is gone."
            yield Finding("runs", "wrong", text, remedies.END_DEAD_RUN)
    queued = instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING],
            created_before=datetime.now(UTC) - QUEUED_FOR_TOO_LONG,
        ),
        limit=20,
    )
    for record in queued:
        text = f"run {record.dagster_run.run_id} has waited for more than an hour."
        yield Finding("runs", "wrong", text, "start the daemon, or cancel the run in the UI.")
