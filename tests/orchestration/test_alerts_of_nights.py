"""Nights as Prometheus sees them: each hour a scrape, and the shipped alerts over all of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dagster_project.cli.metrics import Reader, exposition
from dagster_project.feeds import FEEDS
from dagster_project.orchestration.run_metrics import run_metrics
from tests.support.nights import Nights
from tests.support.programs import need
from tests.support.prometheus import Scrape, firing

HOUR = timedelta(hours=1)
SANTIAGO = ZoneInfo("America/Santiago")


def pass_days(nights: Nights, noon: datetime, days: float, *, outage: bool = False) -> list[Scrape]:
    """A scrape each hour from a noon on; every source is asked in its nights, but for an outage."""
    scrapes = []
    moments = [noon + n * HOUR for n in range(int(days * 24))]
    for moment in moments:
        for feed in FEEDS:
            local = moment.astimezone(feed.time_zone(nights.house.settings))
            began = local.replace(hour=2, minute=feed.minute)
            if moment - HOUR < began <= moment and not outage:
                nights.go(began)
                _, succeeded = nights.pass_night(feed.source)
                assert succeeded, nights.failures()
        nights.go(moment)
        reader = Reader(nights.house.settings, partial(run_metrics, nights.house.instance))
        scrapes.append(Scrape(exposition(reader)))
    return scrapes


@pytest.mark.parametrize(
    "noon",
    [
        pytest.param(datetime(2024, 3, 29, 12, tzinfo=SANTIAGO), id="Athens loses an hour at 3"),
        pytest.param(datetime(2024, 9, 6, 12, tzinfo=SANTIAGO), id="Santiago has no midnight"),
    ],
)
def test_three_quiet_nights_trip_no_alert(nights: Nights, noon: datetime, tmp_path: Path) -> None:
    """From before the first night of a new installation on; status says the same at every scrape."""
    (promtool,) = need("promtool")
    nights.begin_anew(noon)
    scrapes = pass_days(nights, noon, 3.5)
    assert firing(promtool, tmp_path, scrapes, 60) == set()
    gaps = {value for one in scrapes for (name, _), value in one.values.items() if "gap" in name}
    lags = {
        value for one in scrapes[20:] for (name, _), value in one.values.items() if "lag" in name
    }
    assert (gaps, lags) == ({0.0}, {0.0}), "no day is missing before a night could load it"
    assert len({labels for one in scrapes for name, labels in one.values if "lag" in name}) == 6


def test_nights_without_data_trip_the_alert_of_late_accounts(
    nights: Nights, tmp_path: Path
) -> None:
    (promtool,) = need("promtool")
    noon = datetime(2024, 5, 9, 12, tzinfo=SANTIAGO)
    nights.begin_anew(noon)
    good = pass_days(nights, noon, 1)
    assert firing(promtool, tmp_path, good, 60) == set()
    bad = pass_days(nights, noon + timedelta(days=1), 2.5, outage=True)
    assert firing(promtool, tmp_path, [*good, *bad], 60) == {"AccountIsLate", "DaysAreMissing"}
