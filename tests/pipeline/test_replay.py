"""Days rebuilt from their stored responses, without a call to the vendor."""

from __future__ import annotations

import pytest

from dagster_project.errors import NothingStored
from dagster_project.pipeline.outcomes import Stopped
from dagster_project.pipeline.replay import replay_account
from tests.support.loading import LAST, Loading, load, replay, until_last


def emptied(loading: Loading) -> None:
    """No row and no state: as if the responses had been stored alone."""
    with loading.warehouse.connect_admin() as connection:
        connection.execute("DELETE FROM warehouse.calltouch_sms")
        connection.execute("DELETE FROM ops.day_state")
        connection.execute("DELETE FROM ops.load_receipt")


def test_days_are_rebuilt_from_what_is_stored_without_a_call(loading: Loading) -> None:
    days = until_last(3)
    window = loading.window(days[0], days[-1])
    with loading.run() as run:
        load(run, window)
    emptied(loading)
    calls = loading.calls()
    with loading.run() as run:
        result = replay(run, window.account, days)
    assert all(receipt.is_replay for receipt in result.receipts)
    for day in days:
        assert loading.rows(day) == loading.truth(day)
    assert loading.calls() == calls


def test_only_the_wanted_days_of_a_stored_window_are_rebuilt(loading: Loading) -> None:
    days = until_last(3)
    window = loading.window(days[0], days[-1])
    with loading.run() as run:
        load(run, window)
    emptied(loading)
    with loading.run() as run:
        result = replay(run, window.account, days[1:2])
    assert [receipt.day for receipt in result.receipts] == days[1:2]
    assert loading.days() == days[1:2]


def test_a_day_of_which_nothing_is_stored_is_a_problem_and_stays_as_it_is(
    loading: Loading,
) -> None:
    window = loading.window(LAST)
    with loading.run() as run:
        load(run, window)
        before = loading.rows(LAST)
        with loading.warehouse.connect_admin() as connection:
            connection.execute("DELETE FROM raw.response")
        result = replay(run, window.account, until_last(2))
    assert [type(problem) for problem in result.problems] == [NothingStored, NothingStored]
    assert [problem.window for problem in result.problems] == [str(d) for d in until_last(2)[::-1]]
    assert loading.rows(LAST) == before


def test_the_newest_days_are_rebuilt_first_and_a_stopped_run_goes_no_further(
    loading: Loading,
) -> None:
    days = until_last(3)
    with loading.run() as run:
        for day in days:
            load(run, loading.window(day))
    with loading.run() as run:
        results = replay_account(run, loading.window(LAST).account, days)
        assert [receipt.day for receipt in next(results).receipts] == days[2:]
        run.stop()
        with pytest.raises(Stopped):
            next(results)
