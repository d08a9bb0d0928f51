"""A feed's job by itself is the one that Dagster loads among all others."""

from __future__ import annotations

import dagster as dg
import pytest

from dagster_project.config.settings import load_settings
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed
from dagster_project.orchestration.build import definitions_of
from dagster_project.orchestration.jobs import definitions_of_feed
from dagster_project.orchestration.names import job_name
from tests.support.trust_alone import trust_settings

EVERYTHING = definitions_of(load_settings({}, dotenv=None))


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.source)
def test_the_job_and_what_it_knows_of_assets_and_checks_are_the_same(feed: Feed) -> None:
    alone = definitions_of_feed(feed, load_settings({}, dotenv=None)).resolve_job_def(
        job_name(feed)
    )
    among_all = EVERYTHING.resolve_job_def(job_name(feed))

    assert alone.get_job_snapshot_id() == among_all.get_job_snapshot_id()
    ours, theirs = alone.asset_layer.asset_graph, among_all.asset_layer.asset_graph
    assert ours.get_all_asset_keys() == theirs.get_all_asset_keys()
    assert ours.asset_check_keys == theirs.asset_check_keys
    for key in ours.get_all_asset_keys():
        assert ours.get(key).partitions_def == theirs.get(key).partitions_def
        assert ours.get(key).backfill_policy == theirs.get(key).backfill_policy
        assert ours.get(key).pools == theirs.get(key).pools


def test_no_other_feed_is_made() -> None:
    settings = trust_settings()
    [feed] = [one for one in FEEDS if one.source == "trust"]

    graph = definitions_of_feed(feed, settings).resolve_asset_graph()

    assert graph.get_all_asset_keys() == {dg.AssetKey(feed.asset), dg.AssetKey(feed.raw_asset)}
