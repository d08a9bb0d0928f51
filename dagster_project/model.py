"""The nouns that vendors, the warehouse and Dagster share: account, window, answer, batch, table.

A *day* is always a calendar day of the account's own time zone. A *window* is a run of whole
days; its bounds are instants, so a day may last 23, 24 or 25 hours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Account:
    """Whose data a vendor answers with. ``label`` is what the warehouse stores: no user name, no secret."""

    source: str
    label: str
    time_zone: ZoneInfo


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Whole local days of one account, ``first_day`` to ``last_day``, both included."""

    first_day: date
    last_day: date
    account: Account = field(compare=False)

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
    """The first instant of a local day in UTC, also where a clock change skips midnight."""
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


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer as received. ``request`` names method, path and parameters, never a credential.

    ``sequence`` orders the answers of a window (the page number, from 1). ``decoded`` spares
    ``rows`` a second parse where the client had to look inside; it is not stored.
    """

    sequence: int
    request: Mapping[str, Any]
    asked_at: datetime
    received_at: datetime
    status: int
    content_type: str
    body: bytes = field(repr=False)
    decoded: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Restart:
    """A client found its pages untrue to each other: forget what this window has yielded so far."""

    reason: str


@dataclass(slots=True)
class Tally:
    """What a window cost and what the vendor said of it; filled by the client while it extracts."""

    requests: int = 0
    points: int = 0
    pages: int = 0
    vendor_total: int | None = None
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that cannot be loaded: kept with its reason and its original.

    ``came`` says what came instead of what was expected, by form alone: no character of a value.
    """

    reason: str
    original: str
    day: date | None = None
    came: str | None = field(default=None, compare=False)


@dataclass(slots=True)
class Batch:
    """Rows of one answer, encoded for binary COPY; arrays run in parallel.

    ``days`` counts days since 2000-01-01 (Postgres' date), ``keys`` are 16 bytes a row, ``records``
    the encoded fields of the table's ``columns``, ``hashes`` a 64-bit hash of each record,
    ``observed`` whether the row has reached the state that the table's ``observed_column`` dates.
    ``nulls`` and ``absent`` count, by the vendor's field name, the batch's rows whose value is null and
    those that lack the key. ``elsewhere`` are keys of records that lie outside the window: the vendor
    has them still.
    """

    days: NDArray[np.int32]
    keys: bytes
    records: list[bytes]
    hashes: NDArray[np.uint64]
    observed: list[bool] | None = None
    received: int = 0
    rejects: list[Reject] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    nulls: Counter[str] = field(default_factory=Counter)
    absent: Counter[str] = field(default_factory=Counter)
    elsewhere: bytes = b""

    def __len__(self) -> int:
        return len(self.records)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that rows carry: its name and its Postgres type (``text``, ``bigint``, ``json`` …)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Table:
    """A warehouse table as the loader sees it.

    ``columns`` are what ``Batch.records`` hold, in order, beginning with day and account column. The
    loader adds ``content_hash``, ``occurrence`` (where ``has_occurrence``), ``first_loaded_at``,
    ``changed_at`` and ``observed_column``, which dates when a row was first seen with
    ``observed_when`` true. ``key_sql`` computes a row's 16-byte key as uuid. Where
    ``identity_has_day`` is false, a key that turns up on another day is the same row, moved.
    ``fields`` are the vendor's fields whose disappearance is a change of shape, each with the column
    that holds its value. ``compared`` are the columns by which a held answer is shown beside what
    stands: texts by how often each occurs, numbers by their sum.
    """

    name: str
    day_column: str
    account_column: str
    columns: Sequence[Column]
    key_columns: Sequence[str]
    key_sql: str
    has_occurrence: bool = False
    identity_has_day: bool = True
    observed_column: str | None = None
    observed_when: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    compared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RangeProof:
    """Whether a vendor's server was seen to honour a date range whose parameters it does not document.

    ``state``: ``honoured`` or ``ignored``, both conclusive, or ``unproven``. ``account`` is the one
    that was asked; its proof serves every account of the same ``server`` and ``params`` (the names,
    separated by a comma). ``evidence`` holds the figures that were compared, as JSON would.
    """

    source: str
    server: str
    params: str
    state: Literal["honoured", "ignored", "unproven"]
    account: str
    asked_at: datetime
    reason: str
    evidence: Mapping[str, Any]

    @property
    def conclusive(self) -> bool:
        return self.state != "unproven"

    def summary(self) -> dict[str, Any]:
        """For metadata, notes and the doctor: all but the figures."""
        return {
            "state": self.state,
            "account": self.account,
            "asked_at": self.asked_at.isoformat(),
            "server": self.server,
            "params": self.params,
            "reason": self.reason,
        }


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
