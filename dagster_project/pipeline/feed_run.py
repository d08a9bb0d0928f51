"""One run of a feed: the settings and resources that its windows share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date
from functools import partial

from dagster_project.concurrency import BOUNDS, Lending, permits
from dagster_project.config.settings import Settings
from dagster_project.errors import WarehouseError
from dagster_project.model.feed import Feed, VendorClient
from dagster_project.model.receipt import Receipt
from dagster_project.model.window import Account
from dagster_project.pipeline.lending import ConnectionPairs
from dagster_project.pipeline.outcomes import Stopped
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.load.holds import RejectGuard, ShrinkGuard
from dagster_project.warehouse.load.partitions import PartitionManager, refresh_statistics
from dagster_project.warehouse.vendor_store import WarehouseStore

AfterRows = Callable[[Connection, Account, list[Receipt]], None]
"""Called after rows were written, in their transaction."""


class FeedRun:
    """The settings and open resources of one run; safe to use from several threads.

    ``shrink_guard`` and ``reject_guard`` hold days; None: what they would hold is accepted.
    """

    def __init__(
        self,
        feed: Feed,
        settings: Settings,
        warehouse: Warehouse,
        pii_key: str,
        *,
        run_id: str | None = None,
        accept_shrink: bool = False,
        accept_rejects: bool = False,
        after_rows: AfterRows = lambda connection, account, receipts: None,
    ) -> None:
        self.feed, self.settings, self.warehouse = feed, settings, warehouse
        self.pii_key, self.run_id, self.after_rows = pii_key, run_id, after_rows
        self.shrink_guard = (
            None
            if accept_shrink
            else ShrinkGuard(settings.hold_from_rows, settings.hold_below_share)
        )
        self.reject_guard = (
            None
            if accept_rejects
            else RejectGuard(settings.rejects_above_records, settings.rejects_above_share)
        )
        self.connections = ConnectionPairs(warehouse)
        self.encoders = Lending(partial(feed.row_encoder, pii_key), BOUNDS.encoders)
        self.months = PartitionManager(warehouse)
        self.window_permits = permits(BOUNDS.windows)
        self._stopped = threading.Event()
        self._client: VendorClient | None = None
        self._client_lock = threading.Lock()
        self._grown_days: set[date] = set()
        self._finished: set[str] = set()

    def __enter__(self) -> FeedRun:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._client is not None:
            self._client.close()
        self.refresh_statistics()
        self.months.close()
        self.connections.close()

    @property
    def client(self) -> VendorClient:
        """The vendor's client, created on first use: a replay never creates one."""
        with self._client_lock:
            if self._client is None:
                store = WarehouseStore(self.warehouse, self.connections.reading)
                self._client = self.feed.client(self.settings, store)
            return self._client

    def stop(self) -> None:
        """Stop the run: windows under way end after their next response, and no others begin."""
        self._stopped.set()

    def raise_if_stopped(self) -> None:
        if self._stopped.is_set():
            raise Stopped

    @property
    def finished(self) -> frozenset[str]:
        """Accounts of which this run asks for nothing more."""
        return frozenset(self._finished)

    def note_finished(self, account: Account) -> None:
        self._finished.add(account.label)

    def note_grown_days(self, days: Iterable[date]) -> None:
        """Remember days with new rows for ``refresh_statistics``."""
        self._grown_days.update(days)

    def refresh_statistics(self) -> None:
        """Refresh the query planner's statistics of months that grew, once a run.

        If that fails, autovacuum does it later; the rows are committed.
        """
        days, self._grown_days = sorted(self._grown_days), set()
        if days:
            with suppress(WarehouseError), self.connections.reading() as connection:
                refresh_statistics(connection, self.feed.table, days)
