"""Days through windows: what a run asks of the vendor, account by account, and when a day is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from dagster_project.config.settings import Settings, load_settings
from dagster_project.errors import AccessDenied, TryLater
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed
from dagster_project.pipeline.load_window import WindowPipeline
from dagster_project.pipeline.outcomes import FEWEST_ABREAST
from dagster_project.pipeline.runner import DayRunner, WindowDone
from dagster_project.sandbox.calltouch.site import Site
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.transport import session
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import load_receipts
from tests.support.operating import ALLOWING_FOR_ITS_LATENESS, KEY

QUIET, OTHER = "701", "702"
CALLTOUCH = next(feed for feed in FEEDS if feed.source == "calltouch")
LAST = date(2024, 5, 31)


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sandbox]:
    sites = [Site(int(QUIET), ordinary=40), Site(int(OTHER), ordinary=20)]
    calltouch = {"sites": sites, **ALLOWING_FOR_ITS_LATENESS}
    with running_sandbox(clock="2024-06-20T12:00:00+03:00", calltouch=calltouch) as sandbox:
        yield sandbox


class Loader:
    """Runs over the played sites into a warehouse."""

    def __init__(self, warehouse: Warehouse, vendors: Sandbox) -> None:
        self.warehouse = warehouse
        self.vendors = vendors

    def settings(self, sites: str = QUIET) -> Settings:
        given = {**self.vendors.settings_env(), "CALLTOUCH_SITE_IDS": sites}
        return load_settings(given, dotenv=None)

    def refresh(
        self, days: list[date], sites: str = QUIET, feed: Feed = CALLTOUCH, **options: Any
    ) -> list[WindowDone]:
        settings = self.settings(sites)
        with WindowPipeline(
            feed, settings, self.warehouse, KEY, run_id=options.pop("run_id", None)
        ) as walk:
            return list(DayRunner(walk, settings, **options).refresh(days))

    def asked(self) -> list[tuple[str, date, date, int, str]]:
        with self.warehouse.connect() as connection:
            return connection.execute(
                "SELECT account, first_day, last_day, requests, outcome FROM ops.extraction"
                " ORDER BY extraction_id"
            ).fetchall()

    def parts(self) -> list[tuple[datetime, datetime]]:
        """When each complete window began and ended, the newest days first."""
        with self.warehouse.connect() as connection:
            return connection.execute(
                "SELECT started_at, finished_at FROM ops.extraction"
                " WHERE outcome = 'complete' ORDER BY last_day DESC"
            ).fetchall()

    def days(self, site: str) -> list[date]:
        with self.warehouse.connect() as connection:
            return [
                row[0]
                for row in connection.execute(
                    "SELECT day FROM ops.day_state WHERE account = %s ORDER BY day", (site,)
                )
            ]


@pytest.fixture
def loader(warehouse: Warehouse, vendors: Sandbox) -> Loader:
    vendors.world.faults.clear()
    vendors.world.stats.reset()
    return Loader(warehouse, vendors)


def until_last(count: int) -> list[date]:
    return [LAST - timedelta(days=n) for n in range(count - 1, -1, -1)]


def done(chunks: list[WindowDone]) -> list[date]:
    return [day for chunk in chunks for day in chunk.days]


def test_a_quiet_year_costs_about_its_rows_over_ten_thousand_calls(loader: Loader) -> None:
    days = until_last(366)
    chunks = loader.refresh(days)
    rows = sum(receipt.rows_received for chunk in chunks for receipt in chunk.committed)
    calls = loader.vendors.world.stats.requests("calltouch")
    assert rows > 10_000
    assert calls == -(-rows // 10_000)
    assert sorted(done(chunks)) == days
    assert loader.days(QUIET) == days


def test_the_second_reading_of_that_year_costs_no_more(loader: Loader) -> None:
    days = until_last(366)
    loader.refresh(days)
    first = loader.vendors.world.stats.requests("calltouch")
    chunks = loader.refresh(days)
    assert loader.vendors.world.stats.requests("calltouch") <= 2 * first
    assert not any(receipt.changed for chunk in chunks for receipt in chunk.committed)


def test_a_window_that_turns_out_too_large_is_asked_in_parts_newest_first(loader: Loader) -> None:
    small = replace(CALLTOUCH, window_rows=200)
    chunks = loader.refresh(until_last(20), feed=small)
    asked = loader.asked()
    assert asked[0][4] == "split"
    assert asked[0][3] == 1, "one call told that it is too large"
    assert sorted(done(chunks)) == until_last(20)
    parts = loader.parts()
    assert len(parts) > 2
    for number, (began, _) in enumerate(parts):
        newer_under_way = [ended for _, ended in parts[:number] if ended > began]
        assert len(newer_under_way) < FEWEST_ABREAST, "begun while enough newer ones were under way"


def test_days_are_done_as_their_window_commits_not_at_the_end(loader: Loader) -> None:
    small = replace(CALLTOUCH, window_rows=200)
    chunks = loader.refresh(until_last(20), feed=small)
    finishing = [chunk for chunk in chunks if chunk.days]
    assert len(finishing) > 2
    for chunk in finishing:
        assert set(chunk.days) == {receipt.day for receipt in chunk.committed}
        assert chunk.costs[max(chunk.days)].days == len(chunk.days)


def test_a_day_is_done_when_the_last_account_has_it(loader: Loader) -> None:
    chunks = loader.refresh(until_last(5), sites=f"{QUIET},{OTHER}")
    assert [bool(chunk.days) for chunk in chunks] == [False, True]
    receipts = [receipt for of_day in chunks[-1].days.values() for receipt in of_day]
    assert {receipt.account for receipt in receipts} == {QUIET, OTHER}


def test_one_accounts_failure_leaves_the_other_loading_and_no_day_done(loader: Loader) -> None:
    loader.vendors.world.faults.add("no_access", match={"account": OTHER}, times=None)
    chunks = loader.refresh(until_last(5), sites=f"{QUIET},{OTHER}")
    [problem] = [problem for chunk in chunks for problem in chunk.problems]
    assert isinstance(problem, AccessDenied)
    assert loader.days(QUIET) == until_last(5)
    assert done(chunks) == []


def test_a_run_narrowed_to_an_account_finishes_days_that_the_others_have(loader: Loader) -> None:
    both = f"{QUIET},{OTHER}"
    assert done(loader.refresh(until_last(4), sites=both, accounts=[QUIET])) == []
    chunks = loader.refresh(until_last(4), sites=both, accounts=[OTHER])
    assert sorted(done(chunks)) == until_last(4)


def test_days_that_an_earlier_try_committed_are_done_without_a_call(loader: Loader) -> None:
    loader.refresh(until_last(3), run_id="first try")
    with loader.warehouse.connect() as connection:
        already = load_receipts.committed_by_runs(connection, "calltouch", ["first try"])
    calls = loader.vendors.world.stats.requests("calltouch")
    chunks = loader.refresh(until_last(5), already=already)
    assert sorted(done(chunks)) == until_last(5)
    assert [(first, last) for _, first, last, *_ in loader.asked()[1:]] == [
        (until_last(5)[0], until_last(5)[1])
    ]
    assert loader.vendors.world.stats.requests("calltouch") == calls + 1


def test_an_account_is_asked_for_its_due_days_alone(loader: Loader) -> None:
    both = f"{QUIET},{OTHER}"
    loader.refresh(until_last(6), sites=both)
    due = {QUIET: until_last(2), OTHER: until_last(6)[:1]}
    chunks = loader.refresh(until_last(6), sites=both, due=due)
    asked = {(site, first, last) for site, first, last, *_ in loader.asked()[2:]}
    assert asked == {(QUIET, *until_last(2)), (OTHER, until_last(6)[0], until_last(6)[0])}
    assert sorted(done(chunks)) == [until_last(6)[0], *until_last(2)]


def test_a_vendor_that_is_down_is_not_asked_window_after_window(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty days of a call each; three unanswered windows are enough."""
    monkeypatch.setattr(session.RetryPolicy, "wait", lambda *arguments: 0.0)
    with running_sandbox(clock="2024-06-20T12:00:00+03:00") as vendors:
        loader = Loader(warehouse, vendors)
        vendors.world.faults.add("outage", times=None, match={"path": "*/UniqueCode"})
        activity = next(feed for feed in FEEDS if feed.source == "tellody_activity")
        chunks = loader.refresh(until_last(50), feed=activity)
    problems = [problem for chunk in chunks for problem in chunk.problems]
    assert [type(problem) for problem in problems] == [TryLater] * 4
    assert "3 windows in a row failed" in problems[-1].what
    assert len(loader.asked()) == 3
