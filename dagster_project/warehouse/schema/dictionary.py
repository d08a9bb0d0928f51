"""The data dictionary, made from the database's own comments: ``docs/data-dictionary.md``.

Grain: a section for each table or view, a line for each column, by schema: ``bi`` first, which is for
readers. Partitions are left out. ``python -m tools.documents`` writes the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from dagster_project.text.markdown import markdown_table
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

# The tables that each view is made of, through the views below it; and, where the fact across vendors is
# among them, the functions that fill it.
READS = """
WITH RECURSIVE reads (view, relation) AS (
    SELECT c.oid, c.oid FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = ANY (%s) WHERE c.relkind = 'v'
    UNION
    SELECT r.view, d.refobjid FROM reads r
    JOIN pg_rewrite w ON w.ev_class = r.relation
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
        AND d.refclassid = 'pg_class'::regclass
), named (view, name) AS (
    SELECT r.view, n.nspname || '.' || c.relname FROM reads r
    JOIN pg_class c ON c.oid = r.relation AND c.relkind IN ('r', 'p')
    JOIN pg_namespace n ON n.oid = c.relnamespace
)
SELECT v.relnamespace::regnamespace || '.' || v.relname, array_agg(a.name ORDER BY a.name)
FROM (SELECT view, name FROM named UNION
    SELECT m.view, 'mart.' || p.proname FROM named m
    JOIN pg_proc p ON p.pronamespace = 'mart'::regnamespace AND p.proname LIKE '%%\\_messaging'
    WHERE m.name = 'mart.messaging_day') a
JOIN pg_class v ON v.oid = a.view GROUP BY v.oid, 1 ORDER BY 1
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


def relations(connection: Connection, schemas: Sequence[str] = SCHEMAS) -> dict[str, Any]:
    """Tables and views of these schemas: comment, columns with type and comment, and what a view reads."""
    names = list(schemas)
    reads = dict(connection.execute(READS, (names,)).fetchall())
    lines: list[Line] = connection.execute(COMMENTS, (names, names)).fetchall()
    found: dict[str, Any] = {}
    for schema, name, is_view, meaning, column, kind, says in lines:
        key = f"{schema}.{name}"
        empty = {"is_view": is_view, "comment": meaning, "reads": reads.get(key, []), "columns": []}
        found.setdefault(key, empty)["columns"].append([column, kind, says])
    return found


def columns_of_bi(connection: Connection) -> list[tuple[str, str]]:
    """Every column of the views for readers, with its type."""
    return [(str(name), str(kind)) for name, kind in connection.execute(BI_COLUMNS).fetchall()]


def _schema(schema: str, lines: Sequence[Line]) -> str:
    sections = [_table(list(of_table)) for _, of_table in groupby(lines, key=lambda line: line[1])]
    return "\n\n".join([f"## Schema `{schema}`", *sections])


def _table(lines: Sequence[Line]) -> str:
    schema, name, _, meaning = lines[0][:4]
    rows = [(f"`{column}`", kind, _escaped(says)) for *_, column, kind, says in lines]
    table = markdown_table(["column", "type", "meaning"], rows)
    return f"### `{schema}.{name}`\n\n{_escaped(meaning)}\n\n{table}"


def _escaped(text: str | None) -> str:
    return (text or "").replace("<", "&lt;").replace("\n", " ")
