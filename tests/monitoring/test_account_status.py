"""Why a day is red, read from the ledger."""

from __future__ import annotations

from datetime import date, timedelta

from dagster_project.monitoring.account_status import AccountStatus, read_account_statuses
from dagster_project.monitoring.lateness import Expected
from dagster_project.warehouse.connection import Warehouse
from tests.support.ledger import load_days

DAY = date(2024, 5, 1)
SOURCE, ACCOUNT = "calltouch", "101"


def day(number: int) -> date:
    return DAY + timedelta(days=number)


def status(warehouse: Warehouse, due: date) -> AccountStatus:
    with warehouse.connect(autocommit=True) as connection:
        expected = Expected(SOURCE, ACCOUNT, due)
        return read_account_statuses(connection, [expected])[expected.key]


def execute(warehouse: Warehouse, query: str, *values: object) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute(query.encode(), values)


def test_an_account_that_is_all_there_has_no_red_day(warehouse: Warehouse) -> None:
    load_days(warehouse, SOURCE, ACCOUNT, day(0), day(1), rows=5)
    found = status(warehouse, day(1))
    assert found.red == ()
    assert (found.first_day, found.last_day, found.last_good_day) == (day(0), day(1), day(1))
    assert (found.days, found.rows, found.gaps, found.failing) == (2, 10, (), False)
    assert found.as_json()["last_good_day"] == "2024-05-02"


def test_a_gap_is_red_and_ends_what_is_good(warehouse: Warehouse) -> None:
    load_days(warehouse, SOURCE, ACCOUNT, day(0), day(2))
    found = status(warehouse, day(2))
    [red] = found.red
    assert (red.day, red.remedy) == (day(1), "backfill")
    assert "never loaded" in red.why
    assert found.last_good_day == day(0)
