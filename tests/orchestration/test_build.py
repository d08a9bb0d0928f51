"""The definitions that Dagster loads: everything that is promised, with or without credentials."""

from __future__ import annotations

import dagster as dg

from dagster_project.config.settings import load_settings
from dagster_project.feeds import FEEDS
from dagster_project.orchestration.build import definitions_of
from tests.support.trust_alone import trust_settings


def test_every_feed_has_its_assets_and_its_job_also_without_credentials() -> None:
    definitions = definitions_of(load_settings({}, dotenv=None))
    keys = definitions.resolve_asset_graph().get_all_asset_keys()
    for feed in FEEDS:
        assert {dg.AssetKey(feed.asset), dg.AssetKey(feed.raw_asset)} <= keys
        assert definitions.resolve_job_def(f"refresh_{feed.source}").tags["source"] == feed.source
    assert dg.AssetKey(["warehouse", "status"]) in keys


def test_a_source_is_scheduled_in_its_own_zone_and_only_with_credentials() -> None:
    nightly = {
        schedule.name: schedule
        for schedule in definitions_of(trust_settings()).schedules or ()
        if schedule.name.startswith("nightly_")
    }
    assert list(nightly) == ["nightly_trust"]
    schedule = nightly["nightly_trust"]
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert schedule.execution_timezone == "America/Santiago"
    assert str(schedule.cron_schedule).endswith(" 2 * * *")
