"""Load a window in parts, as the limits require: rows of a transaction, size of a response, budget.

Grain: one window, and its parts, which commit one after another, newest first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import date
from functools import partial

from dagster_project.concurrency import run_concurrently, windows_to_keep_busy
from dagster_project.errors import AnswerTooLarge, QuotaSpent, WarehouseError
from dagster_project.model.feed import QueryScope
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import ONE_DAY, Account, Window
from dagster_project.pipeline.calls_left import calls_left
from dagster_project.pipeline.due_days import limits_of
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.load_window import load_window
from dagster_project.pipeline.outcomes import TooManyRows, WindowResult, forget_locals
from dagster_project.warehouse.ledger import load_receipts


def load_in_parts(
    run: FeedRun,
    window: Window,
    wanted: Collection[date] | None = None,
    stats: ExtractStats | None = None,
) -> Iterator[WindowResult]:
    """Load the window; yield each part's result as it commits, the newest days first.

    Errors are in a result's ``problems``; the old rows of those days stay. A window with more rows than one
    transaction should hold is split. If the budget does not allow the whole window, its newest days are
    loaded as far as it does. ``stats`` has the cost of finding out that the window can be requested; it
    counts for the first part.
    """
    todo = [window]
    left: list[Window] = []
    refusal: QuotaSpent | None = None
    while todo:
        part, cost = todo.pop(), stats or ExtractStats()
        stats = None
        result = WindowResult(stats=cost)
        smaller: list[Window] = []
        try:
            result = load_window(run, part, wanted, cost)
        except TooManyRows as many:
            parts = parts_of(part, many.rows, limits_of(run.feed).window_rows)
            smaller = split_window(replace(part, expected_rows=many.rows), parts)
        except AnswerTooLarge as large:
            if run.feed.query_scope is QueryScope.RANGE and len(part.days) > 1:
                todo += reversed(split_window(part, 2))
            else:
                result.problems.append(large)
        except QuotaSpent as spent:
            refusal = refusal or spent
            fitting = _newest_that_fit(run, part, spent.calls_left, cost.vendor_total)
            left += [*todo, *days_before(part, fitting)]
            todo = [fitting] if fitting else []
        except WarehouseError as problem:
            forget_locals(problem)
            result.problems.append(problem)
        yield result
        if smaller and not _has_budget(run, window.account):
            jobs = [partial(load_in_parts, run, each, wanted) for each in smaller]
            yield from run_concurrently(jobs, most=windows_to_keep_busy(cost.latency))
        else:
            todo += reversed(smaller)
    if refusal is not None:
        first, last = min(w.first_day for w in left), max(w.last_day for w in left)
        refusal.window = str(Window(first, last, window.account))
        refusal.args = (str(refusal),)
        yield WindowResult(problems=[refusal], left=[day for w in left for day in w.days])


def parts_of(window: Window, rows: int, window_rows: int) -> int:
    """In how many parts no part has more rows than a window that is planned, if days are alike.

    The same days are then planned in the same windows next time.
    """
    days = len(window.days)
    return -(-days // max(1, window_rows * days // rows))


def split_window(window: Window, parts: int) -> list[Window]:
    """Split the window into at most so many parts of about equal length, newest first.

    Of rows, each is expected to have its days' share.
    """
    days = window.days
    length = max(1, -(-len(days) // parts))
    starts = range(0, len(days), length)
    runs = [days[at : at + length] for at in reversed(starts)]
    return [
        Window(run[0], run[-1], window.account, window.expected_rows * len(run) // len(days))
        for run in runs
    ]


def days_before(window: Window, newest: Window | None) -> list[Window]:
    """The rest of a window without its newest days."""
    if newest is None:
        return [window]
    return [Window(window.first_day, newest.first_day - ONE_DAY, window.account)]


def _has_budget(run: FeedRun, account: Account) -> bool:
    """Whether the account has a budget, so that windows must be loaded one after another."""
    with run.connections.reading() as connection:
        return calls_left(run.feed, run.settings, connection, account) is not None


def _newest_that_fit(run: FeedRun, window: Window, calls: int, total: int | None) -> Window | None:
    """The newest days of a refused window for which so many calls should suffice.

    If the vendor's total is known, the days are assumed to share it evenly; else to have their current rows.
    """
    days, rows_of_call = window.days, run.feed.rows_a_call
    if calls < 1 or len(days) == 1 or not rows_of_call:
        return None
    with run.connections.reading() as connection:
        rows = load_receipts.rows_of_days(connection, window)
    even = None if total is None else total / len(days)
    rows_left, fitting = float(calls * rows_of_call), 0
    for day in reversed(days[1:]):
        rows_left -= rows.get(day, 0) if even is None else even
        if rows_left < 0:
            break
        fitting += 1
    return Window(days[-fitting], days[-1], window.account) if fitting else None
