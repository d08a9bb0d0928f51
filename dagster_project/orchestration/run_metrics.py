"""Runs of Dagster as Prometheus' metrics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
from prometheus_client.core import GaugeMetricFamily as Gauge

UNDER_WAY = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


def run_metrics(instance: dg.DagsterInstance) -> list[Gauge]:
    """Runs of Dagster: those under way, and those that ended in 24 hours."""
    now = Gauge("warehouse_runs", "Runs under way, by status.", labels=["status"])
    ended = Gauge("warehouse_runs_1d", "Runs that ended in 24 hours, by status.", labels=["status"])
    since = datetime.now(UTC) - timedelta(days=1)
    for names, metric, after in ((UNDER_WAY, now, None), (ENDED, ended, since)):
        for name in names:
            wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus(name)], updated_after=after)
            metric.add_metric([name.lower()], instance.get_runs_count(wanted))
    return [now, ended]
