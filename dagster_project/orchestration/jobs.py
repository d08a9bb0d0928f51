"""The job that loads a feed, and the definitions of one such job by itself.

A command that loads days needs no schedule, sensor or view: they would take longer to import and to make than
a small day takes to load. Dagster takes the job for the same one: its snapshot is equal.
"""

from __future__ import annotations

import dagster as dg

from dagster_project.config.settings import Settings
from dagster_project.model.feed import Feed
from dagster_project.orchestration import literal_config, reconciliation
from dagster_project.orchestration.assets import assets_of
from dagster_project.orchestration.names import job_name


def refresh_job(feed: Feed) -> dg.UnresolvedAssetJobDefinition:
    """Ask the vendor and load: both assets of one feed."""
    return dg.define_asset_job(
        job_name(feed),
        selection=dg.AssetSelection.assets(list(feed.raw_asset), list(feed.asset)),
        description=f"{feed.title}: ask the vendor for days, store its answers, load their rows.",
        tags={"source": feed.source},
    )


def definitions_of_feed(feed: Feed, settings: Settings) -> dg.Definitions:
    """The feed's assets, their checks and their job."""
    return dg.Definitions(
        assets=[assets_of(feed, settings)],
        asset_checks=reconciliation.checks([feed]),
        jobs=[refresh_job(feed)],
        resources={"io_manager": literal_config.io_manager},
        executor=dg.in_process_executor,
    )
