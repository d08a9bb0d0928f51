"""An extraction's life, from its first request to its outcome."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from dagster_project import clock
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import Account, Window
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import extractions

FIRST, LAST = date(2024, 5, 1), date(2024, 5, 3)
WINDOW = Window(FIRST, LAST, Account("calltouch", "101", ZoneInfo("Europe/Moscow")))


def test_a_failed_extraction_keeps_what_it_cost_and_no_phone(warehouse: Warehouse) -> None:
    stats = ExtractStats()
    stats.requests, stats.points, stats.pages = 3, 4, 2
    stats.notes["answers_429"] = 1
    with warehouse.connect(autocommit=True) as connection:
        extraction = extractions.begin_extraction(connection, WINDOW, "run")
        [(run, _)] = extractions.runs_under_way(connection)
        assert run == "run"
        extractions.end_extraction(
            connection, extraction, stats, "failed", "refused +79261234567", "RequestRefused"
        )
        assert extractions.runs_under_way(connection) == []
        row = connection.execute(
            "SELECT requests, points, pages, outcome, failure, failure_kind, notes"
            " FROM ops.extraction"
        ).fetchone()
    assert row is not None
    assert row[:4] == (3, 4, 2, "failed")
    assert "79261234567" not in row[4]
    assert row[5:] == ("RequestRefused", {"answers_429": 1})


def test_later_extractions_have_higher_numbers(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        numbers = [
            extractions.begin_extraction(connection, WINDOW, None).extraction_id for _ in range(3)
        ]
    assert numbers == sorted(set(numbers))


def test_a_dead_runs_extractions_are_abandoned_and_no_others(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        for run in ("dead", "dead", "alive", None):
            extractions.begin_extraction(connection, WINDOW, run)
        later = clock.now() + timedelta(minutes=1)
        assert extractions.abandon(connection, "dead", later) == 2
        assert extractions.abandon(connection, None, later - timedelta(days=1)) == 0
        left = [run for run, _ in extractions.runs_under_way(connection)]
    assert sorted(left, key=str) == [None, "alive"]
