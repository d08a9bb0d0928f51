"""A window in parts: by rows, by the size of a response, by what is left of the budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from dagster_project import concurrency
from dagster_project.concurrency import BOUNDS, Job, run_concurrently
from dagster_project.errors import AnswerTooLarge, QuotaSpent
from dagster_project.model.vendor_store import VendorStore
from dagster_project.model.window import Account, Window
from dagster_project.pipeline import split
from dagster_project.pipeline.outcomes import WindowResult
from dagster_project.pipeline.split import days_before, load_in_parts, parts_of, split_window
from dagster_project.transport.rate_limiter import RateLimiter
from dagster_project.transport.session import Session
from dagster_project.vendors.calltouch.client import CalltouchClient
from dagster_project.vendors.calltouch.settings import CalltouchSettings
from tests.support.loading import CALLTOUCH, QUIET, Loading, load, until_last

ACCOUNT = Account("calltouch", QUIET, ZoneInfo("Europe/Moscow"))


@pytest.mark.parametrize(
    ("days", "parts", "lengths"),
    [(10, 2, [5, 5]), (10, 3, [2, 4, 4]), (3, 9, [1, 1, 1]), (7, 1, [7])],
)
def test_a_window_is_split_into_equal_runs_of_days_newest_first(
    days: int, parts: int, lengths: list[int]
) -> None:
    window = Window(until_last(days)[0], until_last(1)[0], ACCOUNT)
    found = split_window(window, parts)
    assert [len(part.days) for part in found] == lengths
    assert [day for part in reversed(found) for day in part.days] == window.days


@pytest.mark.parametrize(
    ("days", "rows", "most"), [(10, 1_000_000, 1), (5, 550_000, 1), (30, 2_000_000, 2), (4, 400, 4)]
)
def test_parts_have_no_more_rows_than_a_window_that_is_planned(
    days: int, rows: int, most: int
) -> None:
    window = Window(until_last(days)[0], until_last(1)[0], ACCOUNT)
    found = split_window(window, parts_of(window, rows, 150_000))
    assert max(len(part.days) for part in found) == most


def test_a_day_of_too_many_rows_is_a_part_of_its_own() -> None:
    window = Window(until_last(3)[0], until_last(1)[0], ACCOUNT)
    assert parts_of(window, 9_000_000, 150_000) == 3


def test_each_part_is_expected_to_have_its_share_of_the_rows() -> None:
    window = Window(until_last(10)[0], until_last(1)[0], ACCOUNT, expected_rows=1000)
    assert [part.expected_rows for part in split_window(window, 3)] == [200, 400, 400]


def test_what_is_left_of_a_window_are_its_older_days() -> None:
    window = Window(until_last(5)[0], until_last(1)[0], ACCOUNT)
    newest = Window(until_last(2)[0], until_last(1)[0], ACCOUNT)
    [older] = days_before(window, newest)
    assert older.days + newest.days == window.days
    assert days_before(window, None) == [window]


def test_a_window_that_turns_out_too_large_is_asked_in_parts_newest_first(
    loading: Loading,
) -> None:
    days = until_last(20)
    with loading.run(replace(CALLTOUCH, window_rows=200)) as run:
        results = list(load_in_parts(run, loading.window(days[0], days[-1])))
    asked = loading.extractions()
    assert asked[0][4] == "split"
    assert asked[0][3] == 1, "one call told that it is too large"
    assert sorted(r.day for result in results for r in result.receipts) == days
    parts = _complete_parts(loading)
    assert len(parts) > 2
    for number, (began, _) in enumerate(parts):
        newer_under_way = [ended for _, ended in parts[:number] if ended > began]
        assert len(newer_under_way) < BOUNDS.least_windows_of_account, (
            "begun while enough were under way"
        )


@pytest.mark.parametrize(
    ("slow_seconds", "most"),
    [(0.0, BOUNDS.windows_of_slow_vendor), (60.0, BOUNDS.least_windows_of_account)],
)
def test_more_parts_are_asked_for_at_once_of_a_slow_vendor(
    loading: Loading, monkeypatch: pytest.MonkeyPatch, slow_seconds: float, most: int
) -> None:
    asked: list[int] = []

    def run_and_note(jobs: list[Job[WindowResult]], most: int) -> Iterator[WindowResult]:
        asked.append(most)
        return run_concurrently(jobs, most)

    monkeypatch.setattr(concurrency, "BOUNDS", replace(BOUNDS, slow_seconds=slow_seconds))
    monkeypatch.setattr(split, "run_concurrently", run_and_note)
    days = until_last(20)
    with loading.run(replace(CALLTOUCH, window_rows=200)) as run:
        result = load(run, loading.window(days[0], days[-1]))
    assert not result.problems
    assert loading.days() == days
    assert asked == [most]


def test_under_a_budget_the_parts_go_one_after_another(loading: Loading) -> None:
    days = until_last(20)
    settings = loading.settings(CALLTOUCH_DAILY_POINTS="1000")
    with loading.run(replace(CALLTOUCH, window_rows=200), settings) as run:
        result = load(run, loading.window(days[0], days[-1]))
    assert not result.problems
    assert loading.days() == days
    parts = _complete_parts(loading)
    assert all(ended <= began for (_, ended), (began, _) in pairwise(parts))


def _complete_parts(loading: Loading) -> list[tuple[datetime, datetime]]:
    """When each complete window began and ended, the newest days first."""
    return [
        (row[0], row[1])
        for row in loading.select(
            "SELECT started_at, finished_at FROM ops.extraction"
            " WHERE outcome = 'complete' ORDER BY last_day DESC"
        )
    ]


def test_a_response_too_large_for_memory_has_its_window_asked_in_halves(loading: Loading) -> None:
    days = until_last(8)
    with loading.run(replace(CALLTOUCH, open_client=_client_of_small_memory)) as run:
        result = load(run, loading.window(days[0], days[-1]))
    assert not result.problems
    assert loading.days() == days
    assert len(loading.extractions()) > 2


def test_a_single_day_too_large_for_memory_is_a_problem_and_the_others_are_loaded(
    loading: Loading,
) -> None:
    days = until_last(3)
    rows = loading.vendors.world.calltouch.rows(int(QUIET), days[1], days[1])
    loading.vendors.world.calltouch.replace_day(int(QUIET), days[1], rows * 20)
    with loading.run(replace(CALLTOUCH, open_client=_client_of_small_memory)) as run:
        result = load(run, loading.window(days[0], days[-1]))
    [problem] = result.problems
    assert isinstance(problem, AnswerTooLarge)
    assert problem.window == str(days[1])
    assert loading.days() == [days[0], days[2]]


def _client_of_small_memory(section: CalltouchSettings, store: VendorStore) -> CalltouchClient:
    return CalltouchClient(section, RateLimiter(store.limits()), session=Session(max_bytes=60_000))


def test_of_a_window_beyond_the_budget_the_newest_days_are_loaded_that_fit(
    loading: Loading,
) -> None:
    """Two calls are left: one finds out that six are needed, one more page is paid for."""
    days = until_last(6)
    for day in days:
        rows = loading.vendors.world.calltouch.rows(int(QUIET), day, day)[:1]
        loading.vendors.world.calltouch.replace_day(int(QUIET), day, _copies(rows[0], 9_000))
    settings = loading.settings(CALLTOUCH_DAILY_POINTS="4")
    with loading.run(settings=settings) as run:
        result = load(run, loading.window(days[0], days[-1]))
    [problem] = result.problems
    assert isinstance(problem, QuotaSpent)
    assert problem.window == f"{days[0]}..{days[4]}"
    assert sorted(result.left) == days[:5]
    assert loading.days() == days[5:]


def _copies(row: dict[str, str], count: int) -> list[dict[str, str]]:
    return [{**row, "phoneNumber": f"7921{n:07d}"} for n in range(count)]


def test_a_day_of_the_budget_that_does_not_fit_alone_is_left(loading: Loading) -> None:
    settings = loading.settings(CALLTOUCH_DAILY_POINTS="1")
    with loading.run(settings=settings) as run:
        result = load(run, loading.window(date(2024, 5, 1)))
    assert result.left == [date(2024, 5, 1)]
    assert loading.calls() == 0
