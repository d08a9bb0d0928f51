"""The installation at a glance: red days of one cause together, each with its command."""

from __future__ import annotations

from datetime import date, timedelta

from dagster_project import clock
from dagster_project.model.window import ONE_DAY
from dagster_project.monitoring.status import Health, health
from dagster_project.text.remedies import load_command
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import owed_days
from tests.support.ledger import load_days
from tests.support.trust_alone import COMPANY, learn_that_ranges_are_ignored, trust_settings


def look(warehouse: Warehouse) -> Health:
    with warehouse.connect(autocommit=True) as connection:
        return health(trust_settings(), warehouse, connection)


def back(days: int) -> date:
    return clock.today(COMPANY.time_zone) - timedelta(days=days)


def test_neighbouring_held_days_of_one_reason_share_a_command(warehouse: Warehouse) -> None:
    load_days(warehouse, "trust", COMPANY.label, back(3), back(2), back(1))
    with warehouse.connect_admin() as connection:
        connection.execute(
            "UPDATE ops.day_state SET held = 'it shrank', held_kinds = '{shrink}' WHERE day <= %s",
            (back(2),),
        )
    found = look(warehouse)
    [red] = found.red_days
    assert red.days == (back(3), back(2))
    assert red.hint == load_command("trust", "7", back(3), back(2), accept=["shrink"])
    assert found.summarize() == "2 days red, of 1 account"


def test_days_that_the_vendor_cannot_be_asked_for_are_told_and_not_red(
    warehouse: Warehouse,
) -> None:
    learn_that_ranges_are_ignored(warehouse)
    load_days(warehouse, "trust", COMPANY.label, back(3), back(1))
    found = look(warehouse)
    [account] = found.accounts
    assert account.status.gaps == (back(2),)
    assert account.red_days == ()
    assert any("cannot be asked any more" in notice for notice in account.notices)
    assert found.summarize() == "Nothing is red"


def test_sources_without_credentials_are_named_with_what_is_missing(warehouse: Warehouse) -> None:
    assert "calltouch" in look(warehouse).left_out
    assert "trust" not in look(warehouse).left_out


def test_requested_days_count_until_they_are_loaded(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        owed_days.request_backfill(connection, COMPANY, back(3), back(0) + ONE_DAY)
    assert look(warehouse).accounts[0].requested_left == 3, "days that have not ended are not asked"
    load_days(warehouse, "trust", COMPANY.label, back(2))
    assert look(warehouse).accounts[0].requested_left == 2
