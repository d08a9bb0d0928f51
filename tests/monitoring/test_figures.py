"""What the ledger counts for monitoring, account by account."""

from __future__ import annotations

from datetime import date, timedelta

from dagster_project.monitoring import figures
from dagster_project.warehouse.connection import Warehouse
from tests.support.ledger import load_days
from tests.support.statements import counted_statements

DAY = date(2024, 5, 1)


def test_what_stands_is_counted_by_source_and_account(warehouse: Warehouse) -> None:
    load_days(warehouse, "calltouch", "101", DAY, DAY + timedelta(days=1), rows=7)
    load_days(warehouse, "calltouch", "102", DAY, rows=3, settled=False)
    with warehouse.connect(autocommit=True) as connection:
        found = figures.read_loads(connection)
    first, second = found["calltouch", "101"], found["calltouch", "102"]
    assert (first.rows, first.unsettled, first.held) == (14, 0, 0)
    assert (second.rows, second.unsettled, second.held) == (3, 1, 0)


def test_the_last_days_windows_rows_and_rejects_are_counted(warehouse: Warehouse) -> None:
    load_days(warehouse, "calltouch", "101", DAY, rows=7, rejected=2)
    with warehouse.connect_admin() as connection:
        connection.execute(
            "INSERT INTO ops.extraction (source, account, first_day, last_day, outcome, code_version,"
            " requests, points, notes, started_at) VALUES"
            " ('calltouch', '101', %(d)s, %(d)s, 'failed', 't', 3, 6, '{\"answers_429\": 2}', now()),"
            " ('calltouch', '101', %(d)s, %(d)s, 'failed', 't', 9, 9, NULL, now() - interval '2 days')",
            {"d": DAY},
        )
        connection.execute(
            "INSERT INTO ops.request_slot (limiter, slots, held_until)"
            " VALUES ('vendor', '{}', clock_timestamp() + interval '1 minute'),"
            " ('other', '{}', clock_timestamp() - interval '1 minute')"
        )
    with warehouse.connect(autocommit=True) as connection:
        assert sorted(figures.asked(connection)) == [
            ("calltouch", "101", "complete", 1, 1, 2, 0),
            ("calltouch", "101", "failed", 1, 3, 6, 2),
        ]
        [(source, account, *changes)] = figures.loaded(connection)
        assert dict(zip(figures.CHANGES, changes, strict=True)) == {
            **dict.fromkeys(figures.CHANGES, 0),
            "received": 9,
            "inserted": 7,
            "rejected": 2,
        }
        [(limiter, seconds)] = figures.holds(connection)
    assert (source, account, limiter) == ("calltouch", "101", "vendor")
    assert 0 < seconds <= 60


def test_the_last_day_is_found_without_reading_what_was_before(warehouse: Warehouse) -> None:
    """Of 1,000 sites after 400 nights each scrape read six million rows."""
    with counted_statements() as sent, warehouse.connect(autocommit=True) as connection:
        figures.asked(connection)
        figures.loaded(connection)
        asked, loaded = (one.decode() if isinstance(one, bytes) else one for one in sent[-2:])
    with warehouse.connect_admin() as connection:
        connection.execute("SET enable_seqscan = off")
        for query, values, index in (
            (asked, (timedelta(0),), "extraction_by_start"),
            (loaded, None, "load_receipt_by_time"),
        ):
            plan = connection.execute(f"EXPLAIN {query}".encode(), values).fetchall()
            assert f"Scan using {index}" in str(plan) or f"Index Scan on {index}" in str(plan)
            assert "Index Cond" in str(plan)
