"""A run over several months counts those that it has gone past while it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from dagster_project.errors import TryLater
from dagster_project.model.window import Account, Window
from dagster_project.pipeline import opening
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.marts_upkeep import refresh_stale_marts
from dagster_project.pipeline.runner import RunScope, refresh_days
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.support.loading import load
from tests.support.operating import House, calltouch_alone, feed_of, operating
from tests.warehouse.server.homes import wait_until

MAY, APRIL = date(2024, 5, 2), date(2024, 4, 3)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock="2024-06-20T09:00:00+03:00") as running:
        yield running


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse,
    sandbox: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    given = calltouch_alone(sandbox, PII_RETENTION_DAYS="4000")
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        yield running


def counted(house: House) -> set[date]:
    rows = house.rows("SELECT DISTINCT period_start FROM mart.sms_reach WHERE period = 'month'")
    return {first for (first,) in rows}


def test_the_month_that_was_passed_is_counted_before_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PASSED_MONTHS_SECONDS", 0.05)
    feed = feed_of("calltouch")
    account = feed.accounts(house.settings)[0]
    with opening.open_pipeline(feed) as run:
        for day in (MAY, APRIL):
            assert not load(run, one_day(day, account)).problems
        wait_until(lambda: counted(house) == {MAY.replace(day=1)})
    assert counted(house) == {MAY.replace(day=1), APRIL.replace(day=1)}


def test_the_last_month_of_an_account_that_is_finished_is_counted_before_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a night of 1,000 small accounts counts a month of each after its last commit."""
    monkeypatch.setattr(opening, "PASSED_MONTHS_SECONDS", 0.05)
    feed = feed_of("calltouch")
    with opening.open_pipeline(feed) as run:
        results = refresh_days(run, RunScope([MAY]))
        assert not [problem for chunk in results for problem in chunk.problems]
        wait_until(lambda: counted(house) == {MAY.replace(day=1)})


def test_what_cannot_be_counted_meanwhile_is_counted_at_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PASSED_MONTHS_SECONDS", 0.05)
    refused: list[bool] = []

    def refuse(run: FeedRun, *, passed_only: bool = False) -> int:
        if passed_only:
            refused.append(True)
            raise TryLater("the server is away")
        return refresh_stale_marts(run)

    monkeypatch.setattr(opening, "refresh_stale_marts", refuse)
    feed = feed_of("calltouch")
    account = feed.accounts(house.settings)[0]
    with opening.open_pipeline(feed) as run:
        for day in (MAY, APRIL):
            assert not load(run, one_day(day, account)).problems
        wait_until(lambda: len(refused) > 1)
        assert not counted(house)
    assert counted(house) == {MAY.replace(day=1), APRIL.replace(day=1)}


def one_day(day: date, account: Account) -> Window:
    return Window(day, day, account)
