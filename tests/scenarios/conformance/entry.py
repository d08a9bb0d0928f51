"""What an entry of the suite says of a vendor: how it is played small, and what its tables should then hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from dagster_project.model.feed import VendorClient
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import Account, each_day
from dagster_project.sandbox.world import World

if TYPE_CHECKING:
    from hypothesis import strategies as st

    from tests.scenarios.conformance.rig import Rig

Row = Mapping[str, Any]

NOW: Final = datetime(2024, 5, 15, 9, tzinfo=UTC)
EARLIER: Final = NOW - timedelta(hours=26)
DAYS: Final = list(each_day(date(2024, 5, 11), date(2024, 5, 14)))


@dataclass(frozen=True)
class Played:
    """A feed's vendor in the sandbox.

    ``truth`` says, in columns of the feed's table, what stands at the vendor for an account and days; the
    columns that it names are the ones compared. ``unnoticed`` are the vendor's own faults that no reader
    could notice: an answer that is whole in itself and untrue. They are healed by the next refresh.
    ``hostile`` plays an answer drawn from JSON of every kind, and says what should come of it.
    """

    vendor: str
    truth: Callable[[World, Account, date, date], Iterable[Row]]
    client: Callable[[Any, VendorStore, World], VendorClient]
    hostile: Callable[[Rig, st.DataObject], None] | None = None
    unnoticed: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Entry:
    """A vendor: its configuration in the played world, its feeds by source, and how both are made new.

    ``forget`` drops what the vendor's modules remember for the process, ``restore`` undoes what faults did
    to the vendor's own rows.
    """

    config: Mapping[str, Any]
    feeds: Mapping[str, Played]
    forget: Callable[[], None] = lambda: None
    restore: Callable[[World], None] = lambda world: None
