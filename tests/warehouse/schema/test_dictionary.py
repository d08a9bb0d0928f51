"""The dictionary: every table, view and column says what it is, and the README repeats it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_project.errors import SettingsError
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema import dictionary

README = Path(__file__).resolve().parents[3] / "README.md"


def test_everything_carries_a_comment(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        assert dictionary.uncommented(connection, (*dictionary.SCHEMAS, "mart")) == []


def test_an_uncommented_column_would_be_found(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute("CREATE VIEW bi.silent AS SELECT 1 AS number")
        assert dictionary.uncommented(connection, ("bi",)) == ["bi.silent", "bi.silent.number"]


def test_readme_repeats_the_databases_comments(warehouse: Warehouse) -> None:
    with warehouse.connect(what="test") as connection:
        text = README.read_text(encoding="utf-8")
        assert dictionary.put_into(text, dictionary.dictionary(connection)) == text, (
            "run python -m dagster_project.warehouse.schema.dictionary --write README.md"
        )


def test_bi_stands_first_and_names_column_type_and_meaning(warehouse: Warehouse) -> None:
    with warehouse.connect(what="test") as connection:
        text = dictionary.dictionary(connection)
    assert text.startswith("<details><summary>Schema <code>bi</code>")
    assert "| `price_per_credit` | numeric | amount / credits, six decimals;" in text
    assert "calltouch_sms_2" not in text


def test_a_text_without_markers_is_refused() -> None:
    with pytest.raises(SettingsError, match="no place for the dictionary"):
        dictionary.put_into("<!-- dictionary -->", "x")
