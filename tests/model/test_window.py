"""Windows of whole local days, also where clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dagster_project.model.window import (
    Account,
    Window,
    day_number,
    day_of,
    each_day,
    midnight,
)

BERLIN = Account("calltouch", "101", ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2024, 3, 31), 23), (date(2024, 10, 27), 25), (date(2024, 6, 1), 24)],
)
def test_a_day_lasts_from_midnight_to_midnight_of_its_zone(day: date, hours: int) -> None:
    window = Window(day, day, BERLIN)
    assert window.ends_before - window.starts_at == timedelta(hours=hours)


def test_a_midnight_that_a_clock_change_skips_is_the_days_first_instant() -> None:
    zone = ZoneInfo("America/Santiago")
    day = date(2024, 9, 8)
    first = midnight(day, zone)
    assert first == datetime(2024, 9, 8, 4, tzinfo=UTC)
    assert first.astimezone(zone).hour == 1
    assert (first - timedelta(seconds=1)).astimezone(zone).date() == day - timedelta(days=1)


def test_a_window_holds_its_days_and_no_others() -> None:
    window = Window(date(2024, 2, 28), date(2024, 3, 1), BERLIN)
    assert window.days == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]
    assert date(2024, 2, 29) in window
    assert date(2024, 3, 2) not in window
    assert "2024-02-29" not in window
    assert str(window) == "2024-02-28..2024-03-01"
    assert str(Window(date(2024, 2, 28), date(2024, 2, 28), BERLIN)) == "2024-02-28"


def test_a_window_does_not_end_before_it_begins() -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        Window(date(2024, 3, 2), date(2024, 3, 1), BERLIN)


def test_days_are_numbered_as_postgres_numbers_them() -> None:
    assert day_number(date(2000, 1, 1)) == 0
    assert day_of(day_number(date(2024, 2, 29))) == date(2024, 2, 29)
    assert day_of(-1) == date(1999, 12, 31)


def test_each_day_of_a_range_comes_once_and_none_of_an_empty_one() -> None:
    assert list(each_day(date(2024, 2, 28), date(2024, 3, 1)))[1] == date(2024, 2, 29)
    assert list(each_day(date(2024, 3, 1), date(2024, 2, 28))) == []
