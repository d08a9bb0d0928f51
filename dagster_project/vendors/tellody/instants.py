"""Instants and days of purchases, and what cannot be dated: the results of ``joda``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from dagster_project.vendors.tellody.zones import Zone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
AMBIGUOUS = "ambiguous_hour_first_reading"


@dataclass(frozen=True, slots=True)
class Instant:
    """A dated value: the instant, its zone, and its calendar day there."""

    utc: datetime
    zone: str
    day: date
    contradictions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Undatable:
    reason: str


class CannotDate(Exception):
    """A value has no date; the message says why."""


def instant_of_wall(wall: datetime, zone: Zone) -> Instant:
    """The instant of a wall time; the first one if a clock change repeats it."""
    assert zone.clock is not None
    first = wall.replace(tzinfo=zone.clock, fold=0).utcoffset() or timedelta(0)
    second = wall.replace(tzinfo=zone.clock, fold=1).utcoffset() or timedelta(0)
    if first < second:
        raise CannotDate("a wall time that a clock change skipped")
    notes = zone.notes if first == second else (*zone.notes, AMBIGUOUS)
    return Instant((wall - first).replace(tzinfo=UTC), zone.id, wall.date(), (), notes)


def instant_at(micros: int, zone: Zone, default_zone: ZoneInfo) -> Instant:
    utc = EPOCH + micros * MICROSECOND
    day = wall_at(utc, zone.clock or default_zone).date()
    return Instant(utc, zone.id, day, zone.contradictions, zone.notes)


def wall_at(utc: datetime, clock: tzinfo) -> datetime:
    """The wall time of an instant. Raises OverflowError outside the years 0001 to 9999."""
    return utc.astimezone(clock).replace(tzinfo=None)
