"""Check the fields that a Joda-Time object derives from its instant, in any chronology.

Joda computes them in the object's chronology, which the object does not name. Every chronology but the ISO and the
Buddhist one writes ``minimumDaysInFirstWeek``; the Buddhist one counts years from 543 BC. Weekdays and the time of
day are the same in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

NOT_ISO = "chronology_not_iso"

_MARK = "minimumDaysInFirstWeek"
_BUDDHIST_YEARS = 543
_CALENDAR_FIELDS = frozenset(
    (
        "year",
        "yearOfEra",
        "centuryOfEra",
        "yearOfCentury",
        "era",
        "weekyear",
        "weekOfWeekyear",
        "monthOfYear",
        "dayOfYear",
        "dayOfMonth",
    )
)


def derive_fields(wall: datetime) -> dict[str, int]:
    """The fields that Joda's ISO chronology derives from a wall time of the years 0001 to 9999."""
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


def is_marked_not_iso(chronology: Any) -> bool:
    """Whether an object's ``chronology`` shows that its calendar fields are not ISO's."""
    return isinstance(chronology, Mapping) and _MARK in chronology


def wrong_fields(blob: Mapping[str, Any], right: Mapping[str, int]) -> tuple[str, ...]:
    """The fields of an object that are not as they should be."""
    return tuple(
        name
        for name, value in right.items()
        if (given := blob.get(name)) is not None and given != value
    )


def check_fields(
    blob: Mapping[str, Any], right: Mapping[str, int]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The contradictory fields of an object with ``millis``, and notes instead of contradictions.

    ``right``: the result of ``derive_fields``. In another chronology calendar fields contradict nothing.
    """
    wrong = wrong_fields(blob, right)
    if wrong and is_marked_not_iso(blob.get("chronology")):
        return tuple(name for name in wrong if name not in _CALENDAR_FIELDS), ()
    if "year" in wrong and not wrong_fields(blob, _to_buddhist(right)):
        return (), (NOT_ISO,)
    return wrong, ()


def _to_buddhist(iso: Mapping[str, int]) -> dict[str, int]:
    year = iso["year"] + _BUDDHIST_YEARS
    return {
        **iso,
        "year": year,
        "yearOfEra": year,
        "centuryOfEra": (year - 1) // 100 + 1,
        "yearOfCentury": (year - 1) % 100 + 1,
        "weekyear": iso["weekyear"] + _BUDDHIST_YEARS,
    }
