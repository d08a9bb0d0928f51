"""``joda.normalize`` for a whole column: the same results, computed with arrays.

Objects with whole ``millis`` and a known zone are dated together, zone by zone: the offset by a table of the zone's
changes, the derived fields by calendar arithmetic on arrays. All other values, and those of the first and last year
of the calendar, go through ``normalize`` one by one.

A zone's changes are found by sampling its offset every two days, and then by bisection. No zone of the tz database
changes its offset twice in less (Freetown did within four days, in 1939).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dagster_project.vendors.tellody.chronologies import check_fields, derive_fields
from dagster_project.vendors.tellody.instants import EPOCH, MICROSECOND, Undatable, wall_at
from dagster_project.vendors.tellody.joda import normalize, other_unit
from dagster_project.vendors.tellody.zones import Zone, zone_of

Integers = NDArray[np.int64]

FIELD_NAMES = tuple(derive_fields(datetime(1970, 1, 1)))  # noqa: DTZ001 - for its keys
DAY_MILLIS = 86_400_000
SAMPLE_SECONDS = 2 * 86_400
FIRST_MILLIS = int((datetime(2, 1, 1, tzinfo=UTC) - EPOCH) / timedelta(milliseconds=1))
END_MILLIS = int((datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) / timedelta(milliseconds=1))
MOST_ZONES_AT_HAND = 8

_fields_of = itemgetter(*FIELD_NAMES)


@dataclass(slots=True)
class DatedColumn:
    """Dated values as parallel arrays; ``undatable``, ``contradictions`` and ``notes`` by position.

    ``micros``: UTC microseconds since 1970. ``days``: days since 1970 in the value's own zone. ``zones``: the
    values' zones. If ``undatable`` has a reason for a position, all three are meaningless there.
    """

    micros: Integers
    days: Integers
    zones: list[str]
    undatable: dict[int, str] = field(default_factory=dict)
    contradictions: dict[int, tuple[str, ...]] = field(default_factory=dict)
    notes: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def instants(self) -> list[datetime]:
        return [EPOCH + micros * MICROSECOND for micros in self.micros.tolist()]

    def days_in(self, clock: tzinfo) -> list[date | None]:
        """The calendar day of each instant in another zone; ``None`` outside the years 0001 to 9999."""
        millis = self.micros // 1000
        inside = (millis >= FIRST_MILLIS) & (millis < END_MILLIS)
        local = millis + np.where(inside, _offsets(clock, np.where(inside, millis, 0)), 0)
        days = _dates((local // DAY_MILLIS).tolist(), inside.tolist())
        for position in np.flatnonzero(~inside).tolist():
            days[position] = _day_at(int(self.micros[position]), clock)
        return days

    def counts(self) -> Counter[str]:
        """Count the oddities: contradictory fields, missing zones, ambiguous hours, other calendars."""
        counts = Counter(f"date_{note}" for notes in self.notes.values() for note in notes)
        counts.update(
            f"date_contradicts:{name}" for ns in self.contradictions.values() for name in ns
        )
        if self.contradictions:
            counts["date_contradicts"] = len(self.contradictions)
        return counts


def normalize_column(values: Sequence[Any], default_zone: ZoneInfo) -> DatedColumn:
    """Date decoded JSON values; see ``joda.normalize`` for the rules."""
    column = DatedColumn(
        np.zeros(len(values), np.int64), np.zeros(len(values), np.int64), [""] * len(values)
    )
    groups, others = _group_by_zone(values, default_zone)
    for zone, positions in groups:
        _date_group(column, values, zone, positions)
    for position in others:
        _date_one(column, position, values[position], default_zone)
    return column


def _group_by_zone(
    values: Sequence[Any], default_zone: ZoneInfo
) -> tuple[list[tuple[Zone, list[int]]], list[int]]:
    """The positions that can be dated together, by zone, and the others."""
    groups: dict[Zone, list[int]] = defaultdict(list)
    at_hand: list[tuple[Any, Any, list[int]]] = []
    others: list[int] = []
    for position, value in enumerate(values):
        if type(value) is not dict or type(millis := value.get("millis")) is not int:
            others.append(position)
            continue
        named, chronology = value.get("zone"), value.get("chronology")
        for known, known_chronology, its_group in at_hand:
            if named == known and chronology == known_chronology:
                group = its_group
                break
        else:
            zone = zone_of(value, default_zone)
            group = groups[zone] if zone.clock is not None else others
            at_hand = [(named, chronology, group), *at_hand[: MOST_ZONES_AT_HAND - 1]]
        alone = not FIRST_MILLIS <= millis < END_MILLIS or other_unit(millis) is not None
        (others if alone else group).append(position)
    return list(groups.items()), others


def _date_group(
    column: DatedColumn, values: Sequence[Any], zone: Zone, positions: list[int]
) -> None:
    assert zone.clock is not None
    at = np.array(positions, np.intp)
    blobs = [values[position] for position in positions]
    millis = np.array([blob["millis"] for blob in blobs], np.int64)
    local = millis + _offsets(zone.clock, millis)
    column.micros[at] = millis * 1000
    column.days[at] = local // DAY_MILLIS
    for position in positions:
        column.zones[position] = zone.id
    if zone.notes:
        column.notes.update(dict.fromkeys(positions, zone.notes))
    if zone.contradictions:
        column.contradictions.update(dict.fromkeys(positions, zone.contradictions))
    right = list(zip(*(part.tolist() for part in _derive_columns(local)), strict=True))
    given = _reported_fields(blobs)
    if given == right:
        return
    for position, ours, theirs in zip(positions, right, given, strict=True):
        if ours == theirs:
            continue
        wrong, notes = check_fields(values[position], dict(zip(FIELD_NAMES, ours, strict=True)))
        if wrong:
            column.contradictions[position] = zone.contradictions + wrong
        if notes:
            column.notes[position] = zone.notes + notes


def _reported_fields(blobs: list[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """The derived fields of each object; ``None`` for missing ones.

    Object by object: field by field took twice as long, since each pass went through all objects.
    """
    try:
        return list(map(_fields_of, blobs))
    except KeyError:
        return [tuple(map(blob.get, FIELD_NAMES)) for blob in blobs]


def _date_one(column: DatedColumn, position: int, value: Any, default_zone: ZoneInfo) -> None:
    dated = normalize(value, default_zone)
    if isinstance(dated, Undatable):
        column.undatable[position] = dated.reason
        return
    column.micros[position] = (dated.utc - EPOCH) // MICROSECOND
    column.days[position] = (dated.day - EPOCH.date()).days
    column.zones[position] = dated.zone
    if dated.contradictions:
        column.contradictions[position] = dated.contradictions
    if dated.notes:
        column.notes[position] = dated.notes


def _derive_columns(local: Integers) -> list[Integers]:
    """The fields of ``derive_fields``, in its order, for local milliseconds since 1970."""
    days, millis = np.divmod(local, DAY_MILLIS)
    year, month, month_start, year_start = _calendar(days)
    weekday = (days + 3) % 7 + 1
    thursday = days - weekday + 4
    weekyear, _, _, weekyear_start = _calendar(thursday)
    seconds = millis // 1000
    minutes = seconds // 60
    return [
        year,
        year,
        year // 100,
        year % 100,
        np.ones_like(year),
        weekyear,
        (thursday - weekyear_start) // 7 + 1,
        month,
        days - year_start + 1,
        days - month_start + 1,
        weekday,
        minutes // 60,
        minutes,
        seconds,
        millis,
        minutes % 60,
        seconds % 60,
        millis % 1000,
    ]


def _calendar(days: Integers) -> tuple[Integers, Integers, Integers, Integers]:
    """Year, month, and the days since 1970 on which month and year began."""
    dates = days.astype("M8[D]")
    months, years = dates.astype("M8[M]"), dates.astype("M8[Y]")
    return (
        years.astype(np.int64) + 1970,
        months.astype(np.int64) % 12 + 1,
        months.astype("M8[D]").astype(np.int64),
        years.astype("M8[D]").astype(np.int64),
    )


def _offsets(clock: tzinfo, millis: Integers) -> Integers:
    """By how many milliseconds each instant's wall time is ahead of UTC."""
    if not isinstance(clock, ZoneInfo):
        fixed = clock.utcoffset(None) or timedelta(0)
        return np.full(len(millis), fixed // timedelta(milliseconds=1), np.int64)
    if not len(millis):
        return millis
    years = np.unique(millis.astype("M8[ms]").astype("M8[Y]").astype(np.int64)) + 1970
    changes = [change for year in years.tolist() for change in _changes(clock, year)]
    starts: Integers
    offsets: Integers
    starts, offsets = np.array(changes, np.int64).T
    held: Integers = offsets[np.searchsorted(starts, millis, side="right") - 1]
    return held


@lru_cache(maxsize=4096)
def _changes(clock: ZoneInfo, year: int) -> list[tuple[int, int]]:
    """A zone's offsets in a UTC year, each with the instant from which it is valid, in milliseconds."""
    start = int((datetime(year, 1, 1, tzinfo=UTC) - EPOCH).total_seconds())
    end = int((datetime(year + 1, 1, 1, tzinfo=UTC) - EPOCH).total_seconds())
    changes = [(start, offset := _offset_at(clock, start))]
    before = start
    for sample in [*range(start + SAMPLE_SECONDS, end, SAMPLE_SECONDS), end - 1]:
        if (later := _offset_at(clock, sample)) != offset:
            changes.append((_first_second_with(later, clock, before, sample), later))
            offset = later
        before = sample
    return [(at * 1000, seconds * 1000) for at, seconds in changes]


def _first_second_with(offset: int, clock: ZoneInfo, low: int, high: int) -> int:
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset_at(clock, middle) == offset else (middle, high)
    return high


def _offset_at(clock: ZoneInfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, clock).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _dates(numbers: list[int], inside: list[bool]) -> list[date | None]:
    known = {number: EPOCH.date() + timedelta(days=number) for number in set(numbers)}
    return [known[n] if ok else None for n, ok in zip(numbers, inside, strict=True)]


def _day_at(micros: int, clock: tzinfo) -> date | None:
    try:
        return wall_at(EPOCH + micros * MICROSECOND, clock).date()
    except OverflowError:
        return None
