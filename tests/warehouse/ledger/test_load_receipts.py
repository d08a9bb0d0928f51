"""What receipts and the days' states say of many accounts at once."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from dagster_project.model.window import Account
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import load_receipts
from tests.support.ledger import load_days
from tests.support.statements import counted_statements

FIRST, SECOND = date(2024, 5, 1), date(2024, 5, 2)
MOSCOW, KOLKATA = ZoneInfo("Europe/Moscow"), ZoneInfo("Asia/Kolkata")


def test_days_of_other_zones_are_told_of_all_accounts_in_one_statement(
    warehouse: Warehouse,
) -> None:
    """Each run begins with it: of 1,000 accounts it sent 1,000 statements."""
    accounts = [
        Account("calltouch", str(n), KOLKATA if n in (103, 107) else MOSCOW)
        for n in range(110, 100, -1)
    ]
    for account in accounts:
        load_days(warehouse, "calltouch", account.label, FIRST, SECOND)
    load_days(warehouse, "trust", "107", FIRST)
    with warehouse.connect_admin() as connection:
        connection.execute("UPDATE ops.day_state SET time_zone = 'Europe/Moscow'")
    with counted_statements() as sent, warehouse.connect(autocommit=True) as connection:
        begun = len(sent)
        told = load_receipts.days_of_other_zones(connection, accounts)
        assert len(sent) == begun + 1
    assert told == [
        (
            f"calltouch {label}: 2 days from 2024-05-01 to 2024-05-02 stand as days of Europe/Moscow,"
            " and the time zone is Asia/Kolkata now.",
            f"warehouse replay --source calltouch --account {label} --from 2024-05-01 --to 2024-05-02",
        )
        for label in ("107", "103")
    ]


def test_a_day_is_missing_where_one_of_those_that_are_asked_for_it_lacks_it(
    warehouse: Warehouse,
) -> None:
    load_days(warehouse, "calltouch", "101", FIRST, SECOND)
    load_days(warehouse, "calltouch", "102", FIRST)
    load_days(warehouse, "trust", "102", SECOND)
    with warehouse.connect(autocommit=True) as connection:

        def missing(*asked: tuple[str, date]) -> set[date]:
            return load_receipts.missing_days(connection, "calltouch", asked)

        assert missing(("101", FIRST), ("101", SECOND), ("102", FIRST)) == set()
        assert missing(("101", FIRST), ("101", SECOND), ("102", SECOND)) == {SECOND}
        assert missing(("103", FIRST)) == {FIRST}
