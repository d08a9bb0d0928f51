"""One run of a feed: what is made once for all of its windows, and what its end sees to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from dagster_project.model.feed import VendorClient
from dagster_project.model.vendor_store import VendorStore
from dagster_project.vendors.calltouch.settings import CalltouchSettings
from tests.support.loading import CALLTOUCH, LAST, Loading, load, replay


def test_the_client_is_made_once_for_all_threads_and_never_by_a_replay(loading: Loading) -> None:
    made: list[VendorClient] = []

    def open_client(section: CalltouchSettings, store: VendorStore) -> VendorClient:
        made.append(CALLTOUCH.open_client(section, store))
        return made[-1]

    feed = replace(CALLTOUCH, open_client=open_client)
    with loading.run(feed) as run:
        replay(run, loading.window(LAST).account, [LAST])
    assert made == []
    with loading.run(feed) as run, ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(lambda: run.client) for _ in range(4)]
    assert len(made) == 1
    assert {id(each.result()) for each in clients} == {id(made[0])}


def test_statistics_of_months_that_grew_are_refreshed_once_at_the_end(loading: Loading) -> None:
    """Not by the loads themselves, and not for a rerun that wrote no row."""
    with loading.run() as run:
        load(run, loading.window(LAST))
        assert analyzed(loading) == 0
    assert analyzed(loading) == 1
    with loading.run() as run:
        load(run, loading.window(LAST))
    assert analyzed(loading) == 1


def analyzed(loading: Loading) -> int:
    """How often the month's partition was analyzed, as Postgres counts it."""
    [(count,)] = loading.select(
        "SELECT analyze_count FROM pg_stat_all_tables"
        " WHERE schemaname = 'warehouse' AND relname ~ '^calltouch_sms.*2024.?05'"
    )
    return int(count)
