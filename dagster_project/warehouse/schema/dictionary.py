"""The data dictionary, made from the database's own comments: ``docs/data-dictionary.md``.

Grain: a section for each table or view, a line for each column, by schema: ``bi`` first, which is for
readers. Partitions are left out. ``python -m tools.documents`` writes the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from dagster_project.warehouse.connection import Connection

SCHEMAS = ("bi", "bi_detail", "bi_pii", "warehouse", "raw", "ops")

COMMENTS = """
SELECT n.nspname, c.relname, c.relkind = 'v', obj_description(c.oid, 'pg_class'), a.attname,
    format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
ORDER BY array_position(%s, n.nspname::text), c.relname, a.attnum
"""

BI_COLUMNS = """
SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname), format_type(a.atttypid, a.atttypmod)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname IN ('bi', 'bi_detail', 'bi_pii')
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'v' ORDER BY n.nspname, c.relname, a.attnum
"""

Line = tuple[str, str, bool, str | None, str, str, str | None]


def dictionary(connection: Connection, schemas: Sequence[str] = SCHEMAS) -> str:
    """The tables and views of these schemas in Markdown, from their comments."""
    names = list(schemas)
    lines: list[Line] = connection.execute(COMMENTS, (names, names)).fetchall()
    parts = []
    for schema, of_schema in groupby(lines, key=lambda line: line[0]):
        parts.append(_schema(schema, list(of_schema)))
    return "\n\n".join(parts)


def columns_of_bi(connection: Connection) -> list[tuple[str, str]]:
    """Every column of the views for readers, with its type."""
    return [(str(name), str(kind)) for name, kind in connection.execute(BI_COLUMNS).fetchall()]


def _schema(schema: str, lines: Sequence[Line]) -> str:
    sections = [_table(list(of_table)) for _, of_table in groupby(lines, key=lambda line: line[1])]
    return "\n\n".join([f"## Schema `{schema}`", *sections])


def _table(lines: Sequence[Line]) -> str:
    schema, name, _, meaning = lines[0][:4]
    rows = [f"| `{column}` | {kind} | {_cell(says)} |" for *_, column, kind, says in lines]
    head = f"### `{schema}.{name}`\n\n{_cell(meaning)}\n\n| column | type | meaning |"
    return "\n".join([head, "| --- | --- | --- |", *rows])


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
