"""Runs of Dagster as Prometheus' metrics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from dagster_project.monitoring.logs import Metric

UNDER_WAY = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


def run_metrics(instance: dg.DagsterInstance) -> list[Metric]:
    """Runs of Dagster: those under way, and those that ended in 24 hours."""
    now = Metric("warehouse_runs", "Runs under way, by status.")
    ended = Metric("warehouse_runs_1d", "Runs that ended in 24 hours, by status.")
    since = datetime.now(UTC) - timedelta(days=1)
    for names, metric, after in ((UNDER_WAY, now, None), (ENDED, ended, since)):
        for name in names:
            wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus(name)], updated_after=after)
            metric.add(instance.get_runs_count(wanted), status=name.lower())
    return [now, ended]
