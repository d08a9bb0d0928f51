"""Read the instant of a purchase from any value in place of a Joda-Time ``DateTime``.

Source: PaymentHistory's ``date``. In a whole object ``millis`` (epoch, UTC) and ``zone.id`` suffice; Joda's ISO
chronology derives the other fields from them. So:

* ``millis`` wins; derived fields that differ are named in ``Instant.contradictions``. Fields of another
  chronology are noted (``chronologies``); without ``millis`` they give no date.
* Without ``millis`` the fields give a wall time in the zone. If they contradict each other, or the wall time was
  skipped by a clock change, there is no date. If the wall time occurred twice, the first one is taken and noted:
  the object does not say which of the two it is.
* Without a zone, as in a ``LocalDateTime``, the account's is used (noted). If the tz database does not know the id,
  ``millis`` still gives the instant, the account's zone gives the day, and the id is kept (noted); without
  ``millis`` there is no date.
* A bare number is milliseconds, and so are a text's digits before a zone in brackets. A number that is also a day
  of this century in another unit gives no date; nor does such a ``millis`` beside another year.
* Any other text must be ISO 8601, at least to the minute.
* An array is Jackson's form of a wall time: year, month, day, hour, minute, and possibly second and nanosecond.
  Joda writes milliseconds where java.time writes nanoseconds: the two cannot be distinguished from 1 to 999.

``Undatable`` is a result, not an error: the caller rejects the record with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from dagster_project.vendors.tellody.chronologies import (
    NOT_ISO,
    check_fields,
    derive_fields,
    wrong_fields,
)
from dagster_project.vendors.tellody.instants import (
    CannotDate,
    Instant,
    Undatable,
    instant_at,
    instant_of_wall,
    wall_at,
)
from dagster_project.vendors.tellody.zones import (
    ZONE_MISSING,
    ZONE_UNKNOWN,
    Zone,
    clock_of,
    zone_of,
)

OUT_OF_RANGE = "beyond the years 0001 to 9999"

MILLIS_AS_TEXT = "millis_as_text"
FRACTION_CUT = "fraction_cut_to_microseconds"
IN_SECONDS = "a number that lies before 1990 as milliseconds, and between 2000 and 2100 as seconds since 1970"
IN_DAYS = (
    "a number that lies before 1990 as milliseconds, and between 2000 and 2100 as days since 1970"
)
IN_DIGITS = "a number whose digits read as a calendar day, and which is milliseconds of another one"

_WHOLE = re.compile(r"-?\d{1,18}")
_NUMBER_IN_ZONE = re.compile(r"(-?\d{1,18}(?:\.\d{1,9})?)\[([^\]]+)\]", re.ASCII)
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
    r" ?([Zz]|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?)?(?:\[([^\]]+)\])?",
    re.ASCII,
)
_SECONDS = range(946_684_800, 4_102_444_800)  # of 2000 to 2099, as are the next two
_DAYS = range(10_957, 47_482)
_DIGITS = re.compile(
    r"20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?)?",
    re.ASCII,
)
_YEARS = frozenset(("year", "yearOfEra", "weekyear"))
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


def normalize(value: Any, default_zone: ZoneInfo) -> Instant | Undatable:
    """Date one decoded JSON value; ``default_zone`` is the account's.

    Numbers may be ``int``, ``Decimal`` or ``float``, without a fraction of a millisecond.
    """
    try:
        if value is None:
            raise CannotDate("null")
        if isinstance(value, Mapping):
            return _from_blob(value, default_zone)
        if isinstance(value, str):
            return _from_iso(value, default_zone)
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            own = Zone(str(default_zone), default_zone, (ZONE_MISSING,))
            return instant_at(_read_millis(value) * 1000, own, default_zone)
        if isinstance(value, Sequence):
            return _from_array(value, default_zone)
        raise CannotDate(f"neither a Joda-Time object nor a number nor a text: {_kind(value)}")
    except CannotDate as error:
        return Undatable(str(error))
    except OverflowError:
        return Undatable(OUT_OF_RANGE)


def _from_blob(blob: Mapping[str, Any], default_zone: ZoneInfo) -> Instant:
    zone = zone_of(blob, default_zone)
    millis = blob.get("millis")
    if millis is None:
        return _from_fields(blob, zone, default_zone)
    whole = _read_whole(millis, "millis")
    instant = instant_at(whole * 1000, zone, default_zone)
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if zone.clock is not None:
        wrong, notes = check_fields(blob, derive_fields(wall_at(instant.utc, zone.clock)))
    if not _YEARS.isdisjoint(wrong) and (doubt := other_unit(whole)):
        raise CannotDate(doubt)
    if isinstance(millis, str):
        notes = (*notes, MILLIS_AS_TEXT)
    return Instant(
        instant.utc, zone.id, instant.day, zone.contradictions + wrong, zone.notes + notes
    )


def _from_fields(blob: Mapping[str, Any], zone: Zone, default_zone: ZoneInfo) -> Instant:
    if zone.clock is None:
        raise CannotDate("no millis, and a zone unknown to the tz database")
    wall = _wall_from_fields(blob)
    if NOT_ISO in zone.notes:
        raise CannotDate("no millis, and fields of another chronology than ISO")
    if wrong := wrong_fields(blob, derive_fields(wall)):
        raise CannotDate(f"no millis, and fields that contradict each other: {', '.join(wrong)}")
    if zone.contradictions:
        raise CannotDate("no millis, and zones that contradict each other")
    return instant_of_wall(wall, zone)


def _wall_from_fields(blob: Mapping[str, Any]) -> datetime:
    def present(names: tuple[str, ...]) -> bool:
        return all(blob.get(name) is not None for name in names)

    date_parts = next((names for names in _DATE_PARTS if present(names)), None)
    time_parts = next((names for names in _TIME_PARTS if present(names)), None)
    if date_parts is None or time_parts is None:
        lacking = "day" if date_parts is None else "time of day"
        raise CannotDate(f"no millis, and no fields that name a {lacking}")
    millis = sum(
        _read_whole(blob[name], name) * unit
        for name, unit in zip(time_parts, _TIME_PARTS[time_parts], strict=True)
    )
    if not 0 <= millis < 86_400_000:
        raise CannotDate("no millis, and a time of day beyond 24 hours")
    numbers = [_read_whole(blob[name], name) for name in date_parts]
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
        raise CannotDate("no millis, and fields that name no calendar day") from error
    return datetime.combine(day, time.min)


def _from_iso(text: str, default_zone: ZoneInfo) -> Instant:
    if numbered := _NUMBER_IN_ZONE.fullmatch(text.strip()):
        return _from_number_in_zone(numbered[1], numbered[2], default_zone)
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise CannotDate("a text that is not an ISO 8601 date and time")
    day, hour, minute, second, fraction, offset, bracket = match.groups()
    digits = (fraction or "").ljust(6, "0")
    try:
        wall = datetime.fromisoformat(f"{day}T{hour}:{minute}:{second or '00'}.{digits[:6]}")
    except ValueError as error:
        raise CannotDate("a text that names no calendar day or time") from error
    notes = (FRACTION_CUT,) if digits[6:].strip("0") else ()
    zone = _zone_of_iso(offset, bracket, default_zone)
    clock = zone.clock if offset is None else clock_of(_offset_id(offset))
    if clock is None:
        raise CannotDate("a text with a zone unknown to the tz database")
    dated = instant_of_wall(wall, Zone(zone.id, clock, zone.notes + notes))
    if zone.clock is None:
        return Instant(dated.utc, zone.id, wall_at(dated.utc, default_zone).date(), (), dated.notes)
    there = wall_at(dated.utc, zone.clock)
    return Instant(
        dated.utc, zone.id, there.date(), () if there == wall else ("offset",), dated.notes
    )


def _from_number_in_zone(number: str, zone_id: str, default_zone: ZoneInfo) -> Instant:
    clock = clock_of(zone_id)
    notes = (MILLIS_AS_TEXT,) if clock else (ZONE_UNKNOWN, MILLIS_AS_TEXT)
    micros = _read_millis(Decimal(number)) * 1000
    return instant_at(micros, Zone(zone_id, clock, notes), default_zone)


def _from_array(parts: Sequence[Any], default_zone: ZoneInfo) -> Instant:
    if not 3 <= len(parts) <= 7 or not all(type(part) is int for part in parts):
        raise CannotDate(f"neither a Joda-Time object nor a number nor a text: {_kind(parts)}")
    if len(parts) < 5:
        raise CannotDate("an array that names no time of day")
    year, month, day, hour, minute, second, nanos = (*parts, 0, 0)[:7]
    if 0 < nanos < 1000:
        raise CannotDate("an array that ends in milliseconds or in nanoseconds")
    if not 1000 <= year <= 9999 or not 0 <= nanos < 10**9:
        raise CannotDate("an array that names no calendar day or time")
    try:
        wall = datetime(year, month, day, hour, minute, second, nanos // 1000)  # noqa: DTZ001 - the zone is the account's
    except (ValueError, OverflowError) as error:
        raise CannotDate("an array that names no calendar day or time") from error
    notes = (ZONE_MISSING, FRACTION_CUT) if nanos % 1000 else (ZONE_MISSING,)
    return instant_of_wall(wall, Zone(str(default_zone), default_zone, notes))


def _zone_of_iso(offset: str | None, bracket: str | None, default_zone: ZoneInfo) -> Zone:
    if bracket is None and offset is None:
        return Zone(str(default_zone), default_zone, (ZONE_MISSING,))
    zone_id = bracket or _offset_id(offset or "")
    clock = clock_of(zone_id)
    return Zone(zone_id, clock, () if clock else (ZONE_UNKNOWN,))


def _offset_id(offset: str) -> str:
    return "UTC" if offset in "Zz" else offset


def other_unit(number: int) -> str | None:
    """Why a number may not be milliseconds: another unit in which it is a day of 2000 to 2099; else None."""
    if 10**12 <= number < 10**13:  # milliseconds of the years 2001 to 2286
        return None
    if number in _SECONDS:
        return IN_SECONDS
    if number in _DAYS:
        return IN_DAYS
    return IN_DIGITS if _DIGITS.fullmatch(str(number)) else None


def _read_millis(number: float | Decimal) -> int:
    """Read a number without a unit as milliseconds."""
    if abs(float(number)) < 10**18 and (doubt := other_unit(int(number))):
        raise CannotDate(doubt)
    return _read_whole(number, "the number")


def _read_whole(value: Any, name: str) -> int:
    """Read a whole JSON number, or its digits as text, of at most 18 digits."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        if not -(10**18) < float(value) < 10**18:
            raise CannotDate(OUT_OF_RANGE)
        if value == int(value):
            return int(value)
    elif isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    raise CannotDate(f"{name} is not a whole number")


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
