"""Ten nights with Dagster's real daemon and webserver (``make soak``).

Every source; an outage of the vendors, spent budgets, a clock change, a daemon killed with its runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from dagster_project.sandbox.calltouch.site import Site
from dagster_project.sandbox.server import running_sandbox
from tests.conftest import PostgresServer
from tests.support.daemon_nights import ATHENS, OTHER, SITE, every_day_is_right, night
from tests.support.installation import Installation, installed, write_instance
from tests.support.nights import ONE_NIGHT, Nights, PlayedClock
from tests.support.operating import operating

FAILURE = dg.DagsterRunStatus.FAILURE


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_nights_end_right(
    server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """All sources; a vendor's outage, spent budgets, a clock change, a daemon killed with its runs."""
    with whole_installation(server, tmp_path_factory.mktemp("ten-nights")) as running:
        nights, vendors = running.nights, running.nights.sandbox
        running.start_daemon()
        running.start_webserver()
        running.until(lambda: len(running.nightly_schedules()) == 4, "no schedules")
        for number in range(10):
            day = TEN_FROM + number * ONE_NIGHT
            begin = {
                2: lambda: vendors.world.faults.add("outage", times=None),
                5: lambda: vendors.world.faults.add(
                    "points_exhausted", match={"account": SITE}, times=None
                ),
                6: lambda day=day: nearly_spend(nights, OTHER, day),
            }.get(number)
            if begin is not None:
                nights.go(night(day) - timedelta(hours=1))
                begin()
            if number == 8:
                killed_and_started_again(running, night(day))
            else:
                runs = running.pass_night(night(day), 3)
                failed = {run.tags["source"] for run in runs if run.status == FAILURE}
                assert failed == FAILING.get(number, set()), number
            running.pass_night(santiago_night(day), 1)
            vendors.world.faults.clear()
            vendors.world.tellody.config.latency = 0
        last = TEN_FROM + 8 * ONE_NIGHT
        for source, account in (
            *(("calltouch", site) for site in (SITE, OTHER)),
            *((f"tellody_{kind}", "main") for kind in ("activity", "purchases")),
            *(("trust", company) for company in ("11", "12", "13")),
        ):
            loaded = [day for day in nights.settled(account, source) if day >= TEN_FROM - ONE_NIGHT]
            assert loaded == [TEN_FROM + n * ONE_NIGHT for n in range(-1, 9)], (source, account)
            assert loaded[-1] == last
        every_day_is_right(running)
        the_other_sources_are_right(nights)
        no_call_is_missing(nights)
        assert all(run.is_finished for run in nights.house.instance.get_runs())


TEN_FROM = date(2024, 10, 23)
FAILING = {2: {"calltouch", "tellody_activity", "tellody_purchases"}, 5: {"calltouch"}}
SANTIAGO = ZoneInfo("America/Santiago")


def santiago_night(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 2, 55, tzinfo=SANTIAGO)


@contextmanager
def whole_installation(server: PostgresServer, folder: Path) -> Iterator[Installation]:
    """All sources with credentials, daemon and webserver not yet started."""
    sites = [
        Site(int(SITE), zone=str(ATHENS), ordinary=40),
        Site(int(OTHER), zone=str(ATHENS), ordinary=6_000, daily_points=60),
    ]
    calltouch = {"sites": sites, "ugly_share": 0}
    warehouse = server.fresh()
    server.add_dagster(warehouse)
    write_instance(folder)
    played = PlayedClock(folder)
    with running_sandbox(clock=night(TEN_FROM), calltouch=calltouch) as vendors:
        played.go(night(TEN_FROM - ONE_NIGHT), vendors)
        given = {
            **vendors.settings_env(),
            **played.setting,
            "CALLTOUCH_TIMEZONE": str(ATHENS),
            "DAGSTER_HOME": str(folder),
        }
        with (
            pytest.MonkeyPatch.context() as patch,
            operating(warehouse, folder, patch, given) as house,
            installed(Nights(house, vendors, played), folder) as running,
        ):
            yield running
    server.drop(warehouse)


def nearly_spend(nights: Nights, site: str, day: date) -> None:
    """Somebody else has used the day's points up but for one call."""
    with nights.house.warehouse.connect(autocommit=True) as connection:
        connection.execute(
            "INSERT INTO ops.point_ledger (source, account, spent_on, points)"
            " VALUES ('calltouch', %s, %s, 58)",
            (site, day),
        )


def killed_and_started_again(running: Installation, moment: datetime) -> None:
    """The daemon is lost with all that it started while runs are under way."""
    nights = running.nights
    nights.sandbox.world.tellody.config.latency = 3
    nights.go(moment)
    running.until(
        lambda: nights.house.rows("SELECT 1 FROM ops.extraction WHERE outcome = 'started'"),
        "no run is under way",
    )
    running.kill_daemon()
    nights.sandbox.world.tellody.config.latency = 0
    running.start_daemon()
    running.until(running.is_quiet, "a dead run is still called started")
    running.until(
        lambda: all(
            moment.date() - ONE_NIGHT in nights.settled(account, source)
            for source, account in (("calltouch", SITE), ("tellody_activity", "main"))
        ),
        "what the killed runs left is not made up for",
    )
    running.until(running.is_quiet, "runs do not end")
    assert not nights.house.rows("SELECT 1 FROM ops.extraction WHERE outcome = 'started'")


def the_other_sources_are_right(nights: Nights) -> None:
    house, world = nights.house, nights.sandbox.world
    span = {"from": str(TEN_FROM - ONE_NIGHT), "to": str(TEN_FROM + 8 * ONE_NIGHT)}
    told = list(world.tellody.truth({**span, "table": "activity"}))
    stands = house.rows(
        "SELECT activity_on::text, sms_sent, email_sent, downloads, optouts, url_clicks,"
        " vouchers_viewed FROM warehouse.tellody_activity WHERE activity_on BETWEEN %s AND %s"
        " ORDER BY 1",
        *span.values(),
    )
    assert [row[0] for row in stands] == [row["activity_on"] for row in told]
    assert [sorted(row[1:]) for row in stands] == [
        sorted(value for name, value in row.items() if name != "activity_on") for row in told
    ]
    bought = house.rows(
        "SELECT purchased_on::text, payment_id FROM warehouse.tellody_credit_purchase"
        " WHERE purchased_on BETWEEN %s AND %s ORDER BY 2",
        *span.values(),
    )
    assert bought == sorted(
        ((row["purchased_on"], row["payment_id"]) for row in world.tellody.truth(span)),
        key=lambda row: row[1],
    )
    names = ("total", "sent", "pending", "failed", "received", "pressed", "closed", "unknown")
    for company, day, at in house.rows(
        "SELECT account, day, observed_at FROM ops.day_state WHERE source = 'trust'"
    ):
        world.clock.set(at)
        [truth] = world.trust.truth({"company": company, "first": str(day), "last": str(day)})
        [row] = house.rows(
            f"SELECT {', '.join(names)} FROM warehouse.trust_campaign_statistics"
            " WHERE company_id = %s::bigint AND stats_on = %s",
            company,
            day,
        )
        assert row == tuple(truth[name] for name in names), (company, day)


def no_call_is_missing(nights: Nights) -> None:
    """Points in the ledger are at least those that the vendor counted; only the kill may add some."""
    house, stats = nights.house, nights.sandbox.world.stats
    foreign = 58
    [(ledger,)] = house.rows("SELECT sum(points)::int FROM ops.point_ledger")
    told = sum(spent["points"] for spent in stats.as_dict()["points"])
    assert told <= ledger - foreign <= told + 4
    [(requests, abandoned)] = house.rows(
        "SELECT sum(requests)::int, count(*) FILTER (WHERE outcome = 'abandoned')"
        " FROM ops.extraction WHERE source = 'calltouch'"
    )
    assert requests <= stats.requests("calltouch") <= requests + 2 * abandoned
