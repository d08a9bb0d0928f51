"""Nights whose points do not suffice: what is taken, what is left, and what is said."""

from __future__ import annotations

import pytest

from dagster_project.warehouse.ledger import owed_days
from tests.support.nights import BUSY, NIGHT, ONE_NIGHT, YESTERDAY, Nights, account_of, days


def test_a_night_takes_what_the_budget_has_room_for_and_leaves_the_rest_without_failing(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.settings(monkeypatch, CALLTOUCH_SITE_IDS=BUSY)
    assert nights.house.refresh(days(5))
    nights.go(NIGHT + ONE_NIGHT)
    nights.settings(monkeypatch, CALLTOUCH_DAILY_POINTS="6")
    nights.asked()
    requests, succeeded = nights.pass_night()
    assert succeeded
    assert nights.asked_days(BUSY) == [*days(2), NIGHT.date()]
    assert [day for r in requests for day in r.days] == [*days(2), NIGHT.date()]


def test_what_one_night_left_the_next_takes(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"CALLTOUCH_SETTLE_DAYS": "2", "CALLTOUCH_DAILY_POINTS": "10"}
    nights.settings(monkeypatch, CALLTOUCH_SITE_IDS=BUSY, **given)
    account = account_of(nights.house)
    with nights.house.warehouse.connect(autocommit=True) as connection:
        owed_days.request_backfill(connection, account, days(6)[0], YESTERDAY)
    _, succeeded = nights.pass_night()
    assert succeeded
    assert list(nights.settled(BUSY)) == days(4)
    nights.go(NIGHT + ONE_NIGHT)
    _, succeeded = nights.pass_night()
    assert succeeded
    assert list(nights.settled(BUSY)) == [*days(6), NIGHT.date()]
    spent = nights.house.rows("SELECT points FROM ops.point_ledger ORDER BY spent_on")
    assert spent == [(10,), (10,)]


def test_a_budget_without_room_for_yesterday_fails_the_run_and_says_so(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.settings(monkeypatch, CALLTOUCH_DAILY_POINTS="1")
    [request] = nights.tick()
    assert not nights.run(request)
    [text] = nights.failures()
    assert "QuotaSpent" in text
    assert "--spread" in text
    assert nights.asked() == [], "what does not fit is not even begun"


def test_a_window_that_turns_out_larger_than_the_budget_is_cut_to_its_newest_days(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knew how many rows the days hold; page 1 told, at the price of a call."""
    nights.settings(monkeypatch, CALLTOUCH_SITE_IDS=BUSY, CALLTOUCH_DAILY_POINTS="10")
    assert not nights.house.refresh(days(8))
    assert list(nights.settled(BUSY)) == days(4)
    [(spent,)] = nights.house.rows("SELECT points FROM ops.point_ledger")
    assert spent == 10
