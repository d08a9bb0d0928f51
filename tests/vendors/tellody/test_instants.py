"""Days of instants: every change of a zone's offset is found."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dagster_project.vendors.tellody.instants import EPOCH, Instant
from dagster_project.vendors.tellody.joda import normalize
from tests.vendors.tellody.reckoning import DAY, wall_of
from tests.vendors.tellody.test_joda import CHANGES

ATHENS = ZoneInfo("Europe/Athens")


def day_of(zone: ZoneInfo, millis: int) -> date:
    dated = normalize({"millis": millis, "zone": {"id": str(zone)}}, ATHENS)
    assert isinstance(dated, Instant)
    return dated.day


def reckoned_day(zone: ZoneInfo, millis: int) -> date:
    return EPOCH.date() + timedelta(days=wall_of(zone, millis) // DAY)


@pytest.mark.parametrize(
    ("name", "month"),
    [
        ("Africa/Freetown", "1939-09"),  # four days apart: the closest in the tz database
        ("America/Noronha", "2000-10"),
        ("Africa/Tunis", "1943-04"),
        ("Asia/Gaza", "2040-10"),
    ],
)
def test_changes_of_an_offset_close_to_each_other_are_all_found(name: str, month: str) -> None:
    zone = ZoneInfo(name)
    start = int(datetime.fromisoformat(f"{month}-01T00:00:00Z").timestamp() * 1000)
    hours = range(start, start + 31 * DAY, 3_600_000)
    assert len({wall_of(zone, at) - at for at in hours}) > 1
    assert [day_of(zone, at) for at in hours] == [reckoned_day(zone, at) for at in hours]


def test_the_day_changes_with_the_offset_to_the_millisecond() -> None:
    for zone, change in CHANGES:
        for at in (change - 1, change, change + 1):
            assert day_of(zone, at) == reckoned_day(zone, at)


def test_an_instant_has_its_day_in_each_zone_or_none_beyond_the_calendar() -> None:
    last = Instant(datetime(9999, 12, 31, 23, tzinfo=UTC), "UTC", date(9999, 12, 31))
    assert last.day_in(ZoneInfo("America/Santiago")) == date(9999, 12, 31)
    assert last.day_in(ATHENS) is None
