"""Dates by columns: every change of an offset is found."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from dagster_project.vendors.tellody.joda_column import normalize_column
from tests.vendors.tellody.reckoning import (
    DAY,
    wall_of,
)
from tests.vendors.tellody.test_joda import CHANGES

ATHENS = ZoneInfo("Europe/Athens")


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
    column = normalize_column([{"millis": at, "zone": {"id": name}} for at in hours], ATHENS)
    days = [wall_of(zone, at) // DAY for at in hours]
    assert len({wall_of(zone, at) - at for at in hours}) > 1
    assert column.days.tolist() == days


def test_a_column_of_one_zone_finds_every_change_of_its_offset() -> None:
    for zone, change in CHANGES:
        near = [{"millis": change + shift, "zone": {"id": str(zone)}} for shift in (-1, 0, 1)]
        column = normalize_column(near, ATHENS)
        expected = [wall_of(zone, change + shift) // DAY for shift in (-1, 0, 1)]
        assert column.days.tolist() == expected
