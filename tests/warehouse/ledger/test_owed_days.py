"""What a person asked for, what failed, and since when an account is loaded."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from dagster_project.model.window import Account
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import owed_days

ACCOUNT = Account("calltouch", "101", ZoneInfo("Europe/Moscow"))
FIRST, LAST = date(2024, 3, 1), date(2024, 3, 4)


def test_the_same_request_again_is_the_same_until_it_is_taken_back(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        asked = owed_days.request_backfill(connection, ACCOUNT, FIRST, LAST)
        assert owed_days.request_backfill(connection, ACCOUNT, FIRST, LAST) == asked
        requested = owed_days.requested_backfills(connection, "calltouch", ["101"])
        assert requested["101"] == [(FIRST, LAST)]
        assert not owed_days.requested_backfills(connection, "calltouch", ["102"])
        assert owed_days.withdraw(connection, ACCOUNT, FIRST, LAST - timedelta(days=1)) == 0
        assert owed_days.withdraw(connection, ACCOUNT, FIRST, LAST) == 1
        assert not owed_days.requested_backfills(connection, "calltouch", ["101"])
        assert owed_days.request_backfill(connection, ACCOUNT, FIRST, LAST) != asked


def test_windows_that_failed_are_owed_but_not_those_without_points(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        for first, outcome, kind in (
            (FIRST, "failed", "TryLater"),
            (FIRST, "failed", "TryLater"),
            (LAST, "failed", "QuotaSpent"),
            (LAST, "complete", None),
        ):
            connection.execute(
                "INSERT INTO ops.extraction (source, account, first_day, last_day, outcome,"
                " failure_kind, code_version) VALUES ('calltouch', '101', %s, %s, %s, %s, 't')",
                (first, LAST, outcome, kind),
            )
    with warehouse.connect(autocommit=True) as connection:
        assert owed_days.failed_ranges(connection, "calltouch", ["101", "102"]) == {
            "101": [(FIRST, LAST)]
        }


def test_an_account_is_owed_its_days_from_the_one_before_its_first_load(
    warehouse: Warehouse,
) -> None:
    with warehouse.connect_admin() as connection:
        assert owed_days.first_days(connection, [ACCOUNT]) == {}
        connection.execute(
            "INSERT INTO ops.account_start (source, account, first_observed_at)"
            " VALUES ('calltouch', '101', %s)",
            (datetime(2024, 3, 4, 22, 30, tzinfo=UTC),),
        )
        assert owed_days.first_days(connection, [ACCOUNT]) == {ACCOUNT: LAST}, (
            "it is the 5th in Moscow"
        )


def test_days_of_ranges_are_cut_to_the_days_that_there_are() -> None:
    ranges = [(FIRST, LAST), (LAST, LAST + timedelta(days=9))]
    assert owed_days.days_within(ranges, LAST, LAST + timedelta(days=1)) == {
        LAST,
        LAST + timedelta(days=1),
    }
