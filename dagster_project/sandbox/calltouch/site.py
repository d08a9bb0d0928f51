"""One Calltouch project (site) as played: how many SMS a day, windows of them, and pages.

The anchor is the site's today when the sandbox started, or a day that is given. Counted back from it, the
days in ``special_days`` hold exactly the counts at which paging breaks; they have no late nor vanishing rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from dagster_project.model.window import each_day
from dagster_project.sandbox.calltouch import texts as texts
from dagster_project.sandbox.calltouch.days import BLOCK, DAY, Day, Inserted, Shares, draw_day

if TYPE_CHECKING:
    from dagster_project.sandbox.world import World

WEEKDAYS = (1.0, 1.05, 1.05, 1.1, 1.2, 0.75, 0.55)
MONTHS = (1.0, 0.95, 1.05, 1.0, 1.0, 0.95, 0.85, 0.9, 1.05, 1.05, 1.3, 1.3)

# Days ago, and how many SMS: each on a weekday of its own, so that no ordinary day looks small beside them.
BIG_DAYS = {4: 35_000, 9: 10_000, 15: 10_001, 17: 9_999}
USUAL_HISTORY = 30

DRAWN_ROWS_KEPT = 3_000_000
RENDERED_ROWS_KEPT = 250_000
COUNTS_KEPT = 20_000
AT_REST_AFTER = timedelta(days=12)


def special_days(history: int = USUAL_HISTORY) -> dict[int, int]:
    """The days at which paging breaks, of so many days of history.

    Those of (nearly) no SMS are the first of their weekdays in it: later on they would be a drop that a
    check reports.
    """
    return {**BIG_DAYS, history - 9: 0, history - 4: 1}


@dataclass(slots=True)
class Site:
    """What is configured of a site. ``counts`` (ISO day to SMS) and ``special`` overrule the rest."""

    site_id: int
    name: str = "Проект"
    token: str | None = None
    zone: str = "Europe/Moscow"
    texts: str = "shop"
    ordinary: int = 2_700
    population: int = 60_000
    special: dict[int, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    daily_points: int | None = None
    granted: bool = True

    def __post_init__(self) -> None:
        self.special = {int(days_ago): count for days_ago, count in self.special.items()}

    @property
    def zone_info(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A window by the site's wall clock, both ends included, to the second."""

    first: date
    first_second: int
    last: date
    last_second: int

    def seconds_of(self, day: date) -> tuple[int, int]:
        return (
            self.first_second if day == self.first else 0,
            self.last_second if day == self.last else DAY - 1,
        )


class Kept:
    """Values by key, the longest unused forgotten once their rows exceed a bound."""

    def __init__(self, rows: int) -> None:
        self._bound = rows
        self._rows = 0
        self._values: OrderedDict[Any, tuple[int, Any]] = OrderedDict()

    def get(self, key: Any, make: Callable[[], Any], rows: Callable[[Any], int]) -> Any:
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key][1]
        value = make()
        weight = rows(value) + 1
        self._values[key] = weight, value
        self._rows += weight
        while self._rows > self._bound and len(self._values) > 1:
            _, (weight, _) = self._values.popitem(last=False)
            self._rows -= weight
        return value

    def drop(self, fits: Callable[[Any], bool]) -> None:
        for key in [key for key in self._values if fits(key)]:
            weight, _ = self._values.pop(key)
            self._rows -= weight


class SiteRows:
    """The SMS of one site. Safe to ask from several threads."""

    def __init__(self, world: World, site: Site, config: Any, lock: threading.RLock) -> None:
        self._world = world
        self._config = config
        self._lock = lock
        self.site = site
        self.zone = site.zone_info
        self.anchor = (
            date.fromisoformat(config.anchor) if config.anchor else world.clock.today(self.zone)
        )
        self._drawn = Kept(DRAWN_ROWS_KEPT)
        self._rendered = Kept(RENDERED_ROWS_KEPT)
        self._inserted: dict[date, list[Inserted]] = {}
        self._removed: dict[date, set[int]] = {}
        self._replaced: set[date] = set()
        self._counts: dict[Any, int] = {}

    def count(self, day: date) -> int:
        """How many SMS are drawn for a day (late ones included)."""
        if day in self._replaced or day < date.fromisoformat(self._config.history_from):
            return 0
        if (told := self.site.counts.get(day.isoformat())) is not None:
            return told
        if (told := self.site.special.get((self.anchor - day).days)) is not None:
            return told
        noise = self._world.random("calltouch", self.site.site_id, "volume", day).normal(0, 0.13)
        usual = self.site.ordinary * WEEKDAYS[day.weekday()] * MONTHS[day.month - 1]
        return round(usual * float(np.exp(noise)))

    def day(self, day: date) -> Day:
        drawn: Day = self._drawn.get(day, lambda: self._draw(day), len)
        return drawn

    def _draw(self, day: date) -> Day:
        exact = (
            day.isoformat() in self.site.counts
            or (self.anchor - day).days in self.site.special
            or day in self._replaced
        )
        config = self._config
        drawn = draw_day(
            day,
            self.zone,
            self.count(day),
            texts.SETS[self.site.texts],
            Shares(
                config.duplicate_share,
                config.ugly_share,
                0 if exact else config.late_share,
                0 if exact else config.vanishing_share,
            ),
            self.site.population,
            self._world.random("calltouch", self.site.site_id, "rows", day),
        )
        drawn.inserted = self._inserted.setdefault(day, [])
        drawn.removed = self._removed.setdefault(day, set())
        return drawn

    def total(self, bounds: Bounds, at: datetime) -> int:
        """How many SMS an answer at ``at`` counts in the window."""
        with self._lock:
            return sum(self._count(day, bounds, at) for day in self._days(bounds, at))

    def slice(self, bounds: Bounds, at: datetime, start: int, stop: int) -> list[bytes]:
        """JSON of the rows ``start`` to ``stop`` of the window, in its stable order."""
        with self._lock:
            rows: list[bytes] = []
            passed = 0
            for date_of_day in self._days(bounds, at):
                count = self._count(date_of_day, bounds, at)
                low, high = max(0, start - passed), min(count, stop - passed)
                if low < high:
                    day, places = self._visible(date_of_day, bounds, at)
                    rows += self._rows_json(day, places[low:high], at)
                passed += count
                if passed >= stop:
                    break
            return rows

    def all_rows(self, bounds: Bounds, at: datetime) -> Iterator[bytes]:
        """JSON of every row of the window, day by day."""
        for day in each_day(bounds.first, bounds.last):
            with self._lock:
                drawn = self.day(day)
                rows = self._rows_json(drawn, drawn.visible(at, *bounds.seconds_of(day)), at)
            yield from rows

    def insert(self, day: date, raw_rows: Sequence[bytes], second: int, appears: int = 0) -> None:
        """Put rows into a day, before all others. ``appears``: seconds since the day began."""
        with self._lock:
            self.day(day).inserted[:0] = [Inserted(raw, second, appears) for raw in raw_rows]

    def remove(self, bounds: Bounds, at: datetime, count: int, *, last: bool = False) -> None:
        """Take the first (or last) rows that are drawn out of a window, for ever."""
        with self._lock:
            days = list(self._days(bounds, at))
            for date_of_day in reversed(days) if last else days:
                day, places = self._visible(date_of_day, bounds, at)
                drawn = places[places >= 0]
                chosen = drawn[len(drawn) - min(count, len(drawn)) :] if last else drawn[:count]
                day.removed.update(chosen.tolist())
                count -= len(chosen)

    def replace(self, day: date, raw_rows: Sequence[bytes]) -> None:
        """Let a day consist of exactly these rows, whatever they are."""
        with self._lock:
            self._replaced.add(day)
            self._inserted[day] = [Inserted(raw, 0) for raw in raw_rows]
            self._removed[day] = set()
            self._counts.clear()
            self._drawn.drop(lambda key: key == day)
            self._rendered.drop(lambda key: key[0] == day)

    @property
    def changed(self) -> bool:
        return any([*self._inserted.values(), *self._removed.values(), self._replaced])

    def forget(self, *, changes: bool = False) -> None:
        """Draw every day anew, after the configuration changed; ``changes`` undoes those of rows too."""
        with self._lock:
            if changes:
                self._inserted.clear()
                self._removed.clear()
                self._replaced.clear()
            self._counts.clear()
            self._drawn.drop(lambda key: True)
            self._rendered.drop(lambda key: True)

    def _days(self, bounds: Bounds, at: datetime) -> Iterator[date]:
        return each_day(bounds.first, min(bounds.last, at.astimezone(self.zone).date()))

    def _visible(self, date_of_day: date, bounds: Bounds, at: datetime) -> tuple[Day, Any]:
        day = self.day(date_of_day)
        return day, self._dealt(day, day.visible(at, *bounds.seconds_of(date_of_day)))

    def _count(self, day: date, bounds: Bounds, at: datetime) -> int:
        """How many rows a day shows; remembered, so that a page need not look at every day again."""
        changes = len(self._inserted.get(day, ())), len(self._removed.get(day, ()))
        settled = datetime.combine(day, time.max, self.zone) + AT_REST_AFTER
        key = (day, bounds.seconds_of(day), min(at, settled), changes)
        if key not in self._counts:
            if len(self._counts) >= COUNTS_KEPT:
                self._counts.clear()
            self._counts[key] = len(self.day(day).visible(at, *bounds.seconds_of(day)))
        return self._counts[key]

    def _dealt(self, day: Day, places: Any) -> Any:
        """The rows of a day in the order in which pages cut them."""
        if self._config.order == "by_time":
            drawn = places[places >= 0]
            return np.concatenate([places[places < 0], drawn[np.argsort(day.second[drawn])]])
        if generation := self._config.generation:
            site = self.site.site_id
            return self._world.random("calltouch", site, generation, day.date).permutation(places)
        return places

    def _rows_json(self, day: Day, places: Any, at: datetime) -> list[bytes]:
        drawn = places[places >= 0]
        rows = [day.inserted[-1 - place].raw for place in places[places < 0].tolist()]
        statuses = texts.STATUS_JSON_ESCAPED if self._config.escaped else texts.STATUS_JSON
        codes = day.statuses(drawn, at).tolist()
        blocks = {block: self._block(day, block) for block in np.unique(drawn // BLOCK).tolist()}
        for place, code in zip(drawn.tolist(), codes, strict=True):
            heads, tails = blocks[place // BLOCK]
            inside = place % BLOCK
            rows.append(heads[inside] + statuses[code] + tails[inside])
        return rows

    def _block(self, day: Day, block: int) -> tuple[list[bytes], list[bytes]]:
        escaped = self._config.escaped
        made: tuple[list[bytes], list[bytes]] = self._rendered.get(
            (day.date, block, escaped),
            lambda: day.render(block, escaped=escaped),
            lambda lists: len(lists[0]),
        )
        return made
