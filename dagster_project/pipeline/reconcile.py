"""Reconciliation: compare the sum of a finished month's days with one call for the whole month.

Grain: an account and a calendar month of its time zone. A month is requested once all of its days are loaded,
settled and single days; until then it shows which days it waits for, and costs nothing. The result is stored
(``ops.reconciliation``), and is valid until a day of the month is loaded again.

It has a budget of its own (``WAREHOUSE_RECONCILE_MONTHS`` requests an account and day), and lowest priority:
if the vendor charges points, those that tonight's due days need are left alone. Other months wait for the
next day.

Erased people count, as rows without number and text; so do rejects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

import psycopg

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.errors import WarehouseError
from dagster_project.model.feed import RECORDS, Feed, VendorClient, WholeMonth
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import Account, Window
from dagster_project.pipeline.calls_left import calls_left
from dagster_project.pipeline.due_days import due_days, expect_rows, limits_of
from dagster_project.pipeline.months import Month, State, months_of, severity_of
from dagster_project.pipeline.planner import planned_windows
from dagster_project.warehouse import reconciliations
from dagster_project.warehouse.connection import PATIENCE_SECONDS, Connection, Warehouse
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.reconciliations import Comparison
from dagster_project.warehouse.vendor_store import WarehouseStore

NO_MORE_TODAY: Final = "the day's questions are spent; the next night goes on"


class Reconciler:
    """Reconciles the due months of one feed, within the budget.

    Args:
        report: called with a line for each month that was requested or put off.
    """

    def __init__(
        self,
        feed: Feed,
        settings: Settings,
        warehouse: Warehouse,
        run_id: str | None = None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        assert feed.whole_month is not None
        self.feed, self.settings, self.warehouse = feed, settings, warehouse
        self.whole_month: WholeMonth = feed.whole_month
        self.run_id, self.report = run_id, report

    @cached_property
    def _client(self) -> VendorClient:
        client: VendorClient = self.feed.client(self.settings, WarehouseStore(self.warehouse))
        return client

    def run(self) -> list[Month]:
        """Return all finished months, after comparing the due ones as far as the budget allows."""
        found: list[Month] = []
        try:
            with self.warehouse.connect(
                what="reconcile", autocommit=True, patience=PATIENCE_SECONDS
            ) as connection:
                # Of two processes at once, the second finds the results of the first.
                connection.execute(
                    "SELECT pg_advisory_lock(hashtextextended(%s, 0))",
                    (f"reconcile/{self.feed.source}",),
                )
                accounts = self.feed.accounts(self.settings)
                by_account: dict[str, list[Month]] = defaultdict(list)
                for month in months_of(connection, self.feed, accounts):
                    by_account[month.window.account.label].append(month)
                for account in accounts:
                    months = by_account[account.label]
                    if any(month.state == "due" for month in months):
                        # Its days may have been loaded while the vendor was asked for others.
                        months = months_of(connection, self.feed, [account])
                    found += self._reconcile_account(connection, account, months)
        finally:
            if "_client" in self.__dict__:
                self._client.close()
        return found

    def _reconcile_account(
        self, connection: Connection, account: Account, months: Sequence[Month]
    ) -> Iterator[Month]:
        """Yield the account's months; the first that cannot be requested puts off the others."""
        put_off = ""
        for month in months:
            if month.state != "due":
                yield month
                continue
            put_off = put_off or self._refusal_reason(connection, account)
            if put_off:
                yield replace(month, state="not asked", why=put_off)
                continue
            done = self._compare(connection, month)
            put_off = done.why
            self.report(done.describe())
            yield done
        if put_off:
            self.report(f"account {account.label}: {put_off}")

    def _refusal_reason(self, connection: Connection, account: Account) -> str:
        """Why the vendor may not be asked now; empty: it may be."""
        if reconciliations.count_asked_today(connection, account) >= self.settings.reconcile_months:
            return NO_MORE_TODAY
        left = calls_left(self.feed, self.settings, connection, account)
        if left is None:
            return ""
        due = due_days(connection, self.warehouse, self.feed, self.settings, account)
        limits, rows = limits_of(self.feed), expect_rows(connection, account, due.days)
        windows = planned_windows(rows, limits)
        needed = sum(limits.calls(rows[day] for day in window) for window in windows)
        if left > needed:
            return ""
        points = left * self.feed.points_a_call
        return (
            f"{points} of today's points are left, and the due days come first"
            f" ({needed * self.feed.points_a_call} points); the next night tries again"
        )

    def _compare(self, connection: Connection, month: Month) -> Month:
        """Request a month from the vendor, and store the comparison."""
        stats, window = ExtractStats(), month.window
        compared, here = self._sum_stored(window)
        try:
            vendor = self.whole_month.figures(self._client, window, stats)
            figures = {
                name: (value, here[name])
                for name, value in vendor.items()
                if value is not None and name in here
            }
            compared = replace(compared, outcome="agrees", figures=figures)
            if severity_of(self.feed, compared):
                compared = replace(compared, outcome="differs")
        except WarehouseError as error:
            compared = replace(compared, failure=f"{type(error).__name__}: {error.what}")
        compared = replace(compared, requests=stats.requests, points=stats.points)
        reconciliations.write_comparison(connection, window.account, self.run_id, compared)
        return replace(
            month,
            state=_STATES[compared.outcome],
            why=compared.failure or "",
            compared=compared,
            newest_receipt_id=compared.newest_receipt_id,
            asked=True,
        )

    def _sum_stored(self, window: Window) -> tuple[Comparison, dict[str, int]]:
        """Sum the month in the warehouse, in one snapshot."""
        table, account = self.feed.table, window.account
        columns = [
            column.name
            for column in table.columns
            if column.type == "bigint" and column.name != table.account_column
        ]
        with self.warehouse.connect(what="reconcile", patience=PATIENCE_SECONDS) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            states = load_receipts.day_states(
                connection, account.source, account.label, window.days
            )
            rows, sums = reconciliations.sum_days(connection, table, window, columns)
            rejected, undated = reconciliations.count_rejects(connection, window)
        newest = max(state.receipt_id for state in states.values())
        compared = Comparison(window.first_day, newest, "failed", clock.now(), undated=undated)
        return compared, {**sums, RECORDS: rows + rejected}


_STATES: Final[dict[str, State]] = {"agrees": "agrees", "differs": "differs", "failed": "not asked"}
