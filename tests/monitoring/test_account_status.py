"""Why a day is red, read from the ledger."""

from __future__ import annotations

from datetime import date, timedelta

from dagster_project.monitoring.account_status import AccountStatus, read_account_status
from dagster_project.monitoring.lateness import Expected
from dagster_project.warehouse.connection import Warehouse
from tests.support.ledger import load_days

DAY = date(2024, 5, 1)
SOURCE, ACCOUNT = "calltouch", "101"


def day(number: int) -> date:
    return DAY + timedelta(days=number)


def status(warehouse: Warehouse, due: date) -> AccountStatus:
    with warehouse.connect(autocommit=True) as connection:
        return read_account_status(connection, Expected(SOURCE, ACCOUNT, due))


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


def test_a_held_day_is_red_with_the_options_that_take_it(warehouse: Warehouse) -> None:
    load_days(warehouse, SOURCE, ACCOUNT, day(0))
    execute(
        warehouse,
        "UPDATE ops.day_state SET held = 'had 500 rows, came back with 40',"
        " held_kinds = '{shrink,rejects}'",
    )
    [red] = status(warehouse, day(0)).red
    assert (red.remedy, red.kinds) == ("accept", ("shrink", "rejects"))
    assert "came back with 40" in red.why
    assert red.recorded_in.startswith("receipt ")


def test_a_failure_after_the_load_is_red_and_one_before_it_is_not(warehouse: Warehouse) -> None:
    failed = (
        "INSERT INTO ops.extraction (source, account, first_day, last_day, outcome, code_version,"
        " failure, failure_kind, finished_at) VALUES ('calltouch', '101', %s, %s, 'failed', 't',"
        " 'calltouch account 101 2024-05-01: it was away.', 'TryLater', now())"
    )
    execute(warehouse, failed, day(0), day(0))
    load_days(warehouse, SOURCE, ACCOUNT, day(0))
    assert status(warehouse, day(0)).red == ()
    execute(warehouse, failed, day(0), day(1))
    found = status(warehouse, day(0))
    [red] = found.red
    assert red.why == "the last attempt failed, the rows before it stand: it was away."
    assert found.last_failure == "it was away.", "where it happened is told beside it"
    later = status(warehouse, day(1))
    assert [one.day for one in later.red] == [day(0), day(1)]


def test_points_that_were_spent_make_no_day_red(warehouse: Warehouse) -> None:
    execute(
        warehouse,
        "INSERT INTO ops.extraction (source, account, first_day, last_day, outcome, code_version,"
        " failure, failure_kind) VALUES ('calltouch', '101', %s, %s, 'failed', 't', 'spent',"
        " 'QuotaSpent')",
        day(0),
        day(0),
    )
    assert status(warehouse, day(0)).red == ()


def test_records_that_do_not_add_up_or_were_rejected_are_red(warehouse: Warehouse) -> None:
    extraction = load_days(warehouse, SOURCE, ACCOUNT, day(0), rows=5, rejected=1)
    assert status(warehouse, day(0)).red == ()
    execute(
        warehouse,
        "INSERT INTO ops.rejected_record (source, account, record_sha256, reason, day, original,"
        " times_in_window, first_extraction_id, last_extraction_id)"
        " VALUES ('calltouch', '101', 'x', 'unreadable dateSent', %s, '{}', 1, %s, %s)",
        day(0),
        extraction,
        extraction,
    )
    [red] = status(warehouse, day(0)).red
    assert red.remedy == "replay"
    assert "unreadable dateSent: 1" in red.why
    execute(warehouse, "UPDATE ops.rejected_record SET resolved_at = now()")
    execute(warehouse, "UPDATE ops.load_receipt SET rows_received = 9")
    [red] = status(warehouse, day(0)).red
    assert red.why == "9 records received, 6 loaded or rejected."


def test_a_day_that_is_dated_in_the_future_is_red(warehouse: Warehouse) -> None:
    load_days(warehouse, SOURCE, ACCOUNT, day(0))
    execute(warehouse, "UPDATE ops.day_state SET observed_at = now() + interval '1 day'")
    [red] = status(warehouse, day(0)).red
    assert "in the future" in red.why
