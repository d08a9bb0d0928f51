"""Three nights with Dagster's real daemon and webserver, and a rerun from the UI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg
import pytest

from dagster_project.model.check_outcome import MONTH_ADDS_UP
from dagster_project.sandbox.calltouch.site import Site
from dagster_project.sandbox.server import Sandbox, running_sandbox
from tests.conftest import PostgresServer
from tests.support.daemon_nights import (
    ATHENS,
    OTHER,
    SITE,
    every_day_is_right,
    night,
    nobody_let_in,
)
from tests.support.installation import Installation, installed, write_instance
from tests.support.nights import ONE_NIGHT, Nights, PlayedClock
from tests.support.operating import ALLOWING_FOR_ITS_LATENESS, feed_of, operating

pytestmark = pytest.mark.long

CHANGE = date(2024, 10, 27)
"""The day of 25 hours."""
SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sandbox]:
    sites = [Site(int(site), zone=str(ATHENS), ordinary=40) for site in (SITE, OTHER)]
    calltouch = {"sites": sites, "ugly_share": 0, **ALLOWING_FOR_ITS_LATENESS}
    with running_sandbox(clock=night(CHANGE), calltouch=calltouch) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def installation(
    server: PostgresServer, vendors: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    warehouse = server.fresh()
    server.add_dagster(warehouse)
    folder = tmp_path_factory.mktemp("installation")
    write_instance(folder)
    played = PlayedClock(folder)
    played.go(night(CHANGE - 2 * ONE_NIGHT), vendors)
    env = vendors.settings_env()
    given = {name: value for name, value in env.items() if name.startswith("CALLTOUCH_")}
    given |= {**played.setting, "CALLTOUCH_TIMEZONE": str(ATHENS), "DAGSTER_HOME": str(folder)}
    with (
        pytest.MonkeyPatch.context() as patch,
        operating(warehouse, folder, patch, given) as house,
        installed(Nights(house, vendors, played), folder) as running,
    ):
        running.start_daemon()
        running.start_webserver()
        yield running
    server.drop(warehouse)


@pytest.mark.timeout(900)
def test_three_nights_end_right(installation: Installation, vendors: Sandbox) -> None:
    """An ordinary night, one in which the vendor is down, and the one after the clock changed.

    When the last one begins, the warehouse is away: its tick fails and is tried again.
    """
    nights = installation.nights
    installation.until(installation.nightly_schedules, "the daemon takes up no schedule")
    [first] = installation.pass_night(night(CHANGE - ONE_NIGHT), 1)
    assert first.status == SUCCESS
    assert list(nights.settled(SITE)) == [CHANGE - 2 * ONE_NIGHT]

    vendors.world.faults.add("outage", match={"vendor": "calltouch"}, times=None)
    [second] = installation.pass_night(night(CHANGE), 1)
    assert second.status == FAILURE
    vendors.world.faults.clear()

    with nobody_let_in(nights.house.warehouse):
        nights.go(night(CHANGE + ONE_NIGHT))
        installation.until(lambda: installation.failed_ticks_since(night(CHANGE)), "no tick failed")
        before = installation.run_ids()
    [third] = installation.pass_night(night(CHANGE + ONE_NIGHT), 1, before)
    assert third.status == SUCCESS
    assert list(nights.settled(SITE)) == [CHANGE - n * ONE_NIGHT for n in (2, 1, 0)]
    every_day_is_right(installation)
    every_call_is_accounted_for(installation)


def every_call_is_accounted_for(installation: Installation) -> None:
    """Requests in extractions, and points in the ledger, as the vendor counted them."""
    house, stats = installation.nights.house, installation.nights.sandbox.world.stats
    [(requests, points)] = house.rows("SELECT sum(requests), sum(points) FROM ops.extraction")
    assert requests == stats.requests("calltouch")
    ledger = dict(house.rows("SELECT spent_on, sum(points)::int FROM ops.point_ledger GROUP BY 1"))
    told: dict[date, int] = {}
    for spent in stats.as_dict()["points"]:
        day = date.fromisoformat(spent["day"])
        told[day] = told.get(day, 0) + spent["points"]
    assert {day: n for day, n in ledger.items() if n} == told
    assert points == sum(told.values())


@pytest.mark.timeout(900)
def test_a_run_that_failed_is_executed_again_from_the_ui_for_the_rest_alone(
    installation: Installation, vendors: Sandbox
) -> None:
    nights = installation.nights
    nights.begin_anew(night(date(2024, 9, 20)))
    days = [date(2024, 9, n) for n in range(10, 18)]
    vendors.world.faults.add("no_access", match={"account": OTHER}, times=None)
    assert not nights.house.refresh(days)
    vendors.world.faults.clear()
    [failed] = nights.house.instance.get_runs(limit=1)
    nights.asked()
    again = installation.wait_for(installation.reexecute(failed.run_id))
    assert again.status == SUCCESS
    assert {account for account, _, _ in nights.asked()} == {OTHER}
    assert list(nights.settled(OTHER)) == days
    every_day_is_right(installation)


@pytest.mark.timeout(900)
def test_a_day_materialized_from_the_ui_counts_in_its_sources_pool_and_skips_no_check(
    installation: Installation, vendors: Sandbox
) -> None:
    nights = installation.nights
    nights.begin_anew(night(date(2024, 9, 20)))
    feed, day = feed_of("calltouch"), date(2024, 9, 10)
    run = installation.wait_for(installation.materialize([feed.raw_asset, feed.asset], day))
    assert run.status == SUCCESS
    assert run.run_op_concurrency is not None
    assert run.run_op_concurrency.all_pools == {feed.source}
    assert list(nights.settled(SITE)) == list(nights.settled(OTHER)) == [day]
    events = installation.instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
    ).records
    planned = {event.asset_check_planned_data.asset_check_key.name for event in told_of(events)}
    assert planned
    records = installation.instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(dg.AssetKey(feed.asset), name) for name in planned]
    )
    assert {record.run_id for record in records.values()} == {run.run_id}
    judged = {key.name: record.status.value for key, record in records.items()}
    evaluated = planned - {MONTH_ADDS_UP}  # before any month has ended there is nothing to say
    assert judged == {name: "FAILED" if name == "fresh" else "SUCCEEDED" for name in evaluated}


def told_of(records: Sequence[dg.EventLogRecord]) -> Iterator[dg.DagsterEvent]:
    for record in records:
        assert record.event_log_entry.dagster_event is not None
        yield record.event_log_entry.dagster_event
