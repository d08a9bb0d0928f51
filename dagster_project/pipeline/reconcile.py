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
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Final, Literal

import psycopg

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.errors import WarehouseError
from dagster_project.model.feed import RECORDS, Feed, VendorClient, WholeMonth
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import ONE_DAY, Account, Window
from dagster_project.pipeline.calls_left import calls_left
from dagster_project.pipeline.due_days import due_days, expect_rows, limits_of
from dagster_project.pipeline.planner import planned_windows
from dagster_project.text.remedies import load_commands, spans_text
from dagster_project.warehouse import reconciliations
from dagster_project.warehouse.connection import PATIENCE_SECONDS, Connection, Warehouse
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.reconciliations import Comparison
from dagster_project.warehouse.vendor_store import WarehouseStore

State = Literal["agrees", "differs", "waits", "due", "not asked"]
Severity = Literal["error", "warning"]
NO_MORE_TODAY: Final = "the day's questions are spent; the next night goes on"


@dataclass(frozen=True)
class Month:
    """The state of one month of an account. ``why``: what it waits for, or why it was not requested.
    ``asked``: it was requested in this run; ``compared`` has the cost."""

    feed: Feed
    window: Window
    state: State
    why: str = ""
    compared: Comparison | None = None
    newest_receipt_id: int = 0
    asked: bool = False

    @property
    def name(self) -> str:
        return f"{self.window.first_day:%Y-%m}"

    @property
    def differing(self) -> dict[str, tuple[int, int]]:
        """The figures that differ, including those that need not add up."""
        return differing(self.compared) if self.compared else {}

    @property
    def need_not_add_up(self) -> frozenset[str]:
        """The figures that need not add up; a difference is only reported."""
        assert self.feed.whole_month is not None
        return self.feed.whole_month.distinct

    @property
    def severity(self) -> Severity | None:
        return severity_of(self.feed, self.compared) if self.compared else None

    @property
    def hint(self) -> str:
        """The command that loads the month's days again."""
        account = self.window.account
        return load_commands(account.source, account.label, self.window.days)[0]

    def describe(self) -> str:
        """Describe the month in one sentence, for logs and alarms."""
        begins = f"{self.name} of account {self.window.account.label}"
        if self.state in ("agrees", "differs"):
            figures = ", ".join(
                f"{name} {vendor} at the vendor and {here} here"
                for name, (vendor, here) in self.differing.items()
                if name not in self.need_not_add_up
            )
            return f"{begins} {self.state}{f': {figures}' if figures else ''}"
        return f"{begins} {self.state}: {self.why}" if self.why else f"{begins} is due"


def differing(compared: Comparison) -> dict[str, tuple[int, int]]:
    """The figures whose days do not add up to the month."""
    return {
        name: (vendor, here)
        for name, (vendor, here) in compared.figures.items()
        if not 0 <= vendor - here <= (compared.undated if name == RECORDS else 0)
    }


def severity_of(feed: Feed, compared: Comparison) -> Severity | None:
    """The severity of the worst difference; None: every figure that should add up does."""
    assert feed.whole_month is not None
    bad = differing(compared).keys() - feed.whole_month.distinct
    if not bad:
        return None
    return "warning" if bad <= feed.whole_month.doubtful else "error"


def months_of(connection: Connection, feed: Feed, accounts: Sequence[Account]) -> list[Month]:
    """Every finished month with a loaded day, account by account, newest first; no vendor is asked.

    None if the vendor cannot answer for a whole month. As many queries for a thousand accounts as for one.
    """
    if feed.whole_month is None:
        return []
    labels = {account.label: account for account in accounts}
    ended = {one.label: clock.today(one.time_zone).replace(day=1) for one in accounts}
    loaded = load_receipts.loaded_months(connection, feed.source, ended)
    known = reconciliations.latest_comparisons(connection, feed.source, list(labels))
    current = {
        (month.account, month.first_day): compared
        for month in loaded
        if (compared := known.get((month.account, month.first_day))) is not None
        and compared.newest_receipt_id == month.newest_receipt_id
    }
    not_current = [key for m in loaded if (key := (m.account, m.first_day)) not in current]
    not_single = _days_not_single(connection, feed, not_current)
    by_account: dict[str, list[Month]] = {label: [] for label in labels}
    for month in loaded:
        key = month.account, month.first_day
        window = _whole_month(labels[month.account], month.first_day)
        by_account[month.account].append(
            _compared_month(feed, window, current[key])
            if key in current
            else _open_month(feed, window, month, not_single.get(key, []), known.get(key))
        )
    return [month for months in by_account.values() for month in months]


def differing_months(
    connection: Connection, feed: Feed, accounts: Sequence[Account]
) -> dict[str, list[Month]]:
    """Months that differ from the vendor's, newest first, by account; asks nobody."""
    if feed.whole_month is None:
        return {}
    labels = {account.label: account for account in accounts}
    known = {
        key: compared
        for key, compared in reconciliations.latest_comparisons(
            connection, feed.source, list(labels)
        ).items()
        if severity_of(feed, compared)
    }
    newest = load_receipts.newest_of_months(connection, feed.source, list(known))
    found: dict[str, list[Month]] = defaultdict(list)
    for (label, first), compared in sorted(known.items(), reverse=True):
        receipt = newest.get((label, first))
        if receipt == compared.newest_receipt_id:  # no day of it was loaded since
            window = _whole_month(labels[label], first)
            found[label].append(Month(feed, window, "differs", "", compared, receipt))
    return found


def _whole_month(account: Account, first: date) -> Window:
    return Window(first, (first + 31 * ONE_DAY).replace(day=1) - ONE_DAY, account)


def _compared_month(feed: Feed, window: Window, compared: Comparison) -> Month:
    """A month of which no day was loaded since it was compared."""
    state: State = "differs" if severity_of(feed, compared) else "agrees"
    return Month(
        feed, window, state, compared=compared, newest_receipt_id=compared.newest_receipt_id
    )


def _open_month(
    feed: Feed,
    window: Window,
    loaded: load_receipts.LoadedMonth,
    not_single: Sequence[date],
    known: Comparison | None,
) -> Month:
    """A month that is to be compared, or waits for some of its days."""
    missing = () if loaded.is_whole else sorted({*window.days} - {*loaded.days})
    reasons = [
        f"{len(days)} {'day' if len(days) == 1 else 'days'} {what} ({spans_text(days)})"
        for what, days in (
            ("not loaded", missing),
            ("not settled", loaded.unsettled),
            ("held back", loaded.held),
            ("not told singly by the vendor", not_single),
        )
        if days
    ]
    return Month(
        feed,
        window,
        "waits" if reasons else "due",
        "; ".join(reasons),
        compared=known,
        newest_receipt_id=loaded.newest_receipt_id,
    )


def _days_not_single(
    connection: Connection, feed: Feed, months: Sequence[tuple[str, date]]
) -> dict[tuple[str, date], list[date]]:
    """By account and month, the days whose row covers more than the day, such as a rolling week."""
    found: dict[tuple[str, date], list[date]] = defaultdict(list)
    if feed.day_rule is None or not months:
        return found
    for receipt in load_receipts.read_receipts_of_months(connection, feed.source, months):
        if feed.settles_at_once(receipt):
            found[receipt.account, receipt.day.replace(day=1)].append(receipt.day)
    return found


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
