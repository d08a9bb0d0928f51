"""What Dagster loads, and nothing else."""

from __future__ import annotations

from dagster_project.monitoring.logs import configure_logs
from dagster_project.orchestration.build import definitions_of
from dagster_project.pipeline.services import settings

configure_logs()
defs = definitions_of(settings())
