"""Accounts, windows of whole local days, and conversions between days and instants.

A *day* is a calendar day of the account's time zone, so it may last 23, 24 or 25 hours.
A *window* is a range of whole days of one account.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Account:
    """An account at a vendor. ``label`` is what the warehouse stores: no user name, no secret."""

    source: str
    label: str
    time_zone: ZoneInfo


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Whole local days of one account, ``first_day`` to ``last_day``, both included.

    ``expected_rows``: about how many it should have; 0: nobody knows.
    """

    first_day: date
    last_day: date
    account: Account = field(compare=False)
    expected_rows: int = field(default=0, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.last_day < self.first_day:
            raise ValueError(f"a window ends before it begins: {self}")

    def __str__(self) -> str:
        if self.first_day == self.last_day:
            return self.first_day.isoformat()
        return f"{self.first_day}..{self.last_day}"

    @property
    def days(self) -> list[date]:
        count = (self.last_day - self.first_day).days + 1
        return [self.first_day + timedelta(days=n) for n in range(count)]

    @property
    def starts_at(self) -> datetime:
        """The first instant of the window, UTC."""
        return midnight(self.first_day, self.account.time_zone)

    @property
    def ends_before(self) -> datetime:
        """The first instant after the window, UTC."""
        return midnight(self.last_day + ONE_DAY, self.account.time_zone)

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first_day <= day <= self.last_day


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC, even if a clock change skips midnight."""
    wall = datetime.combine(day, time.min)
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    return _first_instant_on_or_after(day, zone, near=instant)


def _first_instant_on_or_after(day: date, zone: ZoneInfo, near: datetime) -> datetime:
    low = int((near - timedelta(hours=36)).timestamp())
    high = int((near + timedelta(hours=36)).timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).date() < day:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


POSTGRES_EPOCH = date(2000, 1, 1)


def day_number(day: date) -> int:
    """Days since 2000-01-01, as Postgres stores a date."""
    return (day - POSTGRES_EPOCH).days


def day_of(number: int) -> date:
    return POSTGRES_EPOCH + timedelta(days=int(number))


def each_day(first: date, last: date) -> Iterator[date]:
    day = first
    while day <= last:
        yield day
        day += ONE_DAY
