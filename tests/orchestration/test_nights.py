"""What nightly runs ask for and make up for: ticks and runs over a real warehouse and vendors."""

from __future__ import annotations

from datetime import date

import pytest

from dagster_project.warehouse.ledger import owed_days
from tests.support.nights import (
    MOSCOW,
    NIGHT,
    ONE_NIGHT,
    OTHER,
    QUIET,
    YESTERDAY,
    Nights,
    account_of,
    days,
    observed_at,
    sms_of,
    truth_of,
)


def test_a_fresh_installation_asks_for_yesterday_alone(nights: Nights) -> None:
    for source in ("calltouch", "tellody_activity", "tellody_purchases"):
        [request] = nights.tick(source)
        assert request.days == [YESTERDAY], source


def test_a_night_asks_for_yesterday_and_every_day_that_is_not_settled(nights: Nights) -> None:
    assert nights.house.refresh(days(10))
    settled = nights.settled(QUIET)
    assert len(set(settled.values())) == 2, "some are settled and some are not"
    nights.asked()
    nights.go(NIGHT + ONE_NIGHT)
    requests, succeeded = nights.pass_night()
    assert succeeded
    not_settled = {day for day, is_settled in settled.items() if not is_settled}
    assert set(nights.asked_days(QUIET)) == {*not_settled, NIGHT.date()}
    assert [r.run_key for r in requests] == [f"calltouch/2024-05-11/{r.first}" for r in requests]


def test_a_settled_day_is_asked_for_once_more_after_48_hours_and_then_never(nights: Nights) -> None:
    """Of a day whose rows are all final by then."""
    seen: dict[date, int] = {}
    for night in range(9):
        nights.go(NIGHT + night * ONE_NIGHT)
        nights.pass_night()
        for day in nights.asked_days(QUIET):
            seen[day] = seen.get(day, 0) + 1
    finals = dict(
        nights.house.rows(
            "SELECT day, rows_final = rows FROM ops.day_state WHERE account = %s", QUIET
        )
    )
    early = [day for day in seen if finals[day] and day <= date(2024, 5, 14)]
    assert early
    assert all(3 <= seen[day] <= 7 for day in early)
    assert seen[YESTERDAY] <= 8, "read in the night after it, and until it is seven days old"
    assert all(nights.settled(QUIET)[day] for day in seen if day <= date(2024, 5, 10))


def test_every_day_ends_as_the_vendor_told_it_when_last_asked(nights: Nights) -> None:
    for night in range(3):
        nights.go(NIGHT + night * ONE_NIGHT)
        nights.pass_night()
    calltouch = nights.sandbox.world.calltouch
    for day in nights.settled(QUIET):
        at = observed_at(nights.house, QUIET, day)
        truth = truth_of(calltouch.rows(int(QUIET), day, day, at))
        assert sms_of(nights.house, QUIET, MOSCOW, day) == truth


def test_a_tick_that_is_repeated_requests_the_same_runs_and_a_run_that_is_repeated_asks_nothing(
    nights: Nights,
) -> None:
    nights.house.refresh(days(6))
    nights.go(NIGHT + ONE_NIGHT)
    first, again_ = nights.tick(), nights.tick()
    assert first == again_
    for request in first:
        assert nights.run(request)
    nights.asked()
    for request in first:
        assert nights.run(request)
    assert nights.asked() == []
    assert nights.tick() == []


def test_missed_nights_heal(nights: Nights) -> None:
    nights.pass_night()
    nights.asked()
    nights.go(NIGHT + 4 * ONE_NIGHT)
    [request] = nights.tick()
    assert request.days == [YESTERDAY + n * ONE_NIGHT for n in range(5)]
    assert nights.run(request)
    assert nights.asked_days(QUIET) == request.days


def test_an_outage_leaves_debts_that_the_next_night_pays(nights: Nights) -> None:
    nights.pass_night()
    nights.go(NIGHT + ONE_NIGHT)
    nights.sandbox.world.faults.add("outage", match={"vendor": "calltouch"}, times=None)
    requests, succeeded = nights.pass_night()
    assert requests
    assert not succeeded
    nights.sandbox.world.faults.clear()
    nights.go(NIGHT + 2 * ONE_NIGHT)
    requests, succeeded = nights.pass_night()
    assert succeeded
    assert set(nights.settled(QUIET)) == {YESTERDAY + n * ONE_NIGHT for n in range(3)}


def test_days_before_the_first_load_are_nobodys_debt(nights: Nights) -> None:
    old = date(2024, 1, 20)
    assert nights.house.refresh([old])
    nights.asked()
    nights.go(NIGHT + ONE_NIGHT)
    requests = nights.tick()
    assert [day for request in requests for day in request.days] == [*days(1), NIGHT.date()]


def test_days_that_were_asked_for_and_failed_are_made_up_for(nights: Nights) -> None:
    lost = days(40, 39)
    nights.sandbox.world.faults.add("outage", match={"vendor": "calltouch"}, times=None)
    assert not nights.house.refresh(lost)
    nights.sandbox.world.faults.clear()
    assert [request.days for request in nights.tick()] == [days(1), lost]


def test_each_account_is_asked_only_for_its_own_due_days(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.house.refresh(days(9))
    nights.settings(monkeypatch, CALLTOUCH_SITE_IDS=f"{QUIET},{OTHER}")
    nights.asked()
    nights.go(NIGHT + ONE_NIGHT)
    _, succeeded = nights.pass_night()
    assert succeeded
    asked = nights.asked()
    assert {day for label, *_, day in asked if label == OTHER} == {NIGHT.date()}
    unsettled = nights.settled(QUIET)
    assert len(unsettled) == 10
    assert min(first for label, first, _ in asked if label == QUIET) > days(9)[0]


def test_neighbouring_days_of_few_rows_are_one_call_and_a_settled_day_between_them_is_left_out(
    nights: Nights,
) -> None:
    nights.house.refresh(days(7))
    nights.go(NIGHT + ONE_NIGHT)
    nights.house.rows("UPDATE ops.day_state SET settled = (day = %s) RETURNING 1", date(2024, 5, 6))
    nights.asked()
    nights.pass_night()
    assert nights.asked() == [
        (QUIET, date(2024, 5, 7), date(2024, 5, 10)),
        (QUIET, date(2024, 5, 3), date(2024, 5, 5)),
    ]


def test_what_a_person_asked_for_is_done_by_the_nights_newest_first(nights: Nights) -> None:
    account = account_of(nights.house)
    with nights.house.warehouse.connect(autocommit=True) as connection:
        owed_days.request_backfill(connection, account, date(2024, 3, 1), date(2024, 3, 4))
        owed_days.request_backfill(connection, account, date(2024, 3, 1), date(2024, 3, 4))
    requests, succeeded = nights.pass_night()
    assert succeeded
    assert [(r.first, r.last) for r in requests] == [
        (YESTERDAY, YESTERDAY),
        (date(2024, 3, 1), date(2024, 3, 4)),
    ]
    nights.go(NIGHT + ONE_NIGHT)
    assert all(request.first > date(2024, 3, 4) for request in nights.tick())


def test_what_was_taken_back_is_not_done(nights: Nights) -> None:
    account = account_of(nights.house)
    with nights.house.warehouse.connect(autocommit=True) as connection:
        owed_days.request_backfill(connection, account, date(2024, 3, 1), date(2024, 3, 4))
        assert owed_days.withdraw(connection, account, date(2024, 3, 1), date(2024, 3, 31)) == 1
    assert [request.days for request in nights.tick()] == [days(1)]
