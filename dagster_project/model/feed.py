"""A feed: one kind of answer of one vendor, and the table that it is loaded into.

Everything that differs from vendor to vendor is a field here; the walk (``pipeline/load_window.py``) and all above it
know feeds alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol
from zoneinfo import ZoneInfo

import psycopg

from dagster_project.config.settings import Settings
from dagster_project.model.batch import Batch
from dagster_project.model.privacy import Personal, Reduction
from dagster_project.model.receipt import Receipt
from dagster_project.model.response import ExtractStats, Response, Restart
from dagster_project.model.table import Table
from dagster_project.model.window import Account, Window

if TYPE_CHECKING:
    from dagster_project.warehouse.connection import Warehouse

Connection = psycopg.Connection[Any]


class QueryScope(Enum):
    """How much one question to the vendor can cover."""

    RANGE = "any run of days, at a cost by rows"
    DAY = "one day a call"
    HISTORY = "everything there ever was, in one answer"


class VendorClient(Protocol):
    """Speaks one vendor's HTTP. ``extract`` ends normally only where completeness is proved."""

    def extract(self, window: Window, stats: ExtractStats) -> Iterator[Response | Restart]: ...

    def close(self) -> None: ...


RECORDS: Final = "records"
"""The figure that counts records: rows that stand, and those that were rejected."""


@dataclass(frozen=True)
class WholeMonth:
    """How the vendor answers for many days in one call, to hold the sum of its days against.

    ``figures`` answers with ``RECORDS``, or with sums by column of the feed's table (None: not
    reported). ``doubtful`` are columns of which nobody has documented that days add up: a difference
    warns. ``distinct`` count distinct things and need not add up: whether they do is told, no more.
    """

    figures: Callable[[VendorClient, Window, ExtractStats], Mapping[str, int | None]]
    doubtful: frozenset[str] = frozenset()
    distinct: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Feed:
    """One kind of answer of one vendor and the table it is loaded into.

    ``accounts`` is empty where the source has no credentials. ``to_batch`` is pure; its last argument
    is what ``row_context`` made.

    ``settle_days`` is how long a day may still change; ``settles_at_once`` names receipts of days that
    can never be read again. ``window_days`` and ``window_rows`` bound what is asked and committed
    together. ``rows_a_call`` is how many rows a call answers with at most (0: a call costs the same
    whatever it answers), ``points_a_call`` what it costs, ``calls_a_run`` how many a run costs beside
    those for its days, ``daily_calls`` how many fit into an
    account's day and ``calls_left`` into what is left of it (None: not bounded); ``count`` asks how many
    rows a window holds, at the price of a call. ``night_days``: of days that are due, those that
    the vendor can be asked for, by what is known without asking it; ``answerable`` asks it.
    ``whole_month``: finished months are held against the vendor (``pipeline/reconcile.py``). ``personal``
    takes people out, where the feed holds any, ``reduction`` what of old days is personal.
    """

    source: str
    asset: tuple[str, str]
    raw_asset: tuple[str, str]
    title: str
    table: Table
    reach: QueryScope
    time_zone: Callable[[Settings], ZoneInfo]
    accounts: Callable[[Settings], tuple[Account, ...]]
    client: Callable[[Settings, Warehouse], VendorClient]
    row_context: Callable[[Settings, str], Any]
    to_batch: Callable[[Response, Window, Any], Batch]
    settle_days: Callable[[Settings], int]
    window_days: int = 1
    window_rows: int = 200_000
    rows_a_call: int = 0
    points_a_call: int = 0
    calls_a_run: int = 0
    daily_calls: Callable[[Settings, Account], int | None] = field(
        default=lambda settings, account: None
    )
    calls_left: Callable[[Settings, Connection, Account], int | None] = field(
        default=lambda settings, connection, account: None
    )
    count: Callable[[VendorClient, Window, ExtractStats], int] | None = None
    night_days: Callable[[Settings, Warehouse, date, Collection[date]], Collection[date]] = field(
        default=lambda settings, warehouse, today, days: [day for day in days if day < today]
    )
    answerable: (
        Callable[[VendorClient, Account, Collection[date], ExtractStats], Collection[date]] | None
    ) = None
    settles_at_once: Callable[[Receipt], bool] = field(default=lambda receipt: False)
    loads_today: bool = False
    whole_month: WholeMonth | None = None
    personal: Personal | None = None
    reduction: Reduction | None = None
    metadata: Callable[[Sequence[Receipt]], dict[str, Any]] = field(default=lambda receipts: {})
