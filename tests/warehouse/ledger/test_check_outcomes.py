"""Outcomes of checks: one a check and day of an account, the latest."""

from __future__ import annotations

from datetime import date

from dagster_project.model.check_outcome import CheckOutcome
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.check_outcomes import failing_checks, write_refused

DAY = date(2024, 5, 1)


def test_the_latest_outcome_stands(warehouse: Warehouse) -> None:
    failing = CheckOutcome("readable", False, "error", "it said +79261234567", causes=("a",))
    with warehouse.connect(autocommit=True) as connection:
        write_refused(connection, "calltouch", "101", [DAY], failing)
        [one] = failing_checks(connection, "calltouch")
        assert (one.day, one.check_name, one.severity, one.causes) == (
            *(DAY, "readable", "error", ["a"]),
        )
        assert "9261234567" not in one.said
        assert failing_checks(connection, "trust") == []
        write_refused(
            connection, "calltouch", "101", [DAY], CheckOutcome("readable", True, "error", "")
        )
        assert failing_checks(connection) == []
