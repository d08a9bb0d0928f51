"""The dictionary of tables in the README, written from the database's own comments.

Grain: one table or view a section, one column a line, schema by schema: ``bi`` first, which is for
readers. Partitions are left out. ``python -m dagster_project.warehouse.schema.dictionary --write README.md``
replaces what stands between the markers, each schema folded; a test fails when the README lags
behind the database.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from dagster_project.config.settings import load_settings
from dagster_project.errors import SettingsError, WarehouseError
from dagster_project.warehouse.connection import Connection, Warehouse

BEGIN, END = "<!-- dictionary -->", "<!-- /dictionary -->"
SCHEMAS = ("bi", "bi_pii", "warehouse", "raw", "ops")

COMMENTS = """
SELECT n.nspname, c.relname, c.relkind = 'v', obj_description(c.oid, 'pg_class'), a.attname,
    format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
ORDER BY array_position(%s, n.nspname::text), c.relname, a.attnum
"""

Line = tuple[str, str, bool, str | None, str, str, str | None]


def dictionary(connection: Connection, schemas: Sequence[str] = SCHEMAS) -> str:
    """Markdown of every table and view of these schemas, from their comments."""
    names = list(schemas)
    lines: list[Line] = connection.execute(COMMENTS, (names, names)).fetchall()
    parts = []
    for schema, of_schema in groupby(lines, key=lambda line: line[0]):
        parts.append(_schema(schema, list(of_schema)))
    return "\n\n".join(parts)


def uncommented(connection: Connection, schemas: Sequence[str] = SCHEMAS) -> list[str]:
    """Tables, views and columns of these schemas that say nothing of themselves."""
    names = list(schemas)
    lines: list[Line] = connection.execute(COMMENTS, (names, names)).fetchall()
    tables = {f"{line[0]}.{line[1]}" for line in lines if not line[3]}
    columns = [f"{line[0]}.{line[1]}.{line[4]}" for line in lines if not line[6]]
    return sorted(tables) + columns


def put_into(text: str, tables: str) -> str:
    """``text`` with ``tables`` between its markers.

    Raises:
        SettingsError: the markers are not there, once each and in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SettingsError(
            "the text has no place for the dictionary.", way_out=f"give it {BEGIN} and {END}."
        )
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def _schema(schema: str, lines: Sequence[Line]) -> str:
    sections = [_table(list(of_table)) for _, of_table in groupby(lines, key=lambda line: line[1])]
    body = "\n\n".join(sections)
    return f"<details><summary>Schema <code>{schema}</code></summary>\n\n{body}\n\n</details>"


def _table(lines: Sequence[Line]) -> str:
    schema, name, _, meaning = lines[0][:4]
    rows = [f"| `{column}` | {kind} | {_cell(says)} |" for *_, column, kind, says in lines]
    head = f"#### `{schema}.{name}`\n{_cell(meaning)}\n\n| column | type | meaning |"
    return "\n".join([head, "| --- | --- | --- |", *rows])


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the dictionary, or write it into a file between its markers."""
    parser = argparse.ArgumentParser(prog="python -m dagster_project.warehouse.schema.dictionary")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put it into FILE")
    options = parser.parse_args(arguments)
    try:
        with Warehouse.open(load_settings()).connect(what="dictionary") as connection:
            tables = dictionary(connection)
        if options.write is None:
            print(tables)
        else:
            text = options.write.read_text(encoding="utf-8")
            options.write.write_text(put_into(text, tables), encoding="utf-8")
    except WarehouseError as error:
        print(error)
        return error.exit_status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
