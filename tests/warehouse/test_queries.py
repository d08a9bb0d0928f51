"""One row or one value of a query."""

from __future__ import annotations

import pytest

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.queries import fetch_row, fetch_value


def test_a_value_is_the_first_of_the_first_row_and_none_without_rows(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        assert fetch_row(connection, "SELECT %s::int, 'b'", (1,)) == (1, "b")
        assert fetch_value(connection, "SELECT %(n)s::int, 'b'", {"n": 7}) == 7
        assert fetch_value(connection, "SELECT NULL") is None
        assert fetch_value(connection, "SELECT 1 WHERE false") is None
        with pytest.raises(AssertionError):
            fetch_row(connection, "SELECT 1 WHERE false")
