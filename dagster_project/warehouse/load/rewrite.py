"""Rewrite existing rows in place: erase them, reduce them, give them new pseudonyms.

Grain: one account and day, one transaction, under the same lock as a load of that day. A row is written as
a load would write it (its columns, its hash), so the next load finds it unchanged; the day's checksum is
updated. The times at which it was first loaded and first seen final stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import xxhash
from psycopg import sql

from dagster_project.model.copy_binary import encode, encode_record, pack_integer, pack_length
from dagster_project.model.privacy import Values
from dagster_project.model.table import Table
from dagster_project.model.window import Account, Window
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.load.conditions import window_condition
from dagster_project.warehouse.load.day_counts import checksum_of
from dagster_project.warehouse.load.day_locks import lock_days
from dagster_project.warehouse.load.existing_rows import (
    COPY_HEADER,
    COPY_TRAILER,
    read_existing_rows,
)

Change = Callable[[Values], Values | None]
ROWS_AT_ONCE = 10_000
_EIGHT = pack_length(8)


def rewrite_day(
    connection: Connection,
    table: Table,
    account: Account,
    day: date,
    change: Change,
    *,
    lock_whole: bool = False,
) -> int:
    """Rewrite the day's rows by ``change`` (which returns None to keep one); return how many were changed.

    The caller commits. ``lock_whole``: loads of the account lock all of its days at once.
    """
    lock_days(connection, account.source, account.label, [date.min if lock_whole else day])
    window = Window(day, day, account)
    rewrite = _rewrite_numbered if table.has_occurrence else _rewrite_each
    changed = rewrite(connection, table, window, change)
    if changed:
        checksum = checksum_of(read_existing_rows(connection, table, window, ()))
        connection.execute(
            "UPDATE ops.day_state SET checksum = %s"
            " WHERE source = %s AND account = %s AND day = %s",
            (checksum, account.source, account.label, day),
        )
    return changed


def _rewrite_numbered(connection: Connection, table: Table, window: Window, change: Change) -> int:
    """Rewrite all rows of a day at once; keys may change, and equal rows are numbered by occurrence."""
    _create_temp_table(connection, table)
    changed = 0
    for rows in _read_portions(connection, table, window):
        changed += _copy_changed(connection, table, rows, change)
    if changed:
        connection.execute("CREATE INDEX ON rewritten_row (old_key, old_occurrence)")
        connection.execute("ANALYZE rewritten_row")
        connection.execute(_renumber_query(table, window))
        connection.execute(_update_all_query(table, window))
    connection.execute("DROP TABLE rewritten_row")
    return changed


def _rewrite_each(connection: Connection, table: Table, window: Window, change: Change) -> int:
    """Rewrite row by row, for tables with few rows that keep their keys."""
    changed = 0
    for row in [row for rows in _read_portions(connection, table, window) for row in rows]:
        new = change(row)
        if new is not None:
            content_hash = _content_hash(encode_record(table, new, Counter()))
            connection.execute(_update_one_query(table), {**new, "content_hash": content_hash})
            changed += 1
    return changed


def _update_one_query(table: Table) -> sql.Composed:
    changing = [column for column in table.columns if column.name not in table.key_columns]
    sets = [
        sql.SQL("{} = {}::{}").format(
            sql.Identifier(column.name), sql.Placeholder(column.name), sql.SQL(column.type)
        )
        for column in changing
    ]
    keys = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
        for name in table.key_columns
    ]
    return sql.SQL(
        "UPDATE warehouse.{} SET {}, content_hash = %(content_hash)s, changed_at = now() WHERE {}"
    ).format(sql.Identifier(table.name), sql.SQL(", ").join(sets), sql.SQL(" AND ").join(keys))


def _content_hash(record: bytes) -> int:
    """The loader's hash of a record, as the signed number that Postgres stores."""
    return int.from_bytes(xxhash.xxh3_64_intdigest(record).to_bytes(8, "big"), "big", signed=True)


def _create_temp_table(connection: Connection, table: Table) -> None:
    connection.execute(
        sql.SQL(
            "CREATE TEMP TABLE rewritten_row ON COMMIT DROP AS SELECT {key} AS old_key,"
            " occurrence AS old_occurrence, {columns}, content_hash, occurrence"
            " FROM warehouse.{table} WITH NO DATA"
        ).format(
            key=sql.SQL(table.key_sql),
            columns=_column_names(table),
            table=sql.Identifier(table.name),
        )
    )


def _read_portions(
    connection: Connection, table: Table, window: Window
) -> Iterator[list[dict[str, Any]]]:
    names = [column.name for column in table.columns]
    read: list[sql.Composable] = [
        sql.SQL("{}::text" if column.type == "json" else "{}").format(sql.Identifier(column.name))
        for column in table.columns
    ]
    if table.has_occurrence:
        names, read = [*names, "occurrence"], [*read, sql.SQL("occurrence")]
    with connection.cursor(name="rows_to_rewrite") as cursor:
        cursor.execute(
            sql.SQL("SELECT {} FROM warehouse.{} WHERE {}").format(
                sql.SQL(", ").join(read),
                sql.Identifier(table.name),
                window_condition(table, window),
            )
        )
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield [dict(zip(names, row, strict=True)) for row in rows]


def _copy_changed(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], change: Change
) -> int:
    head = (len(table.columns) + 4).to_bytes(2, "big")
    lines = []
    for row in rows:
        occurrence = row.pop("occurrence")
        new = change(row)
        if new is None:
            continue
        record = encode_record(table, new, Counter())
        content_hash = xxhash.xxh3_64_intdigest(record).to_bytes(8, "big")
        number = pack_integer(4, occurrence)
        key = encode("uuid", row[table.key_sql])
        lines.append(b"".join((head, key, number, record, _EIGHT, content_hash, number)))
    if lines:
        with connection.cursor().copy("COPY rewritten_row FROM STDIN (FORMAT binary)") as copy:
            copy.write(COPY_HEADER)
            copy.write(b"".join(lines))
            copy.write(COPY_TRAILER)
    return len(lines)


def _renumber_query(table: Table, window: Window) -> sql.Composed:
    """The statement that numbers rewritten rows after existing rows with the same key."""
    return sql.SQL(
        "UPDATE rewritten_row r SET occurrence = n.number FROM ("
        " SELECT c.old_key, c.old_occurrence, row_number() OVER (PARTITION BY c.{key}"
        "  ORDER BY c.old_key, c.old_occurrence) + coalesce((SELECT count(*)"
        "  FROM warehouse.{table} t WHERE {where} AND t.{key} = c.{key} AND NOT EXISTS (SELECT"
        "   FROM rewritten_row x WHERE x.old_key = t.{key} AND x.old_occurrence = t.occurrence)), 0)"
        "  AS number FROM rewritten_row c) n"
        " WHERE n.old_key = r.old_key AND n.old_occurrence = r.old_occurrence"
        " AND n.number <> r.occurrence"
    ).format(
        key=sql.Identifier(table.key_sql),
        table=sql.Identifier(table.name),
        where=_day_condition(table, window),
    )


def _update_all_query(table: Table, window: Window) -> sql.Composed:
    names = [column.name for column in table.columns]
    changing = [n for n in names if n not in (table.day_column, table.account_column)]
    return sql.SQL(
        "UPDATE warehouse.{table} t SET {sets}, changed_at = now() FROM rewritten_row r"
        " WHERE {where} AND t.{key} = r.old_key AND t.occurrence = r.old_occurrence"
    ).format(
        table=sql.Identifier(table.name),
        sets=sql.SQL(", ").join(
            sql.SQL("{0} = r.{0}").format(sql.Identifier(name))
            for name in (*changing, "content_hash", "occurrence")
        ),
        where=_day_condition(table, window),
        key=sql.Identifier(table.key_sql),
    )


def _day_condition(table: Table, window: Window) -> sql.Composed:
    return sql.SQL("t.{day} = {first} AND t.{account} = {label}").format(
        day=sql.Identifier(table.day_column),
        first=sql.Literal(window.first_day),
        account=sql.Identifier(table.account_column),
        label=sql.Literal(int(window.account.label)),
    )


def _column_names(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
