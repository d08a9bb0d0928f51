"""The dictionary: every table, view and column says what it is."""

from __future__ import annotations

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema import dictionary


def test_everything_carries_a_comment(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        assert dictionary.uncommented(connection, (*dictionary.SCHEMAS, "mart")) == []


def test_an_uncommented_column_would_be_found(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute("CREATE VIEW bi.silent AS SELECT 1 AS number")
        assert dictionary.uncommented(connection, ("bi",)) == ["bi.silent", "bi.silent.number"]


def test_bi_stands_first_and_names_column_type_and_meaning(warehouse: Warehouse) -> None:
    with warehouse.connect(what="test") as connection:
        text = dictionary.dictionary(connection)
    assert text.startswith("## Schema `bi`\n")
    assert "| `price_per_credit` | numeric | amount / credits, six decimals;" in text
    assert "calltouch_sms_2" not in text
