"""Vendor-local wall times, one by one and by columns, also where clocks change."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.vendors.calltouch.instants import (
    EPOCH,
    LocalClock,
    cut_to_hour,
    latest_day,
    read_sent,
    read_wall_time,
    read_wall_times,
    write_wall_time,
)

SECOND = timedelta(seconds=1)
UTC_EPOCH = EPOCH.replace(tzinfo=ZoneInfo("UTC"))
ZONES = ["Europe/Moscow", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "UTC"]
WALL = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)
NINETEEN = st.one_of(
    st.from_regex(r"\A[0-9]{2}[-.][0-9]{2}[-.][0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}\Z"),
    WALL.map(write_wall_time),
    st.text(st.sampled_from("0123456789-.: /T"), min_size=19, max_size=19),
)


def by_columns(written: list[str]) -> list[datetime | None]:
    characters = np.frombuffer("".join(written).encode(), np.uint8).reshape(-1, 19)
    wall, readable = read_wall_times(characters)
    return [
        EPOCH + seconds * SECOND if is_readable else None
        for seconds, is_readable in zip(wall.tolist(), readable.tolist(), strict=True)
    ]


def seconds(*written: str) -> list[int]:
    moments = [read_wall_time(text) for text in written]
    return [(moment - EPOCH) // SECOND for moment in moments if moment is not None]


def instants(zone: str, *written: str) -> tuple[list[str], Counter[str]]:
    counts: Counter[str] = Counter()
    utc = LocalClock(ZoneInfo(zone)).to_utc(np.array(seconds(*written)), counts)
    return [
        (UTC_EPOCH + second * SECOND).strftime("%d %H:%M:%S") for second in utc.tolist()
    ], counts


@pytest.mark.parametrize(
    "written",
    [
        "01-04-2024 15:05:32",
        "01.04.2024 15:05:32",
        "01.04-2024 15:05:32",
        "2024-04-01 15:05:32",
        "2024.04.01 15:05:32",
    ],
)
def test_both_orders_and_both_separators_are_read(written: str) -> None:
    wall = read_wall_time(written)

    assert wall == datetime(2024, 4, 1, 15, 5, 32)  # noqa: DTZ001
    assert write_wall_time(wall) == "01-04-2024 15:05:32"


@pytest.mark.parametrize(
    "written",
    [
        "",
        "01-04-2024",
        "01-04-2024T15:05:32",
        "01/04/2024 15:05:32",
        "1-4-2024 15:05:32",
        "01-04-24 15:05:32",
        "01-04-2024 15:05",
        "01-04-2024 24:00:00",
        "01-04-2024 15:60:00",
        "01-04-2024 15:05:60",
        "30-02-2024 15:05:32",
        "29-02-2023 15:05:32",
        "01-13-2024 15:05:32",
        "00-04-2024 15:05:32",
        "01-04-0000 15:05:32",
        "01-04-2024 15:05:32 ",
        "01-04-2024 15:05:32+03:00",
        "2024-04-01",
        "2024-04-01T15:05",
        "2024-04-01T24:00:00",
        "2024-02-30T15:05:32",
        "2024-04-01T15:05:32-00:00",
        "2024-04-01T15:05:32+15:00",
        "9999-12-31T23:59:59-05:00",
        "0001-01-01T00:00:00+05:00",
        "2024-W14-1T15:05:32",
        "1711973132",
        "1711973132000",
        "٠١-04-2024 15:05:32",
    ],
)
def test_what_is_no_wall_time_is_not_guessed(written: str) -> None:
    assert read_wall_time(written) is None
    assert read_sent(written, ZoneInfo("UTC")) is None


def test_the_hour_of_an_erased_sms_is_kept_in_a_form_that_reads_the_same() -> None:
    zone = ZoneInfo("Europe/Moscow")
    for written in ("01-04-2024 15:05:32", "2024-04-01T15:05:32", "2024-04-01T12:05:32Z"):
        cut = read_sent(cut_to_hour(written) or "", zone)
        assert cut is not None
        assert cut.wall == datetime(2024, 4, 1, 15)  # noqa: DTZ001
    assert cut_to_hour("yesterday") is None
    assert latest_day("2024-04-01T12:05:32Z") == date(2024, 4, 2), "it may be another day there"
    assert latest_day("01-04-2024 15:05:32") == date(2024, 4, 1)


@given(WALL)
def test_a_wall_time_is_read_as_it_was_written(wall: datetime) -> None:
    assert read_wall_time(write_wall_time(wall)) == wall


@given(st.lists(NINETEEN))
def test_columns_are_read_as_single_texts_are(written: list[str]) -> None:
    day_first = [None if text[4] in "-." else read_wall_time(text) for text in written]

    assert by_columns(written) == day_first


def test_the_first_reading_of_a_repeated_hour_is_taken_and_counted() -> None:
    found, counts = instants(
        "Europe/Berlin",
        "27-10-2024 01:59:59",
        "27-10-2024 02:00:00",
        "27-10-2024 02:59:59",
        "27-10-2024 03:00:00",
    )

    assert found == ["26 23:59:59", "27 00:00:00", "27 00:59:59", "27 02:00:00"]
    assert counts == Counter(ambiguous_hour=2)


def test_a_skipped_hour_is_read_with_the_offset_before_it_and_counted() -> None:
    found, counts = instants("Europe/Berlin", "31-03-2024 02:30:00", "31-03-2024 03:30:00")

    assert found == ["31 01:30:00", "31 01:30:00"]
    assert counts == Counter(skipped_hour=1)


def test_a_change_in_the_middle_of_an_hour_splits_it() -> None:
    found, counts = instants(
        "Australia/Lord_Howe",
        "07-04-2024 01:29:59",
        "07-04-2024 01:30:00",
        "07-04-2024 01:59:59",
        "07-04-2024 02:00:00",
    )

    assert found == ["06 14:29:59", "06 14:30:00", "06 14:59:59", "06 15:30:00"]
    assert counts == Counter(ambiguous_hour=2)


@given(
    st.sampled_from(ZONES),
    st.lists(
        st.datetimes(datetime(2000, 1, 1), datetime(2038, 1, 1)),  # noqa: DTZ001
        min_size=1,
    ),
)
def test_instants_are_what_the_time_zone_says_of_each(zone: str, walls: list[datetime]) -> None:
    walls = [wall.replace(microsecond=0, fold=0) for wall in walls]
    expected = [(wall.replace(tzinfo=ZoneInfo(zone)) - UTC_EPOCH) // SECOND for wall in walls]
    wall_seconds = np.array([(wall - EPOCH) // SECOND for wall in walls])
    clock = LocalClock(ZoneInfo(zone))

    assert clock.to_utc(wall_seconds, Counter()).tolist() == expected
    assert [clock.read(second, Counter()) for second in wall_seconds.tolist()] == expected
