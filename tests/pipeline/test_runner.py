"""Days of a run, account by account: what is asked, what a failure does to the others, when a day is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from dagster_project import clock
from dagster_project.errors import AccessDenied, SettingsError
from dagster_project.model.window import ONE_DAY
from dagster_project.pipeline import load_days as days_of_a_call
from dagster_project.pipeline.marts_upkeep import marts_keeper
from dagster_project.pipeline.outcomes import WindowDone
from dagster_project.pipeline.runner import (
    RunScope,
    extract_days,
    refresh_days,
    refuse_unknown_accounts,
    replay_days,
)
from dagster_project.sandbox.calltouch.site import Site
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import load_receipts
from tests.support.ledger import load_days
from tests.support.loading import CALLTOUCH, OTHER, QUIET, Loading, until_last
from tests.support.operating import ALLOWING_FOR_ITS_LATENESS, feed_of
from tests.support.statements import counted_statements

BOTH = f"{QUIET},{OTHER}"


def refresh(
    loading: Loading, days: list[date], sites: str = BOTH, window_rows: int = 200_000, **scope: Any
) -> list[WindowDone]:
    feed = replace(CALLTOUCH, window_rows=window_rows)
    with loading.run(feed, loading.settings(sites), run_id="a run") as run:
        return list(refresh_days(run, RunScope(days, **scope)))


def done(chunks: list[WindowDone]) -> list[date]:
    return [day for chunk in chunks for day in chunk.days]


def test_one_accounts_failure_leaves_the_other_loading_and_no_day_done(loading: Loading) -> None:
    loading.vendors.world.faults.add("no_access", match={"account": OTHER}, times=None)
    chunks = refresh(loading, until_last(5))
    [problem] = [problem for chunk in chunks for problem in chunk.problems]
    assert isinstance(problem, AccessDenied)
    assert loading.days(QUIET) == until_last(5)
    assert done(chunks) == []


def test_an_account_is_asked_for_its_due_days_alone(loading: Loading) -> None:
    refresh(loading, until_last(6))
    due = {QUIET: until_last(2), OTHER: until_last(6)[:1]}
    chunks = refresh(loading, until_last(6), due=due)
    asked = {(site, first, last) for site, first, last, *_ in loading.extractions()[2:]}
    assert asked == {(QUIET, *until_last(2)), (OTHER, until_last(6)[0], until_last(6)[0])}
    assert sorted(done(chunks)) == [until_last(6)[0], *until_last(2)]


def test_days_that_an_earlier_try_committed_are_not_asked_again(loading: Loading) -> None:
    first = refresh(loading, until_last(3), sites=QUIET)
    already = {(r.account, r.day): r for chunk in first for r in chunk.receipts}
    calls = loading.calls()
    chunks = refresh(loading, until_last(5), sites=QUIET, already=already)
    assert sorted(done(chunks)) == until_last(5)
    assert [(first, last) for _, first, last, *_ in loading.extractions()[1:]] == [
        (until_last(5)[0], until_last(5)[1])
    ]
    assert loading.calls() == calls + 1


def test_responses_are_stored_by_one_run_and_loaded_by_another_without_a_call(
    loading: Loading,
) -> None:
    days = until_last(3)
    with loading.run() as run:
        assert sorted(done(list(extract_days(run, RunScope(days))))) == days
    assert loading.days() == []
    calls = loading.calls()
    with loading.run() as run:
        assert sorted(done(list(replay_days(run, RunScope(days))))) == days
    assert loading.days() == days
    assert loading.calls() == calls


def test_accounts_that_are_not_configured_are_counted_and_not_quoted() -> None:
    with pytest.raises(SettingsError) as raised:
        refuse_unknown_accounts(["701", "s3cret"], ["701", "702"], source="calltouch")
    assert raised.value.what == "no such account: 1 of 2 named."
    assert "use one of 701, 702." in str(raised.value)
    assert "s3cret" not in str(raised.value)
    refuse_unknown_accounts(["701"], ["701", "702"])


def test_days_are_done_as_their_window_commits_not_at_the_end(loading: Loading) -> None:
    chunks = refresh(loading, until_last(20), sites=QUIET, window_rows=200)
    finishing = [chunk for chunk in chunks if chunk.days]
    assert len(finishing) > 2
    for chunk in finishing:
        assert set(chunk.days) == {receipt.day for receipt in chunk.receipts}
        assert chunk.costs[max(chunk.days)].days == len(chunk.days)


def test_a_day_is_done_when_the_last_account_has_it(loading: Loading) -> None:
    chunks = refresh(loading, until_last(5))
    assert [bool(chunk.days) for chunk in chunks] == [False, True]
    receipts = [receipt for of_day in chunks[-1].days.values() for receipt in of_day]
    assert {receipt.account for receipt in receipts} == {QUIET, OTHER}
    assert chunks[-1].costs[until_last(1)[0]].points == 4, "a call of each account, at two points"


def test_a_run_narrowed_to_an_account_finishes_days_that_the_others_have(
    loading: Loading,
) -> None:
    assert done(refresh(loading, until_last(4), accounts=[QUIET])) == []
    chunks = refresh(loading, until_last(4), accounts=[OTHER])
    assert sorted(done(chunks)) == until_last(4)


def test_a_run_of_one_of_thirty_accounts_sends_no_more_statements_than_one_of_three(
    loading: Loading,
) -> None:
    days = until_last(3)
    others = [str(number) for number in range(801, 830)]
    for label in others:
        load_days(loading.warehouse, "calltouch", label, *days)

    def look(*beside: str) -> int:
        with counted_statements() as sent:
            chunks = refresh(loading, days, sites=",".join([QUIET, *beside]), accounts=[QUIET])
        assert sorted(done(chunks)) == days
        return len([one for one in sent if "ops.day_state" in str(one)])

    look()
    assert look(*others) == look(*others[:2])


def test_days_that_an_earlier_try_committed_are_done_without_a_call(loading: Loading) -> None:
    refresh(loading, until_last(3), sites=QUIET)
    with loading.warehouse.connect() as connection:
        already = load_receipts.committed_by_runs(connection, "calltouch", ["a run"])
    calls = loading.calls()
    [chunk] = refresh(loading, until_last(3), sites=QUIET, already=already)
    assert sorted(chunk.days) == until_last(3)
    assert loading.calls() == calls


STATEMENTS_A_DAY = {"tellody_activity": 3, "trust": 3, "tellody_purchases": 0, "calltouch": 31}
"""Of an account: of Trust and Tellody what the ledger notes of a call; of Calltouch a window of one day."""
OF_THE_MACHINES_PACE = ("_slot(", "set_config(", "SELECT clock_timestamp()")
"""Slots that are waited for or missed, sessions of windows that ran concurrently, readings of the server's clock."""


@pytest.fixture(scope="module")
def vendors_of_today() -> Iterator[Sandbox]:
    """Trust proves its ranges by the days before today."""
    calltouch = {"sites": [Site(int(QUIET), ordinary=20)], **ALLOWING_FOR_ITS_LATENESS}
    with running_sandbox(calltouch=calltouch) as vendors:
        yield vendors


@pytest.mark.parametrize("source", STATEMENTS_A_DAY)
def test_a_further_day_of_which_nothing_changed_costs_few_statements(
    warehouse: Warehouse, vendors_of_today: Sandbox, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(days_of_a_call, "WAITING_SECONDS", 3600.0)
    loading = Loading(warehouse, vendors_of_today)
    last = clock.now().date() - 3 * ONE_DAY
    feed, settings = replace(feed_of(source), window_days=1), loading.settings()
    accounts = len(feed.accounts(settings))

    def count(days: int) -> int:
        keep = marts_keeper(feed, settings)
        run = loading.run(feed, settings, run_id=f"{days} days", after_rows=keep)
        asked = [last - number * ONE_DAY for number in range(days)]
        with run, counted_statements() as sent:
            chunks = list(refresh_days(run, RunScope(asked)))
        assert not [problem for chunk in chunks for problem in chunk.problems]
        wanted = [r for chunk in chunks for r in chunk.receipts if r.day in asked]
        assert len(wanted) == days * accounts
        quiet.append(not any(receipt.changed for receipt in wanted))
        texts = [str(statement) for statement in sent]
        return sum(not any(part in text for part in OF_THE_MACHINES_PACE) for text in texts)

    quiet: list[bool] = []
    count(20)
    few, many = count(10), count(20)
    assert quiet == [False, True, True]
    assert (many - few) / 10 / accounts <= STATEMENTS_A_DAY[source]
