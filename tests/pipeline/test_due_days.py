"""Nights whose points do not suffice: what is taken, what is left, and what is said."""

from __future__ import annotations

from datetime import date

import pytest

from dagster_project.model.window import Account
from dagster_project.orchestration.nights import plan_night
from dagster_project.pipeline import due_days, services
from dagster_project.warehouse.ledger import owed_days
from tests.support.ledger import load_days
from tests.support.nights import BUSY, MOSCOW, NIGHT, ONE_NIGHT, YESTERDAY, Nights, account_of, days
from tests.support.operating import feed_of
from tests.support.statements import counted_statements


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


def test_the_due_days_of_thirty_accounts_take_no_more_statements_than_those_of_three(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them by what is its own: a gap, a failure, a request, days that may still change."""
    house, labels = nights.house, [str(number) for number in range(601, 631)]
    gap, failed, wanted, early = days(4)[1], days(20)[0], days(30)[0], days(5)[0]
    with house.warehouse.connect_admin() as connection:
        for number, label in enumerate(labels):
            loaded = [day for day in days(5) if number % 3 != 1 or day != gap]
            load_days(house.warehouse, "calltouch", label, *loaded, rows=5, settled=number % 2 == 0)
        connection.execute(
            "UPDATE ops.account_start SET first_observed_at = %s", (early + 2 * ONE_NIGHT,)
        )
        connection.execute(
            "INSERT INTO ops.extraction (source, account, first_day, last_day, outcome,"
            " failure_kind, code_version) VALUES ('calltouch', '602', %(day)s, %(day)s, 'failed',"
            " 'TryLater', 't'), ('calltouch', '603', %(day)s, %(day)s, 'failed', 'QuotaSpent', 't')",
            {"day": failed},
        )
    with house.warehouse.connect(autocommit=True) as connection:
        account = Account("calltouch", "601", MOSCOW)
        owed_days.request_backfill(connection, account, wanted, wanted)

    def look(sites: list[str]) -> tuple[dict[str, dict[date, str]], int]:
        given = {"CALLTOUCH_SITE_IDS": ",".join(sites), "CALLTOUCH_DAILY_POINTS": "100"}
        nights.settings(monkeypatch, **given)
        feed, settings = feed_of("calltouch"), services.settings()
        accounts = feed.accounts(settings)
        with house.warehouse.connect(autocommit=True) as connection:
            found = due_days.due_days_of_accounts(
                connection, house.warehouse, feed, settings, accounts
            )
        with counted_statements() as sent:
            plan_night(feed, settings, house.warehouse)
        return {due.account.label: due.days for due in found}, len(sent)

    _, of_few = look(labels[:3])
    found, of_many = look(labels)
    assert of_many == of_few
    for number, label in enumerate(labels):
        expected: dict[date, str] = {}
        if number % 2:
            loaded = [day for day in days(5) if number % 3 != 1 or day != gap]
            expected = dict.fromkeys(loaded, due_days.UNSETTLED)
            expected[YESTERDAY] = due_days.YESTERDAY
        expected |= {gap: due_days.MISSED} if number % 3 == 1 else {}
        expected |= {failed: due_days.FAILED} if label == "602" else {}
        expected |= {wanted: due_days.WANTED} if label == "601" else {}
        assert found[label] == expected, label
