"""Load one account's days window by window: choose the next window, and decide when to stop."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from datetime import date
from functools import partial

from dagster_project import clock
from dagster_project.concurrency import BOUNDS, Job, WindowConcurrency, run_concurrently
from dagster_project.errors import (
    AccessDenied,
    CredentialsRefused,
    RequestRefused,
    TryLater,
    WarehouseError,
)
from dagster_project.model.feed import QueryScope
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import Account, Window
from dagster_project.pipeline.calls_left import calls_left
from dagster_project.pipeline.due_days import expect_rows, limits_of
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.load_days import load_days
from dagster_project.pipeline.load_window import extract_window
from dagster_project.pipeline.outcomes import WindowResult, no_points_error, vendor_down_error
from dagster_project.pipeline.planner import Expected, next_window, planned_windows
from dagster_project.pipeline.split import load_in_parts

HOPELESS = (CredentialsRefused, AccessDenied, RequestRefused)
"""After one of these errors the account's other windows would fail too, so they are not requested."""
MAX_FAILURES_IN_A_ROW = 3
"""After so many failed windows the vendor (or the database) is considered down."""


def refresh_account(
    run: FeedRun, account: Account, days: Collection[date], *, is_due_only: bool, newest_first: bool
) -> Iterator[WindowResult]:
    """Request these days of an account from the vendor and load them.

    ``is_due_only``: request only those of the days that the vendor can answer for tonight.
    """
    stats = ExtractStats()
    if is_due_only and run.feed.day_rule is not None:
        try:
            days = run.feed.day_rule.answerable(run.client, account, days, stats)
        except WarehouseError as problem:
            yield WindowResult(problems=[problem.add_context(account=account.label)], stats=stats)
            return
        if not days:
            yield WindowResult(stats=stats)
    if run.feed.query_scope is QueryScope.HISTORY:
        for window in windows_of(run, account, days):
            yield from load_in_parts(run, window, days, stats)
        return
    yield from _load_in_turn(WindowQueue(run, account, days, newest_first), stats)


def extract_account(
    run: FeedRun, account: Account, days: Collection[date]
) -> Iterator[WindowResult]:
    """Request these days of an account from the vendor, and only store the responses."""
    for window in windows_of(run, account, days):
        yield extract_window(run, window)


def windows_of(run: FeedRun, account: Account, days: Collection[date]) -> list[Window]:
    """The windows to request: by the expected rows, at the lowest cost; or one for the whole history."""
    if run.feed.query_scope is QueryScope.HISTORY:
        first = run.settings.start_date
        return [Window(first, max(*days, clock.today(account.time_zone), first), account)]
    with run.connections.reading() as connection:
        rows = expect_rows(connection, account, days)
    windows = planned_windows(rows, limits_of(run.feed))
    return [
        Window(days[0], days[-1], account, sum(rows[day].rows for day in days)) for days in windows
    ]


class WindowQueue:
    """An account's days still to be requested, and those that its budget does not allow."""

    def __init__(
        self, run: FeedRun, account: Account, days: Collection[date], newest_first: bool
    ) -> None:
        self.run, self.account = run, account
        self.concurrency = WindowConcurrency()
        self.left: list[date] = []
        self._todo = set(days)
        self._newest_first = newest_first

    def jobs(self, stats: ExtractStats) -> Iterator[Job[WindowResult]]:
        """Yield the loads of windows, each chosen by the rows and points known from the earlier ones, or all
        at once where nothing that they load could change the plan.

        ``stats`` is used for the first of them.
        """
        run, account = self.run, self.account
        if run.feed.query_scope is QueryScope.DAY and run.feed.quota is None:
            while self._todo:
                yield partial(load_days, run, account, self._in_turn(), stats)
                stats = ExtractStats()
            return
        while self._todo:
            with run.connections.reading() as connection:
                calls = calls_left(run.feed, run.settings, connection, account)
                rows = expect_rows(connection, account, self._todo)
            windows = self._next_windows(rows, calls)
            for days in windows:
                if not self._todo.issuperset(days):  # dropped
                    return
                self._todo -= {*days}
                expected = sum(rows[day].rows for day in days)
                if calls is None and run.feed.query_scope is QueryScope.RANGE:
                    self.concurrency.suit(expected)
                window = Window(days[0], days[-1], account, expected)
                yield partial(load_in_parts, run, window, None, stats)
                stats = ExtractStats()
            if not windows:
                self.left += self._todo
                return

    def _next_windows(self, rows: Mapping[date, Expected], calls: int | None) -> list[list[date]]:
        """All windows where no load could change the plan; else the next one, if the calls left allow any.

        To plan all that is left for each window would take a long run a time that grows with its square.
        """
        limits = limits_of(self.run.feed)
        if calls is None and all(each.basis == "receipt" for each in rows.values()):
            windows = planned_windows(rows, limits)
            return windows if self._newest_first else windows[::-1]
        if self.left:  # the budget refused a day: spend nothing on days of unknown size
            rows = {day: each for day, each in rows.items() if each.basis != "unknown"}
        days, passed = next_window(rows, limits, calls, newest_first=self._newest_first)
        self.left += passed
        self._todo -= {*passed}
        return [days] if days else []

    def _in_turn(self) -> Iterator[date]:
        """Yield the days one by one; each is taken off the queue then."""
        for day in sorted(self._todo, reverse=self._newest_first):
            if day not in self._todo:  # dropped
                return
            self._todo.discard(day)
            yield day

    def close(self) -> None:
        """Drop the remaining days."""
        self._todo.clear()


def _load_in_turn(queue: WindowQueue, stats: ExtractStats) -> Iterator[WindowResult]:
    """Load the queue's windows until it is empty, or more requests would be useless."""
    refusal: WarehouseError | None = None
    failures = 0
    is_hopeless = False
    concurrency = queue.concurrency
    jobs = run_concurrently(queue.jobs(stats), BOUNDS.windows_of_account, concurrency.limit)
    # Whoever stops early waits for the window under way alone: the queue is closed first.
    with closing(jobs) as results, closing(queue):
        for result in results:
            if result.left:
                queue.left += result.left
                refusal = refusal or result.problems[0]
                continue
            yield result
            concurrency.is_answering = not result.problems
            concurrency.latency = result.stats.latency
            if any(isinstance(problem, HOPELESS) for problem in result.problems):
                is_hopeless = True
                queue.close()
            down = [problem for problem in result.problems if isinstance(problem, TryLater)]
            failures = failures + 1 if down else 0
            if failures == MAX_FAILURES_IN_A_ROW:
                yield WindowResult(problems=[vendor_down_error(queue.account, failures, down[-1])])
                queue.close()
    if queue.left and not is_hopeless:
        quota = queue.run.feed.quota
        setting = quota.setting if quota else "the budget"
        problem = no_points_error(queue.account, queue.left, refusal, setting)
        yield WindowResult(problems=[problem], left=queue.left)
