"""Days that are asked for one by one: what changed nothing is committed together, every other day by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from itertools import chain
from typing import Any

import pytest

from dagster_project.errors import AnswerNotTrusted
from dagster_project.model.response import ExtractStats, Response, Restart
from dagster_project.model.window import Window
from dagster_project.pipeline import load_days
from dagster_project.pipeline.account_windows import refresh_account
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.load_window import load_window
from dagster_project.pipeline.outcomes import Stopped, WindowResult
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.vendors.tellody.client import ActivityClient
from dagster_project.warehouse.connection import Warehouse
from tests.support.connections import note_connections
from tests.support.loading import Loading, until_last
from tests.support.operating import feed_of

FEED = feed_of("tellody_activity")
DAYS = until_last(6)
LOST = "UPDATE warehouse.tellody_activity SET sms_sent = 0, content_hash = 0 WHERE activity_on = %s"
FORGOTTEN = "UPDATE ops.day_state SET checksum = '1:0' WHERE day = %s"
ROWS = "SELECT activity_on, sms_sent, email_sent, content_hash FROM warehouse.tellody_activity ORDER BY 1"
BY_TRANSACTION = (
    "SELECT array_agg(day ORDER BY day) FROM ops.load_receipt"
    " WHERE run_id = %s GROUP BY loaded_at ORDER BY min(day)"
)


@pytest.fixture(scope="module")
def tellody() -> Iterator[Sandbox]:
    with running_sandbox(clock="2024-06-20T12:00:00+03:00") as vendors:
        yield vendors


class Activity:
    """An account whose days are loaded; days wait for each other however slow the machine is."""

    def __init__(self, loading: Loading) -> None:
        self.loading = loading
        self.settings = loading.settings()
        [self.account] = FEED.accounts(self.settings)
        assert [r.rows_inserted for r in self.receipts("first")] == [1] * len(DAYS)
        self.rows = loading.select(ROWS)

    def run(self, run_id: str) -> FeedRun:
        return self.loading.run(FEED, self.settings, run_id=run_id)

    def results(self, run_id: str, **options: Any) -> Iterator[WindowResult]:
        with self.run(run_id) as run:
            yield from refresh_account(
                run, self.account, DAYS, is_due_only=False, newest_first=True, **options
            )

    def receipts(self, run_id: str) -> list[Any]:
        return [receipt for result in self.results(run_id) for receipt in result.receipts]

    def change(self, statement: str, day: date) -> None:
        with self.loading.warehouse.connect_admin() as connection:
            connection.execute(statement.encode(), (day,))

    def transactions(self, run_id: str) -> list[list[date]]:
        return [days for (days,) in self.loading.select(BY_TRANSACTION, run_id)]

    def load_alone(self, day: date) -> None:
        """What another process does."""
        with self.run("beside") as run:
            load_window(run, Window(day, day, self.account), None, ExtractStats())


@pytest.fixture
def activity(warehouse: Warehouse, tellody: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Activity:
    monkeypatch.setattr(load_days, "WAITING_SECONDS", 3600.0)
    return Activity(Loading(warehouse, tellody))


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[date], None]) -> None:
    """Have something done while the vendor is asked for a day."""
    ask_plainly = ActivityClient.extract

    def extract(
        self: ActivityClient, window: Window, stats: ExtractStats
    ) -> Iterator[Response | Restart]:
        act(window.first_day)
        return ask_plainly(self, window, stats)

    monkeypatch.setattr(ActivityClient, "extract", extract)


def test_days_of_which_nothing_changed_are_one_transaction(activity: Activity) -> None:
    [result] = activity.results("again")
    assert sorted(receipt.day for receipt in result.receipts) == DAYS
    assert {(r.rows_received, r.rows_unchanged, r.rows) for r in result.receipts} == {(1, 1, 1)}
    assert result.stats.pages == len(DAYS)
    assert activity.transactions("again") == [DAYS]
    assert activity.transactions("first") == [[day] for day in DAYS]
    asked = activity.loading.extractions()[len(DAYS) :]
    assert [(first, last, outcome) for _, first, last, _, outcome in asked] == [
        (day, day, "complete") for day in reversed(DAYS)
    ]
    assert len({receipt.extraction_id for receipt in result.receipts}) == len(DAYS)
    assert activity.loading.select(ROWS) == activity.rows


def test_an_account_alone_takes_one_pair_of_connections(
    activity: Activity, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = note_connections(monkeypatch)
    assert len(activity.receipts("again")) == len(DAYS)
    assert sorted(what for what in opened if what in ("ledger", "load")) == ["ledger", "load"]


def test_no_more_than_so_many_wait_and_not_longer(
    activity: Activity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_days, "MOST_DAYS", 4)
    list(activity.results("four"))
    assert activity.transactions("four") == [DAYS[:2], DAYS[2:]]
    monkeypatch.setattr(load_days, "WAITING_SECONDS", 0.0)
    list(activity.results("at once"))
    assert activity.transactions("at once") == [[day] for day in DAYS]


def test_a_changed_day_is_a_transaction_of_its_own(activity: Activity) -> None:
    activity.change(LOST, DAYS[3])
    activity.change(FORGOTTEN, DAYS[3])
    results = list(activity.results("changed"))
    assert [[r.rows_updated for r in one.receipts] for one in results] == [[1], [0] * 5]
    assert sorted(activity.transactions("changed")) == [[*DAYS[:3], *DAYS[4:]], DAYS[3:4]]
    assert activity.loading.select(ROWS) == activity.rows


def test_rows_that_differ_from_their_checksum_are_found(activity: Activity) -> None:
    activity.change(LOST, DAYS[3])
    receipts = activity.receipts("healed")
    assert {receipt.day for receipt in receipts if receipt.rows_updated} == {DAYS[3]}
    assert activity.transactions("healed") == [[day] for day in DAYS]
    assert activity.loading.select(ROWS) == activity.rows


def test_a_failing_day_leaves_its_rows_and_the_others_are_committed(
    activity: Activity, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(day: date) -> None:
        if day == DAYS[3]:
            raise AnswerNotTrusted("no answer to load.")

    meanwhile(monkeypatch, refuse)
    before, failed, after = activity.results("one fails")
    assert sorted(receipt.day for receipt in before.receipts) == DAYS[4:]
    [problem] = failed.problems
    assert (type(problem), problem.window) == (AnswerNotTrusted, str(DAYS[3]))
    assert sorted(receipt.day for receipt in after.receipts) == DAYS[:3]
    assert activity.transactions("one fails") == [DAYS[:3], DAYS[4:]]
    assert activity.loading.select(ROWS) == activity.rows


def test_a_run_that_is_stopped_commits_what_it_has_read(
    activity: Activity, monkeypatch: pytest.MonkeyPatch
) -> None:
    with activity.run("stopped") as run:
        meanwhile(monkeypatch, lambda day: run.stop() if day == DAYS[3] else None)
        results = refresh_account(run, activity.account, DAYS, is_due_only=False, newest_first=True)
        with pytest.raises(Stopped):
            list(results)
    assert activity.transactions("stopped") == [DAYS[4:]]
    assert activity.loading.extractions()[-1][1:3] == (DAYS[3], DAYS[3])


def test_whoever_stops_listening_has_no_further_day_asked(activity: Activity) -> None:
    before = len(activity.loading.extractions())
    activity.change(FORGOTTEN, DAYS[-1])
    results = activity.results("left")
    assert [receipt.day for receipt in next(results).receipts] == DAYS[-1:]
    results.close()
    asked = len(activity.loading.extractions()) - before
    assert asked <= len(DAYS)
    assert len([*chain(*activity.transactions("left"))]) == asked


def test_a_day_that_another_process_loaded_later_stands_as_that_one_left_it(
    activity: Activity, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load_the_day_before(day: date) -> None:
        if day == DAYS[3]:
            monkeypatch.undo()
            monkeypatch.setattr(load_days, "WAITING_SECONDS", 3600.0)
            activity.load_alone(DAYS[4])

    meanwhile(monkeypatch, load_the_day_before)
    receipts = activity.receipts("overtaken")
    assert [receipt.day for receipt in receipts if receipt.already_there] == [DAYS[4]]
    assert activity.transactions("beside") == [[DAYS[4]]]
    assert [*chain(*activity.transactions("overtaken"))] == [*DAYS[:4], DAYS[5]]
    latest = activity.loading.select(
        "SELECT e.run_id FROM ops.day_state JOIN ops.extraction e USING (extraction_id) ORDER BY day"
    )
    assert [run_id for (run_id,) in latest] == [*["overtaken"] * 4, "beside", "overtaken"]


@pytest.mark.parametrize("step", ["compare_days", "write_after_rows"])
def test_a_commit_that_fails_leaves_every_day_as_it_was(
    activity: Activity, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = activity.loading.select("SELECT day, receipt_id FROM ops.day_state ORDER BY day")

    def fail(*_: Any) -> None:
        raise AnswerNotTrusted("the marts cannot be counted.")

    monkeypatch.setattr(load_days, step, fail)
    [result] = activity.results("in vain")
    [problem] = result.problems
    assert type(problem) is AnswerNotTrusted
    assert problem.window == f"{DAYS[0]}..{DAYS[-1]}"
    after = activity.loading.select("SELECT day, receipt_id FROM ops.day_state ORDER BY day")
    assert after == before
    assert activity.transactions("in vain") == []
