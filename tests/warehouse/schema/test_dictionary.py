"""The dictionary: every table, view and column says what it is."""

from __future__ import annotations

from collections.abc import Sequence

from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.schema import dictionary


def test_everything_carries_a_comment(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        assert uncommented(connection, (*dictionary.SCHEMAS, "mart")) == []


def test_an_uncommented_column_would_be_found(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute("CREATE VIEW bi.silent AS SELECT 1 AS number")
        assert uncommented(connection, ("bi",)) == ["bi.silent", "bi.silent.number"]


def test_bi_stands_first_and_names_column_type_and_meaning(warehouse: Warehouse) -> None:
    with warehouse.connect(what="test") as connection:
        text = dictionary.dictionary(connection)
    assert text.startswith("## Schema `bi`\n")
    assert "| `price_per_credit` | numeric(18,6) | amount / credits, six decimals;" in text
    assert "calltouch_sms_2" not in text


def uncommented(connection: Connection, schemas: Sequence[str]) -> list[str]:
    """Tables, views and columns of these schemas that have no comment."""
    names = list(schemas)
    lines = connection.execute(dictionary.COMMENTS, (names, names)).fetchall()
    tables = {f"{line[0]}.{line[1]}" for line in lines if not line[3]}
    columns = [f"{line[0]}.{line[1]}.{line[4]}" for line in lines if not line[6]]
    return sorted(tables) + columns
