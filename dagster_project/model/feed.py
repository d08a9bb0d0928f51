"""A feed: one kind of answer of one vendor, and the table that it is loaded into.

Everything that differs from vendor to vendor is said here, by ``vendors/<vendor>/feed.py``; the pipeline
and all above it know feeds alone. What few vendors need is an object of its own, and absent elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any, Final, Generic, Protocol
from zoneinfo import ZoneInfo

from typing_extensions import TypeVar

from dagster_project.config.section import VendorSettings
from dagster_project.config.settings import Settings
from dagster_project.errors import SettingsError
from dagster_project.model.batch import RowEncoder
from dagster_project.model.finding import Finding
from dagster_project.model.privacy import Personal, Reduction
from dagster_project.model.receipt import Receipt
from dagster_project.model.response import ExtractStats, Response, Restart
from dagster_project.model.table import Table
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import Account, Window


class QueryScope(Enum):
    """How much one question to the vendor can cover."""

    RANGE = "any run of days, at a cost by rows"
    DAY = "one day a call"
    HISTORY = "everything there ever was, in one answer"


class VendorClient(Protocol):
    """Speaks one vendor's HTTP. ``extract`` ends normally only where completeness is proved."""

    def extract(self, window: Window, stats: ExtractStats) -> Iterator[Response | Restart]: ...

    def close(self) -> None: ...


S = TypeVar("S", bound=VendorSettings, default=Any)
C = TypeVar("C", bound=VendorClient, default=Any)

RECORDS: Final = "records"
"""The figure that counts records: rows that stand, and those that were rejected."""


@dataclass(frozen=True)
class WholeMonth(Generic[C]):
    """How the vendor answers for many days in one call, to hold the sum of its days against.

    ``figures`` answers with ``RECORDS``, or with sums by column of the feed's table (None: not
    reported). ``doubtful`` are columns of which nobody has documented that days add up: a difference
    warns. ``distinct`` count distinct things and need not add up: whether they do is told, no more.
    ``minute``: past six o'clock, local, when finished months are looked at.
    """

    figures: Callable[[C, Window, ExtractStats], Mapping[str, int | None]]
    minute: int
    doubtful: frozenset[str] = frozenset()
    distinct: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Quota(Generic[S]):
    """API points: what a call costs, how many an account has a day (None: not bounded), which setting says so."""

    points_a_call: int
    daily_points: Callable[[S, Account], int | None]
    setting: str


@dataclass(frozen=True)
class DayRule(Generic[S, C]):
    """Which days the vendor can answer for, where these are not all that have ended.

    ``by_night``: of days that are due those that the vendor can be asked for, by what is known without
    asking it; ``answerable`` asks it, which costs a run ``calls_a_run`` beside those for its days.
    ``settles_at_once`` names receipts of days that can never be read again. Today is loaded too.
    """

    by_night: Callable[[S, VendorStore, date, Collection[date]], Collection[date]]
    answerable: Callable[[C, Account, Collection[date], ExtractStats], Collection[date]]
    settles_at_once: Callable[[Receipt], bool]
    calls_a_run: int = 0


@dataclass(frozen=True)
class CredentialsCheck(Generic[C]):
    """How the doctor finds out whether the vendor lets us in, at no cost in points.

    ``each_account``: the vendor refuses by account, so each is asked; else one stands for all.
    """

    ask: Callable[[C, Account, ExtractStats], object]
    each_account: bool = False


@dataclass(frozen=True)
class SmsMarts:
    """Rows are single SMS in the columns of the marts of ``bi``, which count them by template and recipient.

    ``shown_template`` is what may be shown of a text (None: it was taken out).
    """

    shown_template: Callable[[str], str | None]


@dataclass(frozen=True)
class Feed(Generic[S, C]):
    """One kind of answer of one vendor and the table it is loaded into.

    ``list_accounts`` and ``open_client`` are asked where the vendor has credentials. ``row_encoder`` makes,
    from ``PII_HASH_KEY``, what encodes a response's rows. ``minute``: past two o'clock, local, when the
    nightly run begins.

    ``window_days`` and ``window_rows`` bound what is asked and committed together. ``rows_a_call`` is how
    many rows a call answers with at most (0: a call costs the same whatever it answers); ``count`` asks
    how many rows a window holds, at the price of a call. ``whole_month``: finished months are held against
    the vendor (``pipeline/reconcile.py``). ``personal`` takes people out, where the feed holds any,
    ``reduction`` what of old days is personal. ``inspect`` is what the doctor says of it beside the
    credentials, ``metadata`` what runs say of days that stand, ``notices`` what status does. ``currency``: of
    its amounts.
    """

    settings: type[S]
    source: str
    asset: tuple[str, str]
    raw_asset: tuple[str, str]
    title: str
    table: Table
    query_scope: QueryScope
    minute: int
    list_accounts: Callable[[S], tuple[Account, ...]]
    open_client: Callable[[S, VendorStore], C]
    check: CredentialsCheck[C]
    row_encoder: Callable[[str], RowEncoder]
    window_days: int = 1
    window_rows: int = 200_000
    rows_a_call: int = 0
    quota: Quota[S] | None = None
    count: Callable[[C, Window, ExtractStats], int] | None = None
    day_rule: DayRule[S, C] | None = None
    whole_month: WholeMonth[C] | None = None
    personal: Personal | None = None
    reduction: Reduction | None = None
    sms_marts: SmsMarts | None = None
    currency: Callable[[S], str | None] = field(default=lambda section: None)
    inspect: Callable[[S, VendorStore], Iterator[Finding]] | None = None
    metadata: Callable[[Sequence[Receipt]], dict[str, Any]] = field(default=lambda receipts: {})
    notices: Callable[[Sequence[Receipt]], list[str]] = field(default=lambda receipts: [])

    @property
    def vendor(self) -> str:
        """The vendor's name, as ``bi`` and the settings have it."""
        return self.settings.vendor

    def section(self, settings: Settings) -> S:
        """The vendor's settings.

        Raises:
            SettingsError: it has no credentials.
        """
        section = settings.section(self.settings)
        if section is None:
            missing = settings.missing.get(self.vendor, ())
            raise SettingsError(
                f"no credentials: {', '.join(missing)} not set.",
                source=self.source,
                hint=" ".join(["set them in the environment or in .env.", *settings.unknown]),
            )
        return section

    def accounts(self, settings: Settings) -> tuple[Account, ...]:
        """Whose data is asked for; none where the vendor has no credentials."""
        section = settings.section(self.settings)
        return () if section is None else self.list_accounts(section)

    def client(self, settings: Settings, store: VendorStore) -> C:
        """A client, to be closed by whoever asked for it. Raises SettingsError without credentials."""
        return self.open_client(self.section(settings), store)

    def time_zone(self, settings: Settings) -> ZoneInfo:
        """The source's time zone; where it has no credentials, the default of its setting."""
        section = settings.section(self.settings)
        return section.time_zone if section else self.settings.default_time_zone()

    def settle_days(self, settings: Settings) -> int:
        """How long a day may still change."""
        section = settings.section(self.settings)
        return section.settle_days if section else self.settings.default_settle_days()

    @property
    def points_a_call(self) -> int:
        return self.quota.points_a_call if self.quota else 0

    def daily_calls(self, settings: Settings, account: Account) -> int | None:
        """Calls that fit into the account's points of a day; None: not bounded."""
        section = settings.section(self.settings)
        if self.quota is None or section is None:
            return None
        points = self.quota.daily_points(section, account)
        return None if points is None else points // self.quota.points_a_call

    def night_days(
        self, settings: Settings, store: VendorStore, today: date, days: Collection[date]
    ) -> Collection[date]:
        """Of days that are due those that the vendor can be asked for tonight."""
        if self.day_rule is None:
            return [day for day in days if day < today]
        return self.day_rule.by_night(self.section(settings), store, today, days)

    def settles_at_once(self, receipt: Receipt) -> bool:
        """Whether the receipt's day can never be read again."""
        return self.day_rule is not None and self.day_rule.settles_at_once(receipt)

    @property
    def loads_today(self) -> bool:
        return self.day_rule is not None

    @property
    def calls_a_run(self) -> int:
        """Calls that a run costs beside those for its days."""
        return self.day_rule.calls_a_run if self.day_rule else 0
