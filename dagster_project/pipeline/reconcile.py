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


def months_of(connection: Connection, feed: Feed, settings: Settings) -> list[Month]:
    """All finished months with a loaded day, newest first; no vendor is asked."""
    return [
        month
        for account in feed.accounts(settings)
        for month in months_of_account(connection, feed, account)
    ]


def months_of_account(connection: Connection, feed: Feed, account: Account) -> Iterator[Month]:
    """The same for one account; none if the vendor cannot answer for a whole month."""
    if feed.whole_month is None:
        return
    this_month = clock.today(account.time_zone).replace(day=1)
    rows = connection.execute(
        "SELECT DISTINCT date_trunc('month', day)::date FROM ops.day_state"
        " WHERE source = %s AND account = %s AND day < %s ORDER BY 1 DESC",
        (account.source, account.label, this_month),
    ).fetchall()
    known = reconciliations.latest_comparisons(connection, account.source, [account.label])
    for (first,) in rows:
        window = _whole_month(account, first)
        yield _read_month(connection, feed, window, known.get((account.label, first)))


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


def _read_month(
    connection: Connection, feed: Feed, window: Window, known: Comparison | None
) -> Month:
    account = window.account
    states = load_receipts.day_states(connection, account.source, account.label, window.days)
    newest = max(state.receipt_id for state in states.values())
    if known is not None and known.newest_receipt_id == newest:
        state: State = "differs" if severity_of(feed, known) else "agrees"
        return Month(feed, window, state, compared=known, newest_receipt_id=newest)
    reasons = [
        f"{len(days)} {'day' if len(days) == 1 else 'days'} {what} ({spans_text(days)})"
        for what, days in (
            ("not loaded", [day for day in window.days if day not in states]),
            ("not settled", [day for day, state in states.items() if not state.settled]),
            ("held back", [day for day, state in states.items() if state.held is not None]),
            ("not told singly by the vendor", _days_not_single(connection, feed, window)),
        )
        if days
    ]
    return Month(
        feed,
        window,
        "waits" if reasons else "due",
        "; ".join(reasons),
        compared=known,
        newest_receipt_id=newest,
    )


def _days_not_single(connection: Connection, feed: Feed, window: Window) -> list[date]:
    """The days whose row covers more than the day, such as a rolling week."""
    account = window.account
    receipts = load_receipts.read_receipts(connection, account.source, account.label, window.days)
    return sorted(receipt.day for receipt in receipts if feed.settles_at_once(receipt))


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
                for account in self.feed.accounts(self.settings):
                    months = list(months_of_account(connection, self.feed, account))
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
