"""A feed: one kind of data of one vendor, and the table that it is loaded into.

A ``Feed`` holds everything that differs between vendors; ``vendors/<vendor>/feed.py`` fills it in. The
pipeline and the rooms above it know only feeds. Features that few vendors have are optional objects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol
from zoneinfo import ZoneInfo

from typing_extensions import TypeVar

from dagster_project.config.section import VendorSettings
from dagster_project.config.settings import Settings
from dagster_project.errors import SettingsError
from dagster_project.model.finding import Finding
from dagster_project.model.receipt import Receipt
from dagster_project.model.response import ExtractStats, Response, Restart
from dagster_project.model.table import Table
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import Account, Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dagster_project.model.batch import RowEncoder
    from dagster_project.model.privacy import Personal, Reduction


class QueryScope(Enum):
    """How much one request to the vendor can cover."""

    RANGE = "any range of days, at a cost by rows"
    DAY = "one day a call"
    HISTORY = "the whole history, in one answer"


class VendorClient(Protocol):
    """One vendor's HTTP client. ``extract`` ends normally only if the window is proved complete."""

    def extract(self, window: Window, stats: ExtractStats) -> Iterator[Response | Restart]: ...

    def close(self) -> None: ...


S = TypeVar("S", bound=VendorSettings, default=Any)
C = TypeVar("C", bound=VendorClient, default=Any)

HashRows = Callable[[Response], "NDArray[np.uint64] | None"]
"""Hashes each row of a response, as it is written; None: the rows cannot be told apart."""

RECORDS: Final = "records"
"""The figure that counts records: loaded rows and rejects."""


@dataclass(frozen=True)
class WholeMonth(Generic[C]):
    """How to ask the vendor for a whole month in one call, to compare with the sum of its days.

    ``figures`` returns ``RECORDS``, or sums by column of the feed's table (None: not reported).
    ``doubtful`` columns are not documented to add up: a difference is a warning. ``distinct`` columns
    count distinct things and need not add up: a difference is only reported. ``minute``: when finished
    months are reconciled, in minutes past six o'clock, local time.
    """

    figures: Callable[[C, Window, ExtractStats], Mapping[str, int | None]]
    minute: int
    doubtful: frozenset[str] = frozenset()
    distinct: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Quota(Generic[S]):
    """API points: the cost of a call, an account's points a day (None: no limit), and the setting of that limit."""

    points_a_call: int
    daily_points: Callable[[S, Account], int | None]
    setting: str


@dataclass(frozen=True)
class DayRule(Generic[S, C]):
    """Which days the vendor can answer for, if not every day that has ended. Today is loaded too.

    ``by_night`` selects, among the due days, those that can be requested, without asking the vendor.
    ``answerable`` asks the vendor, which costs a run ``calls_a_run`` extra calls. ``settles_at_once``
    tells whether a receipt's day can never be read again.
    """

    by_night: Callable[[S, VendorStore, date, Collection[date]], Collection[date]]
    answerable: Callable[[C, Account, Collection[date], ExtractStats], Collection[date]]
    settles_at_once: Callable[[Receipt], bool]
    calls_a_run: int = 0


@dataclass(frozen=True)
class CredentialsCheck(Generic[C]):
    """How ``warehouse doctor`` checks the credentials, at no cost in points.

    ``each_account``: check every account, since the vendor grants access by account; else one is enough.
    """

    ask: Callable[[C, Account, ExtractStats], object]
    each_account: bool = False


@dataclass(frozen=True)
class Feed(Generic[S, C]):
    """One kind of data of one vendor, and the table that it is loaded into.

    ``list_accounts`` and ``open_client`` are called only if the vendor has credentials. ``row_encoder``
    makes a row encoder from ``PII_HASH_KEY``. ``hash_rows``: where the same rows may come in another order.
    ``minute``: when the nightly run begins, in minutes past two o'clock, local time.

    ``window_days`` and ``window_rows`` limit what is requested and committed together. ``rows_a_call`` is
    the most rows that one call returns (0: a call costs the same however many it returns); ``count`` asks
    how many rows a window has, for one call. ``whole_month``: finished months are compared with the vendor
    (``pipeline/reconcile.py``). ``make_personal`` makes what erases people, ``make_reduction`` what removes
    personal data of old days. ``sms_mask``, of a feed whose rows are single SMS, which the marts of ``bi`` count
    by template and recipient, returns the part of a text that may be shown (None: it was erased or reduced).
    ``inspect`` yields further findings for the doctor; ``metadata`` describes loaded days for runs,
    ``notices`` for status. ``currency``: the currency of its amounts.
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
    hash_rows: HashRows | None = None
    window_days: int = 1
    window_rows: int = 200_000
    rows_a_call: int = 0
    quota: Quota[S] | None = None
    count: Callable[[C, Window, ExtractStats], int] | None = None
    day_rule: DayRule[S, C] | None = None
    whole_month: WholeMonth[C] | None = None
    make_personal: Callable[[], Personal] | None = None
    make_reduction: Callable[[], Reduction] | None = None
    sms_mask: Callable[[str], str | None] | None = None
    currency: Callable[[S], str | None] = field(default=lambda section: None)
    inspect: Callable[[S, VendorStore], Iterator[Finding]] | None = None
    metadata: Callable[[Sequence[Receipt]], dict[str, Any]] = field(default=lambda receipts: {})
    notices: Callable[[Sequence[Receipt]], list[str]] = field(default=lambda receipts: [])

    @property
    def vendor(self) -> str:
        """The vendor's name, as used in ``bi`` and in the settings."""
        return self.settings.vendor

    @property
    def personal(self) -> Personal | None:
        """What erases people from its rows and responses, if it holds people."""
        return self.make_personal() if self.make_personal else None

    @property
    def reduction(self) -> Reduction | None:
        """What removes personal data of old days, if they hold any."""
        return self.make_reduction() if self.make_reduction else None

    def section(self, settings: Settings) -> S:
        """The vendor's settings.

        Raises:
            SettingsError: the vendor has no credentials.
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
        """The configured accounts; none if the vendor has no credentials."""
        section = settings.section(self.settings)
        return () if section is None else self.list_accounts(section)

    def chosen_accounts(self, settings: Settings, labels: Collection[str]) -> list[Account]:
        """The configured accounts of these labels; without labels all of them."""
        return [one for one in self.accounts(settings) if not labels or one.label in labels]

    def client(self, settings: Settings, store: VendorStore) -> C:
        """A new client, to be closed by the caller. Raises SettingsError without credentials."""
        return self.open_client(self.section(settings), store)

    def time_zone(self, settings: Settings) -> ZoneInfo:
        """The source's time zone; without credentials, the default of its setting."""
        section = settings.section(self.settings)
        return section.time_zone if section else self.settings.default_time_zone()

    def settle_days(self, settings: Settings) -> int:
        """For how many days a day may still change."""
        section = settings.section(self.settings)
        return section.settle_days if section else self.settings.default_settle_days()

    @property
    def points_a_call(self) -> int:
        return self.quota.points_a_call if self.quota else 0

    def daily_calls(self, settings: Settings, account: Account) -> int | None:
        """How many calls the account's points of a day allow; None: no limit."""
        section = settings.section(self.settings)
        if self.quota is None or section is None:
            return None
        points = self.quota.daily_points(section, account)
        return None if points is None else points // self.quota.points_a_call

    def night_days(
        self, settings: Settings, store: VendorStore, today: date, days: Collection[date]
    ) -> Collection[date]:
        """Those of the due days that can be requested tonight."""
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
        """Extra calls that a run costs, besides those for its days."""
        return self.day_rule.calls_a_run if self.day_rule else 0
