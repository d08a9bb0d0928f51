"""Which days are missing and who is late, by the ledger and the played clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dagster_project import clock
from dagster_project.config.settings import load_settings
from dagster_project.feeds import FEEDS
from dagster_project.model.window import Account
from dagster_project.monitoring.lateness import (
    DUE_AFTER,
    Expected,
    Lateness,
    due_until,
    expect_askable,
    expect_due,
    lateness,
)
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.vendor_store import OneLook
from tests.support.ledger import load_days
from tests.support.trust_alone import (
    COMPANY,
    TRUST,
    learn_that_ranges_are_ignored,
    trust_settings,
)

MOSCOW = ZoneInfo("Europe/Moscow")
FIRST = date(2024, 5, 1)
SMS = next(feed for feed in FEEDS if feed.source == "calltouch")


def of(warehouse: Warehouse, expected: Expected) -> Lateness:
    with warehouse.connect(autocommit=True) as connection:
        return lateness(connection, [expected])[expected.key]


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def test_days_between_the_first_loaded_and_the_one_due_are_missing(warehouse: Warehouse) -> None:
    load_days(warehouse, "calltouch", "101", day(0), day(2))
    found = of(warehouse, Expected("calltouch", "101", day(4)))
    assert found.missing == (day(1), day(3), day(4))
    assert found.newest == day(2)
    assert found.is_late
    up_to_date = of(warehouse, Expected("calltouch", "101", day(2)))
    assert not up_to_date.is_late
    assert up_to_date.missing == (day(1),), "an old gap is missing, and makes nobody late"


def test_an_account_that_was_never_loaded_is_late_and_misses_no_day(warehouse: Warehouse) -> None:
    found = of(warehouse, Expected("calltouch", "101", day(4)))
    assert (found.newest, found.missing, found.is_late) == (None, (), True)


def test_what_one_answer_has_told_of_is_not_missing(warehouse: Warehouse) -> None:
    load_days(warehouse, "tellody_purchases", "main", day(0), told_until=day(3))
    expected = Expected("tellody_purchases", "main", day(4), whole_history=True)
    found = of(warehouse, expected)
    assert found.missing == (day(3), day(4)), "the day on which it was asked had not ended"
    assert found.newest == day(2)
    assert found.is_late
    assert not of(warehouse, replace(expected, due=day(2))).is_late


def test_many_accounts_are_told_in_one_go(warehouse: Warehouse) -> None:
    load_days(warehouse, "calltouch", "101", day(0))
    load_days(warehouse, "calltouch", "102", day(1))
    load_days(warehouse, "trust", "101", day(0), day(1))
    asked = [
        Expected(source, account, day(1))
        for source, account in (("calltouch", "101"), ("calltouch", "102"), ("trust", "101"))
    ]
    with warehouse.connect(autocommit=True) as connection:
        found = lateness(connection, asked)
    assert [found[one.key].is_late for one in asked] == [True, False, False]
    assert [found[one.key].missing for one in asked] == [(day(1),), (), ()]


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> date:
    """It is 02:30 in Moscow; answers the day that began."""
    now = datetime.now(UTC)
    target = datetime(2024, 5, 20, 2, 30, tzinfo=MOSCOW)
    shift = tmp_path / "clock"
    shift.write_text(str((target - now).total_seconds()))
    monkeypatch.setenv(clock.CLOCK_FILE, str(shift))
    return target.date()


def test_a_day_is_due_when_it_has_ended_and_the_patience_is_over(
    warehouse: Warehouse, night: date
) -> None:
    settings = load_settings({}, dotenv=None)
    account = Account("calltouch", "101", MOSCOW)
    yesterday = night - timedelta(days=1)

    def due(**hours: float) -> date:
        return expect_askable(SMS, settings, OneLook(warehouse), account, timedelta(**hours)).due

    found = expect_due(SMS, "101", MOSCOW)
    assert (found.due, found.ended) == (yesterday - timedelta(days=1), yesterday)
    assert due(hours=0) == yesterday
    assert due(hours=2) == yesterday
    assert due(hours=3) == yesterday - timedelta(days=1)
    assert due(hours=36) == yesterday - timedelta(days=2)


def test_today_is_due_where_the_vendor_answers_for_today_alone(
    warehouse: Warehouse, night: date
) -> None:
    learn_that_ranges_are_ignored(warehouse)
    today = clock.today(COMPANY.time_zone)
    due = expect_askable(TRUST, trust_settings(), OneLook(warehouse), COMPANY, timedelta(0)).due
    assert due == today


# Clocks go back and forth at midnight, and in the hours of the nights.
CHANGES = {
    "Europe/Moscow": date(2024, 5, 10),
    "Europe/Athens": date(2024, 3, 31),
    "Europe/Paris": date(2024, 10, 27),
    "America/Santiago": date(2024, 9, 8),
    "America/Havana": date(2024, 11, 3),
    "Pacific/Apia": date(2011, 12, 30),
}


@pytest.mark.parametrize(("name", "day"), CHANGES.items(), ids=CHANGES)
def test_a_day_is_due_six_hours_after_its_end_and_bi_says_so_too(
    warehouse: Warehouse, name: str, day: date
) -> None:
    zone = ZoneInfo(name)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    moments = [midnight + timedelta(minutes=30 * n) for n in range(-60, 120)]
    here = [due_until(zone, moment) for moment in moments]
    assert here == sorted(here)
    for moment, due in zip(moments, here, strict=True):
        at = moment.astimezone(zone)
        assert due == (moment - DUE_AFTER).astimezone(zone).date() - timedelta(days=1)
        assert due < at.date(), "a day that has not ended is never due"
        if at.hour < 5:
            assert due < at.date() - timedelta(days=1), "no night could have loaded it"
        if at.hour >= 7:
            assert due == at.date() - timedelta(days=1)
    with warehouse.connect_admin() as connection:
        there = connection.execute(
            "SELECT mart.due_until(%s, m.at) FROM unnest(%s::timestamptz[]) WITH ORDINALITY"
            " AS m(at, n) ORDER BY m.n",
            (name, moments),
        ).fetchall()
    assert [due for (due,) in there] == here
