"""Two loads of one day wait for one another; loads of other days, accounts and sources do not."""

from __future__ import annotations

from datetime import date

import psycopg
import pytest

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.load.day_locks import lock_days

DAY, NEXT = date(2024, 5, 1), date(2024, 5, 2)


def test_a_day_is_held_until_the_transaction_ends(warehouse: Warehouse) -> None:
    with warehouse.connect() as first, warehouse.connect() as second:
        lock_days(first, "calltouch", "101", [DAY])
        second.execute("SET LOCAL lock_timeout = '200ms'")
        lock_days(second, "calltouch", "101", [NEXT])
        lock_days(second, "calltouch", "102", [DAY])
        lock_days(second, "trust", "101", [DAY])
        with pytest.raises(psycopg.errors.LockNotAvailable):
            lock_days(second, "calltouch", "101", [NEXT, DAY])
        second.rollback()
        first.rollback()
        lock_days(second, "calltouch", "101", [DAY])
