"""When a day is settled: 48 hours after its end, and final or old enough."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.model.window import ONE_DAY, midnight
from dagster_project.pipeline.settlement import is_settled

MOSCOW, ATHENS, SANTIAGO = (
    ZoneInfo(name) for name in ("Europe/Moscow", "Europe/Athens", "America/Santiago")
)
DAY = date(2024, 4, 1)
ENDS = datetime(2024, 4, 1, 21, tzinfo=UTC)
"""Midnight after the day in Moscow."""
SECOND = timedelta(seconds=1)


def settled(after: timedelta, rows: int = 10, rows_final: int | None = 10, days: int = 7) -> bool:
    return is_settled(DAY, MOSCOW, ENDS + after, rows=rows, rows_final=rows_final, settle_days=days)


def test_a_final_day_is_settled_once_it_was_read_48_hours_after_its_end() -> None:
    assert not settled(timedelta(hours=48) - SECOND)
    assert settled(timedelta(hours=48))


def test_one_row_that_may_still_change_keeps_the_day_open_until_it_is_old() -> None:
    assert not settled(timedelta(days=7) - SECOND, rows_final=9)
    assert settled(timedelta(days=7), rows_final=9)


def test_an_empty_day_is_settled_by_the_same_rule() -> None:
    assert not settled(timedelta(hours=47), rows=0, rows_final=0)
    assert settled(timedelta(hours=49), rows=0, rows_final=0)


def test_a_source_without_a_notion_of_final_settles_by_age_alone() -> None:
    assert not settled(timedelta(days=3) - SECOND, rows_final=None, days=3)
    assert settled(timedelta(days=3), rows_final=None, days=3)


def test_an_empty_day_of_such_a_source_is_not_taken_for_final() -> None:
    assert not settled(timedelta(hours=49), rows=0, rows_final=None)


@pytest.mark.parametrize("days", [0, 1, 2])
def test_however_short_the_span_the_day_is_read_again_after_48_hours(days: int) -> None:
    assert not settled(timedelta(hours=48) - SECOND, rows_final=9, days=days)
    assert settled(timedelta(hours=48), rows_final=9, days=days)


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2024, 3, 30), ATHENS, 47),
        (date(2024, 10, 26), ATHENS, 49),
        (date(2024, 9, 7), SANTIAGO, 47),
        (date(2024, 4, 5), SANTIAGO, 49),
    ],
)
def test_48_hours_are_hours_and_settle_days_are_calendar_days(
    day: date, zone: ZoneInfo, hours: int
) -> None:
    """The clock changes within the two days after these: two days later is not 48 hours later."""
    ends = midnight(day + ONE_DAY, zone)
    two_days_later = midnight(day + 3 * ONE_DAY, zone)
    assert two_days_later - ends == timedelta(hours=hours)
    final_at_48_hours = is_settled(
        day, zone, ends + timedelta(hours=48), rows=1, rows_final=1, settle_days=7
    )
    assert final_at_48_hours
    old = max(two_days_later, ends + timedelta(hours=48))
    for at, expected in ((old - SECOND, False), (old, True)):
        assert is_settled(day, zone, at, rows=1, rows_final=0, settle_days=2) is expected


def test_a_longer_reading_of_the_same_rows_never_unsettles_a_day() -> None:
    @given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 14), st.booleans())
    def holds(hours: int, later: int, days: int, final: bool) -> None:
        rows_final = 5 if final else 4
        first = settled(timedelta(hours=hours), 5, rows_final, days)
        assert settled(timedelta(hours=hours + later), 5, rows_final, days) or not first

    holds()
