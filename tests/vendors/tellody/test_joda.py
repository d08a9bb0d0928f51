"""Dates from Joda-Time blobs and what stands in their place, against a second reckoning."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dagster_project.vendors.tellody.chronologies import NOT_ISO
from dagster_project.vendors.tellody.instants import AMBIGUOUS, Instant, Undatable
from dagster_project.vendors.tellody.joda import (
    FRACTION_CUT,
    IN_DAYS,
    IN_DIGITS,
    IN_SECONDS,
    MILLIS_AS_TEXT,
    OUT_OF_RANGE,
    normalize,
)
from dagster_project.vendors.tellody.joda_column import normalize_column
from dagster_project.vendors.tellody.zones import ZONE_MISSING, ZONE_UNKNOWN
from tests.vendors.tellody.reckoning import (
    DAY,
    FIRST_MILLIS,
    LAST_MILLIS,
    Told,
    naive,
    readings,
    told,
    wall_of,
)

ATHENS = ZoneInfo("Europe/Athens")
ZONES = [
    ATHENS,
    *map(
        ZoneInfo,
        (
            "America/Santiago",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "Pacific/Apia",
            "Africa/Casablanca",
            "Europe/Dublin",
            "America/St_Johns",
            "UTC",
        ),
    ),
]
DAY_CHANGES = 2 * DAY
# One value a line as Joda-Time 2.10.14 and Jackson 2.14 wrote it, beside what it was made from.
WRITTEN_BY_JODA = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "joda_blobs.jsonl").read_text().splitlines()
]
IN_2015 = datetime(2015, 7, 22, 9, 23, 4, tzinfo=UTC)


def changes(zone: ZoneInfo, year: int) -> list[int]:
    """Milliseconds at which a zone changed its offset in a year, to the second, by brute halving."""
    hours = range(int(datetime(year, 1, 1, tzinfo=UTC).timestamp()), 0, 3600)
    hours = range(hours.start, hours.start + 366 * 86_400, 3600)
    found = []
    for low, high in itertools.pairwise(hours):
        if offset(zone, low) != offset(zone, high):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (
                    (middle, high) if offset(zone, middle) == offset(zone, low) else (low, middle)
                )
            found.append(high * 1000)
    return found


def offset(zone: ZoneInfo, second: int) -> timedelta | None:
    return datetime.fromtimestamp(second, zone).utcoffset()


CHANGES = [
    (zone, change)
    for zone in ZONES
    for year in (1916, 1974, 2011, 2024)
    for change in changes(zone, year)
]
anywhen = st.integers(FIRST_MILLIS + DAY_CHANGES, LAST_MILLIS - DAY_CHANGES)
moments = st.one_of(
    st.tuples(st.sampled_from(ZONES), anywhen),
    st.tuples(st.sampled_from(ZONES), st.integers(0, 2_000_000_000_000)),
    st.tuples(st.sampled_from(CHANGES), st.integers(-7_200_000, 7_200_000)).map(
        lambda drawn: (drawn[0][0], drawn[0][1] + drawn[1])
    ),
).map(lambda drawn: told(drawn[1], drawn[0]))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def instant(dated: Instant | Undatable) -> Instant:
    assert isinstance(dated, Instant), dated
    return dated


def millis_of(dated: Instant | Undatable) -> int:
    return (instant(dated).utc - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def is_in_doubt(number: int) -> bool:
    """Whether a number of milliseconds is also a day of 2000 to 2099 in seconds, days or digits."""
    if 946_684_800 <= number < 4_102_444_800 or 10_957 <= number < 47_482:
        return True
    for form in ("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S"):
        try:
            day = datetime.strptime(str(number), form)  # noqa: DTZ007 - its year alone counts
        except ValueError:
            continue
        if 2000 <= day.year < 2100 and day.strftime(form) == str(number):
            return True
    return False


def assert_is(dated: Instant | Undatable, moment: Told) -> None:
    dated = instant(dated)
    assert millis_of(dated) == moment.instant
    assert dated.utc.microsecond % 1000 == 0
    assert dated.zone == moment.zone_id
    assert (dated.day.year, dated.day.month, dated.day.day) == moment.day


@given(moments)
def test_a_whole_blob_is_its_millis_in_its_zone(moment: Told) -> None:
    dated = normalize(moment.blob(), ZoneInfo("Asia/Tokyo"))
    assert_is(dated, moment)
    assert instant(dated).contradictions == ()
    assert instant(dated).notes == ()


@given(moments, st.data())
def test_millis_wins_over_fields_and_each_contradiction_is_named(
    moment: Told, data: st.DataObject
) -> None:
    wrong = data.draw(st.sets(st.sampled_from(sorted(moment.fields()))))
    bent = {name: moment.fields()[name] + data.draw(st.integers(1, 5)) for name in wrong}
    assume(not wrong or not is_in_doubt(moment.instant))
    dated = normalize(moment.blob() | bent, ATHENS)
    assert_is(dated, moment)
    assert set(instant(dated).contradictions) == wrong


FIELD_CHOICES = [
    (*of_date, *of_time)
    for of_date in (
        ("year", "monthOfYear", "dayOfMonth"),
        ("yearOfEra", "dayOfYear"),
        ("weekyear", "weekOfWeekyear", "dayOfWeek"),
    )
    for of_time in (
        ("millisOfDay",),
        ("hourOfDay", "minuteOfHour", "secondOfMinute", "millisOfSecond"),
        ("secondOfDay", "millisOfSecond"),
        ("minuteOfDay", "secondOfMinute", "millisOfSecond"),
    )
]


@given(moments, st.sampled_from([None, *FIELD_CHOICES]))
def test_fields_alone_name_the_first_reading_of_their_wall_time(
    moment: Told, names: tuple[str, ...] | None
) -> None:
    fields = moment.fields()
    chosen = fields if names is None else {name: fields[name] for name in names}
    dated = instant(normalize(chosen | {"zone": {"id": moment.zone_id}}, ATHENS))
    possible = readings(ZoneInfo(moment.zone_id), moment.wall)
    assert moment.instant in possible
    assert_is(dated, Told(possible[0], moment.wall, moment.zone_id))
    assert (AMBIGUOUS in dated.notes) == (len(possible) == 2)


@given(moments, st.sampled_from(["millisOfDay", "hourOfDay", "dayOfMonth", "dayOfWeek", "era"]))
def test_fields_that_contradict_each_other_without_millis_are_not_guessed_at(
    moment: Told, name: str
) -> None:
    fields = moment.fields() | {"zone": moment.zone()}
    shift = -1 if fields[name] > 1 else 1
    dated = normalize(fields | {name: fields[name] + shift}, ATHENS)
    assert isinstance(dated, Undatable)


HALF_HOUR = 1_800_000
SKIPPED = [
    (zone, change)
    for zone, change in CHANGES
    if wall_of(zone, change) - wall_of(zone, change - 1) > HALF_HOUR
]


@given(st.sampled_from(SKIPPED), st.integers(0, HALF_HOUR - 1))
def test_a_wall_time_that_clocks_skipped_cannot_be_dated(
    change: tuple[ZoneInfo, int], later: int
) -> None:
    zone, at = change
    wall = wall_of(zone, at - 1) + 1 + later
    assert readings(zone, wall) == []
    told_nowhere = Told(0, wall, str(zone))
    for value in (
        {**told_nowhere.fields(), "zone": told_nowhere.zone()},
        naive(wall).isoformat(),
    ):
        assert normalize(value, zone) == Undatable("a wall time that a clock change skipped")


@given(moments, st.sampled_from(["T", " ", "t"]), st.booleans())
def test_iso_text_with_an_offset_is_dated_by_it(
    moment: Told, separator: str, compact: bool
) -> None:
    minutes, rest = divmod(moment.wall - moment.instant, 60_000)
    if rest:  # the days of local mean time, which no ISO offset to the minute can tell
        return
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    suffix = f"{sign}{minutes // 60:02}{'' if compact else ':'}{minutes % 60:02}"
    text = naive(moment.wall).isoformat(separator.upper(), "milliseconds").replace("T", separator)
    dated = instant(normalize(text + suffix, ATHENS))
    assert millis_of(dated) == moment.instant
    assert dated.zone == suffix
    assert (dated.day.year, dated.day.month, dated.day.day) == moment.day
    named = instant(normalize(f"{text}{suffix}[{moment.zone_id}]", ATHENS))
    assert_is(named, moment)
    assert named.contradictions == ()


@given(moments)
def test_a_bare_number_is_millis_in_the_accounts_zone(moment: Told) -> None:
    zone = ZoneInfo(moment.zone_id)
    bare = () if is_in_doubt(moment.instant) else (moment.instant, Decimal(moment.instant))
    for number in (*bare, {"millis": moment.instant}):
        dated = normalize(number, zone)
        assert_is(dated, moment)
        assert instant(dated).notes == (ZONE_MISSING,)


@given(
    st.lists(
        st.one_of(
            moments.map(Told.blob),
            st.tuples(moments.map(Told.blob), st.dictionaries(st.text(), json_values)).map(
                lambda pair: pair[0] | pair[1]
            ),
            st.tuples(
                moments.map(Told.blob),
                st.dictionaries(
                    st.sampled_from([*Told(0, 0, "UTC").blob()]), json_values, max_size=3
                ),
            ).map(lambda pair: pair[0] | pair[1]),
            moments.map(lambda moment: {"millis": moment.instant}),
            moments.map(lambda moment: {**moment.fields(), "zone": moment.zone()}),
            st.integers(FIRST_MILLIS - DAY, LAST_MILLIS + DAY),
            json_values,
            st.sampled_from(WRITTEN_BY_JODA).map(lambda line: json.loads(line["json"])),
            st.integers(0, 5_000_000_000),
            st.integers(0, 5_000_000_000).map(lambda millis: {"millis": millis, "year": 1970}),
            st.lists(st.integers(0, 3000), min_size=3, max_size=8),
        ),
        max_size=12,
    ),
    st.sampled_from(ZONES),
)
def test_a_column_is_dated_as_its_values_are_one_by_one(values: list[Any], zone: ZoneInfo) -> None:
    column = normalize_column(values, zone)
    days = column.days_in(zone)
    for n, value in enumerate(values):
        alone = normalize(value, zone)
        if isinstance(alone, Undatable):
            assert column.undatable[n] == alone.reason
            continue
        assert n not in column.undatable
        assert column.instants()[n] == alone.utc
        assert column.zones[n] == alone.zone
        assert date(1970, 1, 1) + timedelta(days=int(column.days[n])) == alone.day
        assert column.contradictions.get(n, ()) == alone.contradictions
        assert column.notes.get(n, ()) == alone.notes
        in_account_zone = normalize(alone.utc.isoformat() + f"[{zone}]", zone)
        assert days[n] == (in_account_zone.day if isinstance(in_account_zone, Instant) else None)


@given(json_values)
@example({"millis": 0, "zone": {"id": "../../etc/localtime"}})
@example({"millis": 0, "zone": {"id": "\ud800\x00"}})
@example({"year": 10**30, "monthOfYear": 1, "dayOfMonth": 1, "millisOfDay": 0})
@example({"weekyear": 2024, "weekOfWeekyear": 10**30, "dayOfWeek": 1, "millisOfDay": 0})
def test_no_json_value_breaks_the_normalizer(value: Any) -> None:
    assert isinstance(normalize(value, ATHENS), Instant | Undatable)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null"),
        (True, "neither a Joda-Time object nor a number nor a text: a bool"),
        ([], "neither a Joda-Time object nor a number nor a text: a list"),
        ({}, "no millis, and no fields that name a day"),
        ({"year": 2015, "monthOfYear": 7, "dayOfMonth": 22}, "no millis, and no fields that name a time of day"),
        ({"year": 2015, "monthOfYear": 2, "dayOfMonth": 29, "millisOfDay": 0}, "no millis, and fields that name no calendar day"),
        ({"year": 2015, "dayOfYear": 1, "millisOfDay": DAY}, "no millis, and a time of day beyond 24 hours"),
        ({"millis": 1.5}, "millis is not a whole number"),
        ({"millis": "soon"}, "millis is not a whole number"),
        ({"millis": True}, "millis is not a whole number"),
        (Decimal("0.5"), "the number is not a whole number"),
        (float("nan"), OUT_OF_RANGE),
        (float("-inf"), OUT_OF_RANGE),
        (10**400, OUT_OF_RANGE),
        (Decimal("1e400"), OUT_OF_RANGE),
        (LAST_MILLIS + 1, OUT_OF_RANGE),
        (FIRST_MILLIS - 1, OUT_OF_RANGE),
        (LAST_MILLIS, OUT_OF_RANGE),  # in Athens it is the year 10000 by then
        ("0001-01-01T00:00:00+14:00", OUT_OF_RANGE),
        ("2015-07-22", "a text that is not an ISO 8601 date and time"),
        ("22.07.2015 12:23", "a text that is not an ISO 8601 date and time"),
        ("1437556984000", "a text that is not an ISO 8601 date and time"),
        (1437556984, IN_SECONDS),
        (946_684_800, IN_SECONDS),
        (4_102_444_799, IN_SECONDS),
        (Decimal("1437556984.000000000"), IN_SECONDS),
        (Decimal("1437556984.123456789"), IN_SECONDS),
        (1437556984.5, IN_SECONDS),
        ("1437556984[Europe/Athens]", IN_SECONDS),
        ("1437556984.000000000[Europe/Athens]", IN_SECONDS),
        ("1437556984.000000000", "a text that is not an ISO 8601 date and time"),
        ("1437556984000.5[Europe/Athens]", "the number is not a whole number"),
        ({"millis": Decimal("1437556984.0"), "zone": {"id": "Europe/Athens"}, "year": 2015}, IN_SECONDS),
        ({"millis": "1437556984", "zone": {"id": "Europe/Athens"}, "weekyear": 2015}, IN_SECONDS),
        (16_638, IN_DAYS),
        (20150722, IN_DIGITS),
        (201507221223, IN_DIGITS),
        (20150722122304, IN_DIGITS),
        (1437556984000000, OUT_OF_RANGE),  # microseconds
        ([2015, 7, 22], "an array that names no time of day"),
        ([12, 23, 4, 0], "an array that names no time of day"),
        ([2015, 7, 22, 12, 23, 4, 123], "an array that ends in milliseconds or in nanoseconds"),
        ([2015, 2, 29, 12, 23], "an array that names no calendar day or time"),
        ([15, 7, 22, 12, 23, 4], "an array that names no calendar day or time"),
        ([2015, 3, 29, 3, 30], "a wall time that a clock change skipped"),
        ([2015, 7, 22, 12, 23, 4, 0, 0], "neither a Joda-Time object nor a number nor a text: a list"),
        ({"epochSecond": 1437556984, "nano": 0}, "no millis, and no fields that name a day"),
        ({"seconds": 1437556984, "nanos": 0}, "no millis, and no fields that name a day"),
        ({"time": 1437556984000, "year": 115, "month": 6, "date": 22, "hours": 12}, "no millis, and no fields that name a day"),
        (
            {"year": 2015, "month": "JULY", "monthValue": 7, "dayOfMonth": 22, "dayOfYear": 203, "dayOfWeek": "WEDNESDAY", "hour": 12, "minute": 23, "second": 4, "nano": 0, "chronology": {"id": "ISO"}},
            "no millis, and no fields that name a time of day",
        ),
        (
            {"year": 2015, "dayOfYear": 203, "millisOfDay": 0, "chronology": {"zone": {"id": "UTC"}, "minimumDaysInFirstWeek": 4}},
            "no millis, and fields of another chronology than ISO",
        ),
        ("2015-02-29T00:00:00Z", "a text that names no calendar day or time"),
        ("2015-07-22T24:00:00Z", "a text that names no calendar day or time"),
        (
            {"year": 2015, "dayOfYear": 1, "millisOfDay": 0, "zone": {"id": "Europe/Atlantis"}},
            "no millis, and a zone unknown to the tz database",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_dated_says_why(value: Any, reason: str) -> None:
    assert normalize(value, ATHENS) == Undatable(reason)
    assert normalize_column([value], ATHENS).undatable == {0: reason}


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"millis": -1, "zone": {"id": "Europe/Athens"}},
            Instant(utc(1969, 12, 31, 23, 59, 59, 999_000), "Europe/Athens", date(1970, 1, 1)),
        ),
        (
            {"millis": 0, "zone": {"id": "+03:00"}},
            Instant(utc(1970, 1, 1), "+03:00", date(1970, 1, 1)),
        ),
        (
            {"millis": 0, "zone": {"id": "-00:00:00.001"}},
            Instant(utc(1970, 1, 1), "-00:00:00.001", date(1969, 12, 31)),
        ),
        (
            {"millis": 1437556984000, "zone": {"id": "UTC", "fixed": True}},
            Instant(utc(2015, 7, 22, 9, 23, 4), "UTC", date(2015, 7, 22)),
        ),
        (
            {"millis": 1437598799999, "zone": {"id": "Europe/Atlantis"}, "hourOfDay": 3},
            Instant(utc(2015, 7, 22, 20, 59, 59, 999_000), "Europe/Atlantis", date(2015, 7, 22), (), (ZONE_UNKNOWN,)),
        ),
        (
            {"millis": "1437556984000"},
            Instant(utc(2015, 7, 22, 9, 23, 4), "Europe/Athens", date(2015, 7, 22), (), (ZONE_MISSING, MILLIS_AS_TEXT)),
        ),
        (
            {"millis": 1.437556984e12, "zone": "Europe/Athens"},
            Instant(utc(2015, 7, 22, 9, 23, 4), "Europe/Athens", date(2015, 7, 22)),
        ),
        (
            {"millis": 0, "zone": {"id": "UTC"}, "chronology": {"zone": {"id": "Europe/Athens"}}},
            Instant(utc(1970, 1, 1), "UTC", date(1970, 1, 1), ("chronology.zone.id",)),
        ),
        (
            {"millis": 0, "zone": None, "chronology": {"zone": {"id": "Asia/Tokyo"}}},
            Instant(utc(1970, 1, 1), "Asia/Tokyo", date(1970, 1, 1)),
        ),
        (
            {"millis": 0, "zone": {"id": "localtime"}},
            Instant(utc(1970, 1, 1), "localtime", date(1970, 1, 1), (), (ZONE_UNKNOWN,)),
        ),
        (
            "2015-10-25T03:30",
            Instant(utc(2015, 10, 25, 0, 30), "Europe/Athens", date(2015, 10, 25), (), (ZONE_MISSING, AMBIGUOUS)),
        ),
        (
            "2015-07-22T12:23:04.123456789Z",
            Instant(utc(2015, 7, 22, 12, 23, 4, 123_456), "UTC", date(2015, 7, 22), (), (FRACTION_CUT,)),
        ),
        (
            "2015-07-22T12:23:04+02:00[Europe/Athens]",
            Instant(utc(2015, 7, 22, 10, 23, 4), "Europe/Athens", date(2015, 7, 22), ("offset",)),
        ),
        ("1437556984000[Europe/Athens]", Instant(IN_2015, "Europe/Athens", date(2015, 7, 22), (), (MILLIS_AS_TEXT,))),
        (
            "1437598799999[Europe/Atlantis]",
            Instant(utc(2015, 7, 22, 20, 59, 59, 999_000), "Europe/Atlantis", date(2015, 7, 22), (), (ZONE_UNKNOWN, MILLIS_AS_TEXT)),
        ),
        ("-1[+03:00]", Instant(utc(1969, 12, 31, 23, 59, 59, 999_000), "+03:00", date(1970, 1, 1), (), (MILLIS_AS_TEXT,))),
        ([2015, 7, 22, 12, 23, 4], Instant(IN_2015, "Europe/Athens", date(2015, 7, 22), (), (ZONE_MISSING,))),
        ([2015, 7, 22, 12, 23, 4, 0], Instant(IN_2015, "Europe/Athens", date(2015, 7, 22), (), (ZONE_MISSING,))),
        ([2015, 7, 22, 0, 23], Instant(utc(2015, 7, 21, 21, 23), "Europe/Athens", date(2015, 7, 22), (), (ZONE_MISSING,))),
        (
            [2015, 7, 22, 12, 23, 4, 123_456_789],
            Instant(IN_2015.replace(microsecond=123_456), "Europe/Athens", date(2015, 7, 22), (), (ZONE_MISSING, FRACTION_CUT)),
        ),
        (
            {"year": 2015, "dayOfYear": 203, "secondOfDay": 44_584, "chronology": {"zone": {"id": "UTC"}}},
            Instant(IN_2015, "Europe/Athens", date(2015, 7, 22), (), (ZONE_MISSING,)),
        ),
        (
            {"year": 2015, "dayOfYear": 203, "secondOfDay": 44_584, "chronology": {"zone": {"id": "Asia/Tokyo"}}},
            Instant(utc(2015, 7, 22, 3, 23, 4), "Asia/Tokyo", date(2015, 7, 22)),
        ),
        (
            {"millis": 1437556984, "zone": {"id": "UTC"}, "year": 1970, "hourOfDay": 15},
            Instant(utc(1970, 1, 17, 15, 19, 16, 984_000), "UTC", date(1970, 1, 17)),
        ),
        (
            {"millis": 1437556984000, "zone": {"id": "UTC"}, "year": 2558, "centuryOfEra": 26, "yearOfCentury": 58, "dayOfMonth": 22},
            Instant(IN_2015, "UTC", date(2015, 7, 22), (), (NOT_ISO,)),
        ),
        (
            {"millis": 1437556984000, "zone": {"id": "UTC"}, "year": 2558, "dayOfMonth": 21},
            Instant(IN_2015, "UTC", date(2015, 7, 22), ("year", "dayOfMonth")),
        ),
        (
            {"millis": 1437556984000, "zone": {"id": "UTC"}, "year": 1731, "hourOfDay": 10, "chronology": {"minimumDaysInFirstWeek": 4}},
            Instant(IN_2015, "UTC", date(2015, 7, 22), ("hourOfDay",), (NOT_ISO,)),
        ),
        ("0001-01-01T00:00:00Z", Instant(utc(1, 1, 1), "UTC", date(1, 1, 1))),
        (
            "9999-12-31T23:59:59.999Z",
            Instant(utc(9999, 12, 31, 23, 59, 59, 999_000), "UTC", date(9999, 12, 31)),
        ),
    ],
)  # fmt: skip
def test_shapes_that_can_be_dated(value: Any, expected: Instant) -> None:
    assert normalize(value, ATHENS) == expected
    column = normalize_column([value], ATHENS)
    assert column.instants() == [expected.utc]
    assert column.zones == [expected.zone]
    assert column.contradictions.get(0, ()) == expected.contradictions
    assert column.notes.get(0, ()) == expected.notes


def written(line: dict[str, Any], account_zone: ZoneInfo) -> Instant | Undatable:
    """What a value that Joda wrote has to be dated as: by what it was made from."""
    at, day = datetime(1970, 1, 1, tzinfo=UTC), date.fromisoformat(line["local"])
    at += timedelta(milliseconds=line["millis"])
    kind, zone = line["kind"], line["zone"]
    if kind == "LocalDate":
        return Undatable("no millis, and no fields that name a time of day")
    if kind == "LocalDateTime":
        wall = datetime.fromisoformat(line["wall"])
        at = wall.replace(tzinfo=account_zone).astimezone(UTC)
        return Instant(at, str(account_zone), day, (), (ZONE_MISSING,))
    if kind == "Date":  # java.util.Date: a number, which knows no zone
        here = at.astimezone(account_zone).date()
        return Instant(at, str(account_zone), here, (), (ZONE_MISSING,))
    if kind == "Instant":  # always in UTC
        return Instant(at, "UTC", at.date())
    if kind == "String":  # ISO 8601 with an offset in place of the zone
        return Instant(at, json.loads(line["json"])[len("2015-07-22T12:23:04.000") :], day)
    notes = (NOT_ISO,) if kind in ("Gregorian", "Julian", "Buddhist") else ()
    return Instant(at, zone, day, (), notes)


@pytest.mark.parametrize("name", ["Europe/Athens", "America/Santiago", "Asia/Tokyo"])
def test_what_joda_itself_wrote_is_dated_as_what_it_was_made_from(name: str) -> None:
    zone = ZoneInfo(name)
    values = [json.loads(line["json"], parse_float=Decimal) for line in WRITTEN_BY_JODA]
    expected = [written(line, zone) for line in WRITTEN_BY_JODA]
    assert len(values) == 252
    assert [normalize(value, zone) for value in values] == expected
    column = normalize_column(values, zone)
    for n, right in enumerate(expected):
        if isinstance(right, Undatable):
            assert column.undatable[n] == right.reason
            continue
        assert column.instants()[n] == right.utc
        assert column.zones[n] == right.zone
        assert date(1970, 1, 1) + timedelta(days=int(column.days[n])) == right.day
        assert column.notes.get(n, ()) == right.notes
    assert column.contradictions == {}
    assert column.counts() == Counter({f"date_{ZONE_MISSING}": 30, f"date_{NOT_ISO}": 22})
