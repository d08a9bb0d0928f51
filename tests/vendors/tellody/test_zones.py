"""The zone that a value names, and the clock behind it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dagster_project.vendors.tellody.zones import ZONE_MISSING, ZONE_UNKNOWN, clock_of, zone_of

ATHENS = ZoneInfo("Europe/Athens")
NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone_id", "hours"),
    [
        ("UTC", 0),
        ("Z", 0),
        ("+03:00", 3),
        ("-0330", -3.5),
        ("GMT+2", None),
        ("GMT+02", 2),
        ("Europe/Athens", 3),
        ("Europe/Atlantis", None),
        ("localtime", None),
        ("right/UTC", None),
        ("+24:00", None),
        ("../etc/passwd", None),
    ],
)
def test_an_id_has_the_clock_of_the_tz_database_or_of_its_offset_or_none(
    zone_id: str, hours: float | None
) -> None:
    clock = clock_of(zone_id)
    if hours is None:
        assert clock is None
    else:
        assert clock is not None
        assert NOON.replace(tzinfo=clock).utcoffset() == timedelta(hours=hours)


def test_a_zero_offset_is_utc() -> None:
    assert clock_of("+00:00") is UTC


def test_a_blob_without_a_zone_is_in_the_accounts() -> None:
    zone = zone_of({"millis": 1}, ATHENS)
    assert (zone.id, zone.clock, zone.notes) == ("Europe/Athens", ATHENS, (ZONE_MISSING,))


def test_the_zone_itself_goes_before_the_chronologys_and_a_difference_is_a_contradiction() -> None:
    blob = {
        "millis": 1,
        "zone": {"id": "Europe/Athens"},
        "chronology": {"zone": {"id": "Europe/Berlin"}},
    }
    zone = zone_of(blob, ATHENS)
    assert zone.id == "Europe/Athens"
    assert zone.contradictions == ("chronology.zone.id",)


def test_an_unknown_place_keeps_its_name_and_has_no_clock() -> None:
    zone = zone_of({"millis": 1, "zone": {"id": "Europe/Atlantis"}}, ATHENS)
    assert (zone.id, zone.clock, zone.notes) == ("Europe/Atlantis", None, (ZONE_UNKNOWN,))


def test_a_local_date_time_is_in_the_accounts_zone_whatever_its_chronology_says() -> None:
    zone = zone_of({"chronology": {"zone": {"id": "UTC"}}}, ATHENS)
    assert (zone.id, zone.notes) == ("Europe/Athens", (ZONE_MISSING,))
