"""Calendar and clock reckoned a second time, another way: integers, and the zone asked backwards.

``joda`` goes from UTC to the wall by ``datetime``; this goes by Hinnant's integer algorithms, and finds
an offset as the one whose wall time the zone itself maps back to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DAY = 86_400_000
FIRST_MILLIS = -62_135_596_800_000
LAST_MILLIS = 253_402_300_799_999


def days_from_civil(year: int, month: int, day: int) -> int:
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def civil_from_days(days: int) -> tuple[int, int, int]:
    days += 719_468
    era = days // 146_097
    of_era = days - era * 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year + era * 400 + (month <= 2), month, day


def weekday(days: int) -> int:
    return (days + 3) % 7 + 1


def iso_week(days: int) -> tuple[int, int]:
    thursday = days - weekday(days) + 4
    year = civil_from_days(thursday)[0]
    return year, (thursday - days_from_civil(year, 1, 1)) // 7 + 1


def readings(zone: ZoneInfo, wall_millis: int) -> list[int]:
    """The instants at which this zone's clocks show a wall time: none, one or two."""
    wall = naive(wall_millis)
    offsets = {fold: millis(zone.utcoffset(wall.replace(fold=fold))) for fold in (0, 1)}
    if offsets[0] < offsets[1]:
        return []
    return sorted({wall_millis - offset for offset in offsets.values()})


def wall_of(zone: ZoneInfo, instant: int) -> int:
    """What the zone's clocks show at an instant, both in milliseconds since 1970."""
    near = {
        millis(zone.utcoffset(naive(instant + shift).replace(fold=fold)))
        for shift in (-DAY, 0, DAY)
        for fold in (0, 1)
    }
    (offset,) = {offset for offset in near if instant in readings(zone, instant + offset)}
    return instant + offset


def naive(millis_: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(milliseconds=millis_)  # noqa: DTZ001


def millis(offset: timedelta | None) -> int:
    assert offset is not None
    return offset // timedelta(milliseconds=1)


@dataclass(frozen=True)
class Told:
    """A moment as Joda tells it in a zone."""

    instant: int
    wall: int
    zone_id: str

    @property
    def day(self) -> tuple[int, int, int]:
        return civil_from_days(self.wall // DAY)

    def fields(self) -> dict[str, Any]:
        days, of_day = divmod(self.wall, DAY)
        year, month, day = civil_from_days(days)
        weekyear, week = iso_week(days)
        return {
            "year": year,
            "yearOfEra": year,
            "centuryOfEra": year // 100,
            "yearOfCentury": year % 100,
            "era": 1,
            "weekyear": weekyear,
            "weekOfWeekyear": week,
            "monthOfYear": month,
            "dayOfYear": days - days_from_civil(year, 1, 1) + 1,
            "dayOfMonth": day,
            "dayOfWeek": weekday(days),
            "hourOfDay": of_day // 3_600_000,
            "minuteOfDay": of_day // 60_000,
            "secondOfDay": of_day // 1000,
            "millisOfDay": of_day,
            "minuteOfHour": of_day // 60_000 % 60,
            "secondOfMinute": of_day // 1000 % 60,
            "millisOfSecond": of_day % 1000,
        }

    def zone(self) -> dict[str, Any]:
        inner = {"cachable": True, "fixed": False, "id": self.zone_id}
        return {"uncachedZone": inner, "fixed": False, "id": self.zone_id}

    def blob(self) -> dict[str, Any]:
        now = {"equalNow": False, "afterNow": False, "beforeNow": True}
        zone = self.zone()
        return {
            "millis": self.instant,
            **self.fields(),
            **now,
            "zone": zone,
            "chronology": {"zone": zone},
        }


def told(instant: int, zone: ZoneInfo) -> Told:
    return Told(instant, wall_of(zone, instant), str(zone))
