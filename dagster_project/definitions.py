"""What Dagster loads, and nothing else."""

from __future__ import annotations

from dagster_project.pipeline.fast_imports import gc_paused

# Each process that loads a code location runs this: those of the UI, of the daemon, and of each run.
with gc_paused():
    from dagster_project.monitoring.logs import configure_logs
    from dagster_project.orchestration.build import definitions_of
    from dagster_project.pipeline.services import settings

    configure_logs()
    defs = definitions_of(settings())
