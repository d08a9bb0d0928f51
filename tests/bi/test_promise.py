"""The promise for readers (docs/bi.md): names, types and meanings that stay, and how a column is retired."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.dictionary import COMMENTS, columns_of_bi
from dagster_project.warehouse.schema.migrate import migrate
from tools.documents import DOCS, bi_columns_page

LISTED = re.compile(r"^\| `([\w.]+)` \| (.+) \|$", re.MULTILINE)
RETIRED = re.compile(r"Retired in \d+\.\d+\.\d+: ")
PROMISE = (
    "a query of a reader may name it: keep it as NULL for one release, its comment beginning with"
    " 'Retired in VERSION:' (docs/bi.md, What stays)"
)


@pytest.fixture
def found(warehouse: Warehouse) -> dict[str, str]:
    with warehouse.connect(what="test") as connection:
        return dict(columns_of_bi(connection))


@pytest.mark.both_servers
def test_every_promised_column_is_there_with_its_type(found: dict[str, str]) -> None:
    promised = dict(LISTED.findall((DOCS / "bi-columns.md").read_text()))
    assert len(promised) > 100
    broken = {name: kind for name, kind in promised.items() if found.get(name) != kind}
    assert broken == {}, PROMISE


def test_the_list_has_every_column(warehouse: Warehouse) -> None:
    with warehouse.connect(what="test") as connection:
        page = bi_columns_page(connection)
    assert (DOCS / "bi-columns.md").read_text() == page, "run `make docs`"


def test_no_column_is_retired_in_another_way_than_promised(warehouse: Warehouse) -> None:
    assert retired_wrongly(warehouse) == []


def test_a_retired_column_is_null_of_its_type_and_its_comment_names_the_release(
    warehouse: Warehouse, server: Any, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(server.sql, tmp_path / "sql"))
    retire(folder / "views" / "bi.sms_day.sql", "repeats", "d.repeats", "NULL::integer AS repeats")
    migrate(warehouse, folder=folder)
    assert retired_wrongly(warehouse) == []
    with warehouse.connect(what="test") as connection:
        assert dict(columns_of_bi(connection))["bi.sms_day.repeats"] == "integer"

    retire(folder / "views" / "bi.account.sql", "currency", "currency", "currency")
    migrate(warehouse, folder=folder)
    assert retired_wrongly(warehouse) == ["bi.account.currency"]


def retire(view: Path, column: str, told: str, instead: str) -> None:
    text = view.read_text()
    name = f"{view.stem}.{column}"
    text = re.sub(rf"(COLUMN {name} IS ')", r"\1Retired in 0.2.0: ", text)
    view.write_text(text.replace(told, instead, 1))


def retired_wrongly(warehouse: Warehouse) -> list[str]:
    """Columns whose comment says that they are retired, but not when, or that still tell something."""
    schemas = ["bi", "bi_detail", "bi_pii"]
    wrong = []
    with warehouse.connect_admin() as connection:
        for schema, view, _, _, column, kind, says in connection.execute(
            COMMENTS, (schemas, schemas)
        ).fetchall():
            if "retired" not in (says or "").lower():
                continue
            row = connection.execute(
                "SELECT pg_get_viewdef(to_regclass('mart.all_' || %s))", (view,)
            ).fetchone()
            assert row is not None
            if not (RETIRED.match(says) and f"NULL::{kind} AS {column}" in str(row[0])):
                wrong.append(f"{schema}.{view}.{column}")
    return wrong
