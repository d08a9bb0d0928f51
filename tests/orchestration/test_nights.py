"""What nightly runs ask for, leave, and make up for: ticks and runs over a real warehouse and vendors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dagster_project.model import Account
from dagster_project.sandbox.calltouch_site import Site
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse import debts
from tests.conftest import PostgresServer
from tests.nights import ONE_NIGHT, Nights, PlayedClock, observed_at, sms_of, truth_of
from tests.operating import House, feed_of, operating

MOSCOW = ZoneInfo("Europe/Moscow")
QUIET, OTHER = "501", "502"
BUSY = "503"
"""Each of its days fills a page, and so costs a call of its own."""
NIGHT = datetime(2024, 5, 10, 2, 30, tzinfo=MOSCOW)
YESTERDAY = date(2024, 5, 9)
"""Yesterday in the first night."""


SANTIAGO_NIGHT = datetime(2024, 5, 10, 2, 45, tzinfo=ZoneInfo("America/Santiago"))


def days(first: int, last: int = 1) -> list[date]:
    """Counted back from the first night's today: 1 is yesterday. Ascending."""
    return [date(2024, 5, 10) - timedelta(days=n) for n in range(first, last - 1, -1)]


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sandbox]:
    full = {str(NIGHT.date() + n * ONE_NIGHT): 10_000 for n in range(-10, 10)}
    sites = [Site(int(QUIET), ordinary=30), Site(int(OTHER), ordinary=20)]
    sites.append(Site(int(BUSY), counts=full))
    calltouch = {"sites": sites, "late_share": 0, "vanishing_share": 0, "ugly_share": 0}
    with running_sandbox(clock=NIGHT, calltouch=calltouch) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def module_nights(
    server: PostgresServer, vendors: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nights]:
    warehouse = server.fresh()
    server.add_dagster(warehouse)
    folder = tmp_path_factory.mktemp("nights")
    with pytest.MonkeyPatch.context() as patch:
        played = PlayedClock(folder)
        played.go(NIGHT, vendors)
        given = {**vendors.settings_env(), **played.setting, "CALLTOUCH_SITE_IDS": QUIET}
        with operating(warehouse, folder, patch, given) as house:
            yield Nights(house, vendors, played)
    server.drop(warehouse)


@pytest.fixture
def nights(module_nights: Nights) -> Nights:
    """The first night of an empty warehouse."""
    module_nights.begin_anew(NIGHT)
    return module_nights


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
    [account] = _accounts(nights.house)
    with nights.house.warehouse.connect(autocommit=True) as connection:
        debts.want(connection, account, date(2024, 3, 1), date(2024, 3, 4))
        debts.want(connection, account, date(2024, 3, 1), date(2024, 3, 4))
    requests, succeeded = nights.pass_night()
    assert succeeded
    assert [(r.first, r.last) for r in requests] == [
        (YESTERDAY, YESTERDAY),
        (date(2024, 3, 1), date(2024, 3, 4)),
    ]
    nights.go(NIGHT + ONE_NIGHT)
    assert all(request.first > date(2024, 3, 4) for request in nights.tick())


def test_what_was_taken_back_is_not_done(nights: Nights) -> None:
    [account] = _accounts(nights.house)
    with nights.house.warehouse.connect(autocommit=True) as connection:
        debts.want(connection, account, date(2024, 3, 1), date(2024, 3, 4))
        assert debts.withdraw(connection, account, date(2024, 3, 1), date(2024, 3, 31)) == 1
    assert [request.days for request in nights.tick()] == [days(1)]


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
    [account] = _accounts(nights.house)
    with nights.house.warehouse.connect(autocommit=True) as connection:
        debts.want(connection, account, days(6)[0], YESTERDAY)
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


def test_trust_asks_for_today_where_ranges_are_ignored_and_for_no_other_day(
    nights: Nights,
) -> None:
    nights.sandbox.world.trust.config.range_mode = "ignore"
    nights.go(SANTIAGO_NIGHT)
    [request] = nights.tick("trust")
    assert request.days == [date(2024, 5, 9), date(2024, 5, 10)], "nothing is known yet"
    assert nights.run(request, "trust")
    assert {day for _, _, day in nights.asked("trust")} == {date(2024, 5, 10)}
    assert all(nights.settled("11", "trust").values()), "a rolling day is never read again"
    nights.go(SANTIAGO_NIGHT + 3 * ONE_NIGHT)
    [request] = nights.tick("trust")
    assert request.days == [date(2024, 5, 13)], "days that cannot be answered for are no debt"


def test_trust_asks_for_ended_days_where_ranges_are_honoured(nights: Nights) -> None:
    nights.go(SANTIAGO_NIGHT)
    _, succeeded = nights.pass_night("trust")
    assert succeeded
    assert {day for _, _, day in nights.asked("trust")} == {date(2024, 5, 9)}
    nights.go(SANTIAGO_NIGHT + 2 * ONE_NIGHT)
    [request] = nights.tick("trust")
    assert request.days == [date(2024, 5, n) for n in (9, 10, 11)]


def test_the_history_of_purchases_is_read_once_whatever_days_are_due(nights: Nights) -> None:
    assert nights.house.refresh([date(2024, 5, 1)], "tellody_purchases")
    nights.go(NIGHT + 3 * ONE_NIGHT)
    nights.asked("tellody_purchases")
    requests, succeeded = nights.pass_night("tellody_purchases")
    assert succeeded
    assert len(requests) == len(nights.asked("tellody_purchases")) == 1
    assert date(2024, 5, 12) in nights.settled("main", "tellody_purchases")


def _accounts(house: House) -> tuple[Account, ...]:
    return feed_of("calltouch").accounts(house.settings)
