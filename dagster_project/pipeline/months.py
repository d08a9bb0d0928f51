"""Finished months of accounts, and how the sum of their days stands against the vendor's figures for them.

Grain: an account and a calendar month of its time zone. A month is requested once all of its days are loaded,
settled and single days; until then it shows which days it waits for, and costs nothing. A comparison
(``reconcile.py``) is valid until a day of the month is loaded again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from dagster_project import clock
from dagster_project.model.feed import RECORDS, Feed
from dagster_project.model.window import ONE_DAY, Account, Window
from dagster_project.text.remedies import load_commands, spans_text
from dagster_project.warehouse import reconciliations
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.reconciliations import Comparison

State = Literal["agrees", "differs", "waits", "due", "not asked"]
Severity = Literal["error", "warning"]


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
