"""When a purchase happened: one instant from whatever stands where a Joda-Time ``DateTime`` should.

Source: PaymentHistory's ``date``. In a whole blob ``millis`` (epoch, UTC) and ``zone.id`` say it
all; the other fields are derived from them by Joda's ISO chronology. So:

* ``millis`` wins; derived fields that say otherwise are named in ``Instant.contradictions``.
* Without ``millis`` the fields make a wall time in the zone. If they contradict each other, or name
  a wall time that a clock change skipped, nothing can be dated. Of a wall time that came twice the
  first reading is taken and noted: a blob holds nothing that tells the two apart.
* No zone: the account's (noted). An id unknown to the tz database: ``millis`` still gives the
  instant, the account's zone gives the day, the id is kept as given (noted); without ``millis``
  nothing can be dated.
* A bare number is ``millis``, a text is ISO 8601 down to the minute at least.

``Undatable`` is an answer, not an error: the caller sets the record aside with this reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from dagster_project.vendors.tellody.zones import (
    ZONE_MISSING,
    ZONE_UNKNOWN,
    Zone,
    clock_of,
    zone_of,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
OUT_OF_RANGE = "beyond the years 0001 to 9999"

AMBIGUOUS = "ambiguous_hour_first_reading"
MILLIS_AS_TEXT = "millis_as_text"
FRACTION_CUT = "fraction_cut_to_microseconds"

_WHOLE = re.compile(r"-?\d{1,18}")
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
    r" ?([Zz]|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?)?(?:\[([^\]]+)\])?",
    re.ASCII,
)
_DATE_PARTS = (
    ("year", "monthOfYear", "dayOfMonth"),
    ("year", "dayOfYear"),
    ("yearOfEra", "monthOfYear", "dayOfMonth"),
    ("yearOfEra", "dayOfYear"),
    ("weekyear", "weekOfWeekyear", "dayOfWeek"),
)
_TIME_PARTS = {  # the field, and its milliseconds
    ("millisOfDay",): (1,),
    ("secondOfDay", "millisOfSecond"): (1000, 1),
    ("secondOfDay",): (1000,),
    ("hourOfDay", "minuteOfHour", "secondOfMinute", "millisOfSecond"): (3_600_000, 60_000, 1000, 1),
    ("hourOfDay", "minuteOfHour", "secondOfMinute"): (3_600_000, 60_000, 1000),
    ("minuteOfDay", "secondOfMinute", "millisOfSecond"): (60_000, 1000, 1),
    ("minuteOfDay", "secondOfMinute"): (60_000, 1000),
    ("hourOfDay", "minuteOfHour"): (3_600_000, 60_000),
    ("minuteOfDay",): (60_000,),
}


@dataclass(frozen=True, slots=True)
class Instant:
    """A dated value: the instant, the zone it was told in, the calendar day it had there."""

    utc: datetime
    zone: str
    day: date
    contradictions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Undatable:
    reason: str


class _CannotDate(Exception):
    pass


def normalize(value: Any, default_zone: ZoneInfo) -> Instant | Undatable:
    """Date one decoded JSON value; ``default_zone`` is the account's.

    Numbers may be ``int``, ``Decimal`` or ``float``; a fraction of a millisecond is not guessed at.
    """
    try:
        if value is None:
            raise _CannotDate("null")
        if isinstance(value, Mapping):
            return _from_blob(value, default_zone)
        if isinstance(value, str):
            return _from_iso(value, default_zone)
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            own = Zone(str(default_zone), default_zone, (ZONE_MISSING,))
            return _at(_whole(value, "the number") * 1000, own, default_zone)
        raise _CannotDate(f"neither a Joda-Time object nor a number nor a text: {_kind(value)}")
    except _CannotDate as error:
        return Undatable(str(error))
    except OverflowError:
        return Undatable(OUT_OF_RANGE)


def derived(wall: datetime) -> dict[str, int]:
    """What Joda's ISO chronology derives from a wall time of the years 0001 to 9999."""
    weekyear, week, weekday = wall.isocalendar()
    minute = wall.hour * 60 + wall.minute
    millis = wall.microsecond // 1000
    return {
        "year": wall.year,
        "yearOfEra": wall.year,
        "centuryOfEra": wall.year // 100,
        "yearOfCentury": wall.year % 100,
        "era": 1,
        "weekyear": weekyear,
        "weekOfWeekyear": week,
        "monthOfYear": wall.month,
        "dayOfYear": wall.timetuple().tm_yday,
        "dayOfMonth": wall.day,
        "dayOfWeek": weekday,
        "hourOfDay": wall.hour,
        "minuteOfDay": minute,
        "secondOfDay": minute * 60 + wall.second,
        "millisOfDay": (minute * 60 + wall.second) * 1000 + millis,
        "minuteOfHour": wall.minute,
        "secondOfMinute": wall.second,
        "millisOfSecond": millis,
    }


def _from_blob(blob: Mapping[str, Any], default_zone: ZoneInfo) -> Instant:
    zone = zone_of(blob, default_zone)
    millis = blob.get("millis")
    if millis is None:
        return _from_fields(blob, zone, default_zone)
    instant = _at(_whole(millis, "millis") * 1000, zone, default_zone)
    wrong: tuple[str, ...] = ()
    if zone.clock is not None:
        wrong = _wrong_fields(blob, wall_at(instant.utc, zone.clock))
    notes = (MILLIS_AS_TEXT,) if isinstance(millis, str) else ()
    return Instant(
        instant.utc, zone.id, instant.day, zone.contradictions + wrong, zone.notes + notes
    )


def _from_fields(blob: Mapping[str, Any], zone: Zone, default_zone: ZoneInfo) -> Instant:
    if zone.clock is None:
        raise _CannotDate("no millis, and a zone unknown to the tz database")
    wall = _wall_from_fields(blob)
    if wrong := _wrong_fields(blob, wall):
        raise _CannotDate(f"no millis, and fields that contradict each other: {', '.join(wrong)}")
    if zone.contradictions:
        raise _CannotDate("no millis, and zones that contradict each other")
    return _told(wall, zone)


def _wall_from_fields(blob: Mapping[str, Any]) -> datetime:
    def present(names: tuple[str, ...]) -> bool:
        return all(blob.get(name) is not None for name in names)

    date_parts = next((names for names in _DATE_PARTS if present(names)), None)
    time_parts = next((names for names in _TIME_PARTS if present(names)), None)
    if date_parts is None or time_parts is None:
        lacking = "day" if date_parts is None else "time of day"
        raise _CannotDate(f"no millis, and no fields that name a {lacking}")
    millis = sum(
        _whole(blob[name], name) * unit
        for name, unit in zip(time_parts, _TIME_PARTS[time_parts], strict=True)
    )
    if not 0 <= millis < 86_400_000:
        raise _CannotDate("no millis, and a time of day beyond 24 hours")
    numbers = [_whole(blob[name], name) for name in date_parts]
    return _midnight(date_parts, numbers) + timedelta(milliseconds=millis)


def _midnight(names: tuple[str, ...], numbers: list[int]) -> datetime:
    try:
        if names[0] == "weekyear":
            day = date.fromisocalendar(*numbers)
        elif len(numbers) == 2:
            day = date(numbers[0], 1, 1) + timedelta(days=numbers[1] - 1)
        else:
            day = date(*numbers)
    except (ValueError, OverflowError) as error:
        raise _CannotDate("no millis, and fields that name no calendar day") from error
    return datetime.combine(day, time.min)


def _from_iso(text: str, default_zone: ZoneInfo) -> Instant:
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise _CannotDate("a text that is not an ISO 8601 date and time")
    day, hour, minute, second, fraction, offset, bracket = match.groups()
    digits = (fraction or "").ljust(6, "0")
    try:
        wall = datetime.fromisoformat(f"{day}T{hour}:{minute}:{second or '00'}.{digits[:6]}")
    except ValueError as error:
        raise _CannotDate("a text that names no calendar day or time") from error
    notes = (FRACTION_CUT,) if digits[6:].strip("0") else ()
    zone = _zone_of_iso(offset, bracket, default_zone)
    clock = zone.clock if offset is None else clock_of(_offset_id(offset))
    if clock is None:
        raise _CannotDate("a text with a zone unknown to the tz database")
    told = _told(wall, Zone(zone.id, clock, zone.notes + notes))
    if zone.clock is None:
        return Instant(told.utc, zone.id, wall_at(told.utc, default_zone).date(), (), told.notes)
    there = wall_at(told.utc, zone.clock)
    return Instant(
        told.utc, zone.id, there.date(), () if there == wall else ("offset",), told.notes
    )


def _zone_of_iso(offset: str | None, bracket: str | None, default_zone: ZoneInfo) -> Zone:
    if bracket is None and offset is None:
        return Zone(str(default_zone), default_zone, (ZONE_MISSING,))
    zone_id = bracket or _offset_id(offset or "")
    clock = clock_of(zone_id)
    return Zone(zone_id, clock, () if clock else (ZONE_UNKNOWN,))


def _offset_id(offset: str) -> str:
    return "UTC" if offset in "Zz" else offset


def _told(wall: datetime, zone: Zone) -> Instant:
    """The instant of a wall time: the first reading where clocks were set back over it."""
    assert zone.clock is not None
    first = wall.replace(tzinfo=zone.clock, fold=0).utcoffset() or timedelta(0)
    second = wall.replace(tzinfo=zone.clock, fold=1).utcoffset() or timedelta(0)
    if first < second:
        raise _CannotDate("a wall time that a clock change skipped")
    notes = zone.notes if first == second else (*zone.notes, AMBIGUOUS)
    return Instant((wall - first).replace(tzinfo=UTC), zone.id, wall.date(), (), notes)


def _at(micros: int, zone: Zone, default_zone: ZoneInfo) -> Instant:
    utc = EPOCH + micros * MICROSECOND
    day = wall_at(utc, zone.clock or default_zone).date()
    return Instant(utc, zone.id, day, zone.contradictions, zone.notes)


def wall_at(utc: datetime, clock: tzinfo) -> datetime:
    """The wall time of an instant. Raises OverflowError beyond the years 0001 to 9999."""
    return utc.astimezone(clock).replace(tzinfo=None)


def _wrong_fields(blob: Mapping[str, Any], wall: datetime) -> tuple[str, ...]:
    return tuple(
        name
        for name, right in derived(wall).items()
        if (given := blob.get(name)) is not None and given != right
    )


def _whole(value: Any, name: str) -> int:
    """A JSON number, or its digits as text, that is whole and fits 18 digits."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        if not -(10**18) < float(value) < 10**18:
            raise _CannotDate(OUT_OF_RANGE)
        if value == int(value):
            return int(value)
    elif isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    raise _CannotDate(f"{name} is not a whole number")


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
