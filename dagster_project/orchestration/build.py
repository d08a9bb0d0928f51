"""The Dagster definitions of a set of settings: assets of every feed, and the jobs over them."""

from __future__ import annotations

import dagster as dg

from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.orchestration import (
    alarms,
    freshness,
    literal_config,
    liveness,
    reconciliation,
    retention,
    schedules,
    status_page,
)
from dagster_project.orchestration.assets import assets_of
from dagster_project.orchestration.jobs import refresh_job
from dagster_project.orchestration.relations import view_assets


def definitions_of(settings: Settings) -> dg.Definitions:
    """Everything Dagster shows. Sources without credentials have assets, which say what is missing."""
    return dg.Definitions(
        assets=[
            *(assets_of(feed, settings) for feed in FEEDS),
            *view_assets(settings),
            status_page.status_asset(settings),
        ],
        asset_checks=reconciliation.checks(),
        jobs=[
            *(refresh_job(feed) for feed in FEEDS),
            *reconciliation.jobs(),
            retention.retention_job,
        ],
        schedules=[
            *schedules.schedules_of(settings),
            *reconciliation.schedules_of(settings),
            retention.retention_schedule,
        ],
        sensors=[
            *alarms.sensors(),
            status_page.status_sensor,
            liveness.dead_runs_sensor,
            freshness.freshness_sensor,
        ],
        resources={"io_manager": literal_config.io_manager},
        executor=dg.in_process_executor,
    )
