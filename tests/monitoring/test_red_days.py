"""Why days of accounts are red, read from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from dagster_project.monitoring.account_status import read_account_statuses
from dagster_project.monitoring.lateness import Expected
from dagster_project.warehouse.connection import Warehouse
from tests.monitoring.test_account_status import ACCOUNT, SOURCE, day, execute, status
from tests.support.ledger import load_days
from tests.support.statements import counted_statements


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
    assert "unreadable dateSent" in red.why
    assert red.records == 1
    execute(warehouse, "UPDATE ops.rejected_record SET resolved_at = now()")
    execute(warehouse, "UPDATE ops.load_receipt SET rows_received = 9")
    [red] = status(warehouse, day(0)).red
    assert red.why == "9 records received, 6 loaded or rejected."


def test_a_day_that_is_dated_in_the_future_is_red(warehouse: Warehouse) -> None:
    load_days(warehouse, SOURCE, ACCOUNT, day(0))
    execute(warehouse, "UPDATE ops.day_state SET observed_at = now() + interval '1 day'")
    [red] = status(warehouse, day(0)).red
    assert "in the future" in red.why


def test_each_account_has_its_own_red_days_and_many_take_no_more_queries_than_one(
    warehouse: Warehouse,
) -> None:
    labels = [str(number) for number in range(101, 121)]
    for number, label in enumerate(labels):
        days = [day(0), day(2)] if number % 2 else [day(0), day(1), day(2)]
        load_days(warehouse, SOURCE, label, *days, rows=5)
    execute(
        warehouse,
        "INSERT INTO ops.extraction (source, account, first_day, last_day, outcome, code_version,"
        " failure, failure_kind) VALUES ('calltouch', '103', %s, %s, 'failed', 't', 'it was away.',"
        " 'TryLater')",
        day(2),
        day(2),
    )

    def look(accounts: Sequence[str]) -> tuple[dict[str, list[date]], int]:
        with counted_statements() as asked, warehouse.connect(autocommit=True) as connection:
            found = read_account_statuses(
                connection, [Expected(SOURCE, label, day(2)) for label in accounts]
            )
        return {key[1]: [one.day for one in of.red] for key, of in found.items()}, len(asked)

    _, of_one = look(labels[1:2])
    red, of_all = look(labels)
    assert red == {
        label: [*([day(1)] if number % 2 else []), *([day(2)] if label == "103" else [])]
        for number, label in enumerate(labels)
    }
    assert of_all == of_one


def test_receipts_that_do_not_add_up_are_found_without_reading_all_receipts(
    warehouse: Warehouse,
) -> None:
    """Status of 1,000 sites after 400 nights read three million of them to find none."""
    load_days(warehouse, SOURCE, ACCOUNT, day(0), rows=5)
    with counted_statements() as sent:
        assert status(warehouse, day(0)).red == ()
    [query] = [one for one in sent if "r.rows_received" in str(one)]
    with warehouse.connect_admin() as connection:
        connection.execute("SET enable_seqscan = off")
        rows = connection.execute(
            f"EXPLAIN {query}", {"sources": [SOURCE], "accounts": [ACCOUNT]}
        ).fetchall()
    assert "load_receipt_unequal" in str(rows)
