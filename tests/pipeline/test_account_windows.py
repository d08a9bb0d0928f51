"""One account's days in windows: which comes next, and when no more is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from dagster_project.errors import AccessDenied, QuotaSpent, TryLater
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import ONE_DAY
from dagster_project.pipeline.account_windows import WindowQueue, refresh_account, windows_of
from dagster_project.sandbox.server import running_sandbox
from dagster_project.transport import session
from dagster_project.warehouse.connection import Warehouse
from tests.support.loading import CALLTOUCH, LAST, Loading, together, until_last
from tests.support.operating import feed_of
from tests.support.statements import counted_statements


def test_a_quiet_year_costs_about_its_rows_over_ten_thousand_calls(loading: Loading) -> None:
    days = until_last(366)
    account = loading.window(LAST).account
    with loading.run() as run:
        first = together(refresh_account(run, account, days, is_due_only=False, newest_first=True))
    rows = sum(receipt.rows_received for receipt in first.receipts)
    calls = loading.calls()
    assert rows > 10_000
    assert calls == -(-rows // 10_000)
    assert loading.days() == days
    with loading.run() as run:
        again = together(refresh_account(run, account, days, is_due_only=False, newest_first=True))
    assert loading.calls() <= 3 * calls, "the second reading costs no more than twice the first"
    assert not any(receipt.changed for receipt in again.receipts)


def test_windows_are_chosen_by_what_stands(loading: Loading) -> None:
    days = until_last(40)
    account = loading.window(LAST).account
    with loading.run() as run:
        [all_at_once] = windows_of(run, account, days)
    assert all_at_once.days == days, "nothing is known: one question tells how many rows there are"


def test_a_whole_history_is_one_window_from_the_first_partition_on(
    warehouse: Warehouse, loading: Loading
) -> None:
    feed = feed_of("tellody_purchases")
    settings = loading.settings()
    [account] = feed.accounts(settings)
    with loading.run(feed, settings) as run:
        [window] = windows_of(run, account, until_last(3))
    assert window.first_day == settings.start_date
    assert window.last_day >= LAST


def test_oldest_days_first_where_that_is_asked_for(loading: Loading) -> None:
    account = loading.window(LAST).account
    days = [date(2024, 3, 1), date(2024, 4, 1), date(2024, 5, 1)]
    with loading.run() as run:
        results = refresh_account(run, account, days, is_due_only=False, newest_first=False)
        found = [receipt.day for result in results for receipt in result.receipts]
    assert found[0] == days[0], "the others may run concurrently once the vendor has answered"
    assert sorted(found) == days


def test_after_a_refusal_of_the_account_nothing_more_is_asked(loading: Loading) -> None:
    loading.vendors.world.faults.add("no_access", times=None)
    account = loading.window(LAST).account
    days = [date(2024, 3, 1), date(2024, 4, 1), date(2024, 5, 1)]
    with loading.run() as run:
        result = together(refresh_account(run, account, days, is_due_only=False, newest_first=True))
    assert [type(problem) for problem in result.problems] == [AccessDenied]
    assert len(loading.extractions()) == 1


def test_days_beyond_the_budget_are_told_of_once(loading: Loading) -> None:
    account = loading.window(LAST).account
    days = [date(2024, 3, 1), date(2024, 4, 1), date(2024, 5, 1)]
    settings = loading.settings(CALLTOUCH_DAILY_POINTS="2")
    with loading.run(settings=settings) as run:
        result = together(refresh_account(run, account, days, is_due_only=False, newest_first=True))
    [problem] = result.problems
    assert isinstance(problem, QuotaSpent)
    assert sorted(result.left) == days[:2]
    assert loading.days() == days[2:]


def test_a_vendor_that_is_down_is_not_asked_window_after_window(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty days of a call each; three unanswered windows are enough."""
    monkeypatch.setattr(session.RetryPolicy, "wait", lambda *arguments: 0.0)
    feed = feed_of("tellody_activity")
    with running_sandbox(clock="2024-06-20T12:00:00+03:00") as vendors:
        loading = Loading(warehouse, vendors)
        vendors.world.faults.add("outage", times=None, match={"path": "*/UniqueCode"})
        settings = loading.settings()
        [account] = feed.accounts(settings)
        with loading.run(feed, settings) as run:
            result = together(
                refresh_account(run, account, until_last(50), is_due_only=False, newest_first=True)
            )
    assert [type(problem) for problem in result.problems] == [TryLater] * 4
    assert "3 windows in a row failed" in result.problems[-1].what
    assert len(loading.extractions()) == 3


def test_days_of_a_call_each_are_loaded_in_turn_and_planned_once(
    warehouse: Warehouse, loading: Loading
) -> None:
    feed = feed_of("tellody_activity")
    settings = loading.settings()
    [account] = feed.accounts(settings)
    days = until_last(5)
    with loading.run(feed, settings) as run:
        for newest_first, order in ((True, days[::-1]), (False, days)):
            queue = WindowQueue(run, account, days, newest_first)
            with counted_statements() as sent:
                taken = [list(job.args[2]) for job in queue.jobs(ExtractStats())]  # type: ignore[attr-defined]
            assert (taken, sent) == ([order], [])


def test_windows_are_planned_once_where_the_rows_of_every_day_are_known(loading: Loading) -> None:
    """Planning all that is left for each window would make long runs cost a day more than short ones."""
    account = loading.window(LAST).account
    feed = replace(CALLTOUCH, window_days=2)

    def plan(days: list[date], newest_first: bool) -> tuple[list[list[date]], int]:
        with loading.run(feed) as run, counted_statements() as sent:
            queue = WindowQueue(run, account, days, newest_first)
            jobs = [job.args[1] for job in queue.jobs(ExtractStats())]  # type: ignore[attr-defined]
        return [window.days for window in jobs], len(sent)

    days = until_last(8)
    with loading.run(feed) as run:
        list(refresh_account(run, account, days, is_due_only=False, newest_first=True))
    in_twos, of_eight = plan(days, True)
    assert in_twos == [days[at : at + 2] for at in (6, 4, 2, 0)]
    assert plan(days, False)[0] == in_twos[::-1]
    assert plan(days[:4], True)[1] == of_eight
    unknown = [*days, LAST + ONE_DAY, LAST + 2 * ONE_DAY]
    assert plan(unknown, True)[1] > of_eight
