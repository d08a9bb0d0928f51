"""A day of the played Calltouch: who was sent what at which second, and how each SMS fares.

Grain: one SMS of one site. A day is drawn whole from the seed, as arrays (about 40 bytes a row); its
JSON is rendered in blocks when a page asks for it. Nothing is drawn from the clock: it only decides
which rows are visible and how far their statuses have come, so that a day told twice tells the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dagster_project.model.window import ONE_DAY, midnight
from dagster_project.sandbox.calltouch import texts as texts

HOUR, DAY = 3600, 86_400
NEVER = 2**31 - 1
BLOCK = 5_000
QUARTER = 900

Integers = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of a day is out of the ordinary."""

    duplicate: float = 0.004
    ugly: float = 0.0005
    late: float = 0.004
    vanishing: float = 0.0015


@dataclass(slots=True)
class Inserted:
    """A row put into a day by a test or a fault: its JSON as it is sent, and when it is there."""

    raw: bytes
    second: int
    appears: int = 0


@dataclass(slots=True)
class Day:
    """One site's SMS of one local day. Times are seconds since the day's first instant.

    ``second`` is what the wall clock showed, from 0 to 86,399, and what ``dateSent`` tells. A row is
    there from ``appears`` until ``vanishes``; its status is ``first`` until ``leaves``, ``between``
    until ``ends``, then ``final``. The rows lie in no order of time.
    """

    date: date
    starts: int
    templates: tuple[texts.Template, ...]
    second: Integers
    person: Integers
    salt: Integers
    template: NDArray[np.uint8]
    appears: Integers
    vanishes: Integers
    leaves: Integers
    ends: Integers
    first: NDArray[np.uint8]
    between: NDArray[np.uint8]
    final: NDArray[np.uint8]
    inserted: list[Inserted] = field(default_factory=list)
    removed: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.second)

    def visible(self, at: datetime, from_second: int, to_second: int) -> Integers:
        """Indexes of the rows that an answer at ``at`` holds; inserted rows first, as -1, -2, …"""
        now = int(at.timestamp()) - self.starts
        there = (self.appears <= now) & (now < self.vanishes)
        there &= (self.second >= from_second) & (self.second <= to_second)
        if self.removed:
            there[sorted(self.removed)] = False
        places = np.flatnonzero(there).astype(np.int32)
        extra = [
            -1 - place
            for place, row in enumerate(self.inserted)
            if row.appears <= now and from_second <= row.second <= to_second
        ]
        return np.concatenate([np.array(extra, np.int32), places]) if extra else places

    def statuses(self, places: Integers, at: datetime) -> NDArray[np.uint8]:
        """The status code of each of these rows at ``at``."""
        now = int(at.timestamp()) - self.starts
        waiting, between = now < self.leaves[places], now < self.ends[places]
        early = np.where(waiting, self.first[places], self.between[places])
        return np.where(between, early, self.final[places])

    def render(self, block: int, *, escaped: bool) -> tuple[list[bytes], list[bytes]]:
        """JSON of the rows of one block, before and after the status."""
        rows = slice(block * BLOCK, (block + 1) * BLOCK)
        walls, stamp = wall_clock(), f"{self.date:%d-%m-%Y}"
        heads: list[bytes] = []
        tails: list[bytes] = []
        bodies = [template.text for template in self.templates] + list(texts.UGLY)
        names, how_many = texts.NAMES, len(texts.NAMES)
        columns = (self.second, self.person, self.salt, self.template)
        for second, person, salt, template in zip(
            *(c[rows].tolist() for c in columns), strict=True
        ):
            phone = texts.phone_of(person, salt)
            heads.append(
                f'{{"phoneNumber":"{phone}","dateSent":"{stamp} {walls[second]}",'.encode()
            )
            roubles = salt % 47 * 100 + 500
            text = bodies[template].format(
                names[person % how_many], salt % 9000 + 1000, roubles, salt
            )
            tails.append(f'{text}"}}'.encode())
        if escaped:
            return [_escaped(head) for head in heads], [_escaped(tail) for tail in tails]
        return heads, tails


def draw_day(
    day: date,
    zone: ZoneInfo,
    count: int,
    templates: tuple[texts.Template, ...],
    shares: Shares,
    population: int,
    random: np.random.Generator,
) -> Day:
    """Draw ``count`` SMS of a local day. ``shares`` of none keep the day's count exact for ever."""
    starts = int(midnight(day, zone).timestamp())
    template = _templates(day, count, templates, random)
    person = random.integers(0, population, count, dtype=np.int32)
    salt = random.integers(0, 2**31 - 1, count, dtype=np.int32)
    elapsed = _elapsed(template, templates, random)
    length = int(midnight(day + ONE_DAY, zone).timestamp()) - starts
    elapsed = (elapsed.astype(np.int64) * length // DAY).astype(np.int32)
    ugly = random.random(count) < shares.ugly
    choices = random.integers(len(templates), len(templates) + len(texts.UGLY), count)
    template = np.where(ugly, choices, template).astype(np.uint8)
    own_fate = _repeat_some(shares.duplicate, random, elapsed, person, salt, template)
    rates = np.array([t.delivered for t in templates] + [0.9] * len(texts.UGLY))
    fate = _fates(rates[template], person, elapsed, random)
    for values in fate.values():
        copied = own_fate >= 0
        values[copied] = values[own_fate[copied]]
    appears, vanishes = _presence(elapsed, shares, random)
    return Day(
        date=day,
        starts=starts,
        templates=templates,
        second=_wall_seconds(elapsed, starts, length, zone),
        person=person,
        salt=salt,
        template=template,
        appears=appears,
        vanishes=vanishes,
        leaves=fate["leaves"],
        ends=fate["ends"],
        first=fate["first"].astype(np.uint8),
        between=fate["between"].astype(np.uint8),
        final=fate["final"].astype(np.uint8),
    )


def _templates(
    day: date, count: int, templates: tuple[texts.Template, ...], random: np.random.Generator
) -> NDArray[np.uint8]:
    """Which template each SMS was made from: campaigns rest at weekends, and are most of a big day."""
    weekend, big = day.weekday() >= 5, count >= 20_000
    weights = np.array(
        [
            t.weight * (t.weekend if weekend else 1) * (12 if big and place == texts.SALE else 1)
            for place, t in enumerate(templates)
        ]
    )
    bounds = np.cumsum(weights / weights.sum())
    return np.minimum(np.searchsorted(bounds, random.random(count)), len(templates) - 1).astype(
        np.uint8
    )


def _elapsed(
    template: NDArray[np.uint8],
    templates: tuple[texts.Template, ...],
    random: np.random.Generator,
) -> Integers:
    """The second of the day, by the rhythm of each template, as if days had 24 hours."""
    chance = random.random(len(template))
    hour = np.zeros(len(template), np.int32)
    for place, kind in enumerate(templates):
        rows = template == place
        shares = np.cumsum(np.array(texts.RHYTHMS[kind.rhythm], float))
        hour[rows] = np.searchsorted(shares / shares[-1], chance[rows], side="right")
    return hour * HOUR + random.integers(0, HOUR, len(template), dtype=np.int32)


def _repeat_some(share: float, random: np.random.Generator, *columns: NDArray[Any]) -> Integers:
    """Make some rows twins of a row shortly before them.

    Answers for each row whose fate it shares, or -1: of two twins one may arrive and one fail.
    """
    count = len(columns[0])
    fate_of = np.full(count, -1, np.int32)
    twins = np.flatnonzero(random.random(count) < share)
    twins = twins[twins > 0]
    models = twins - np.minimum(twins, random.integers(1, 4, len(twins)))
    for twin, model, alike in zip(
        twins.tolist(), models.tolist(), (random.random(len(twins)) < 0.5).tolist(), strict=True
    ):
        for column in columns:
            column[twin] = column[model]
        fate_of[twin] = model if alike else -1
    return fate_of


def _fates(
    delivered: NDArray[np.float64], person: Integers, elapsed: Integers, random: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """How each SMS fares: seconds to minutes for most, days for a few, for ever for very few."""
    count = len(person)
    first = np.where(random.random(count) < 0.9, texts.NO_STATUS, texts.QUEUED)
    chance = random.random(count)
    between = np.where(chance < 0.01, texts.UNKNOWN, texts.WITH_OPERATOR)
    between = np.where(chance > 0.997, texts.UNKNOWN_YET, between)
    leaves = elapsed + random.integers(2, 90, count)
    speed = random.random(count)
    delay = random.exponential(40, count) + 3
    delay = np.where(speed > 0.85, random.uniform(120, 4 * HOUR, count), delay)
    delay = np.where(speed > 0.97, random.uniform(4 * HOUR, 60 * HOUR, count), delay)
    reasons = np.array([texts.UNDELIVERABLE, texts.UNREACHABLE, texts.EXPIRED, texts.FORBIDDEN])
    reason = reasons[np.searchsorted(np.array([0.4, 0.72, 0.94]), random.random(count))]
    final = np.where(random.random(count) < delivered, texts.DELIVERED, reason)
    kind = (person.astype(np.int64) * 2_654_435_761 >> 7) % 1000
    final = np.where(kind >= texts.WRONG, texts.BAD_NUMBER, final)
    chance = random.random(count)
    final = np.where(chance < 0.003, texts.UNKNOWN, final)
    if random.random() < 1 / 20:
        broke = (elapsed >= 14 * HOUR) & (elapsed < 16 * HOUR)
        final = np.where(broke, texts.NO_MONEY, final)
    delay = np.where(final == texts.EXPIRED, random.uniform(24 * HOUR, 72 * HOUR, count), delay)
    delay = np.where(between != texts.WITH_OPERATOR, delay * 1.6, delay)
    ends = np.where(chance > 0.998, NEVER, leaves + delay).astype(np.int32)
    return {
        "first": first,
        "between": between,
        "final": final,
        "leaves": leaves.astype(np.int32),
        "ends": ends,
    }


def _presence(
    elapsed: Integers, shares: Shares, random: np.random.Generator
) -> tuple[Integers, Integers]:
    """From when and until when each row is told."""
    count = len(elapsed)
    late = random.random(count) < shares.late
    delay = np.where(late, random.uniform(2 * HOUR, 96 * HOUR, count), 0)
    appears = (elapsed + delay).astype(np.int32)
    vanishing = random.random(count) < shares.vanishing
    lasts = random.uniform(HOUR, 120 * HOUR, count)
    return appears, np.where(vanishing, appears + lasts, NEVER).astype(np.int32)


def _wall_seconds(elapsed: Integers, starts: int, length: int, zone: ZoneInfo) -> Integers:
    """What a clock on the wall shows: on days with a clock change an hour is missing or comes twice."""
    shown = [_shown(starts + quarter * QUARTER, zone) for quarter in range(length // QUARTER + 1)]
    quarter = elapsed // QUARTER
    return (np.array(shown, np.int32)[quarter] + elapsed % QUARTER).astype(np.int32)


def _shown(instant: int, zone: ZoneInfo) -> int:
    local = datetime.fromtimestamp(instant, UTC).astimezone(zone)
    return local.hour * HOUR + local.minute * 60 + local.second


@cache
def wall_clock() -> list[str]:
    """``00:00:00`` … ``23:59:59``."""
    minutes = [f"{hour:02d}:{minute:02d}" for hour in range(24) for minute in range(60)]
    return [f"{minute}:{second:02d}" for minute in minutes for second in range(60)]


def _escaped(piece: bytes) -> bytes:
    """The same JSON in ASCII; escapes that are there already stay as they are."""
    return "".join(
        sign if sign < "\x7f" else json.dumps(sign)[1:-1] for sign in piece.decode()
    ).encode()
