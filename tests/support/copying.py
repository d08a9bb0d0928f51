"""Records sent through a real COPY BINARY, and what Postgres then says stands there."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack
from typing import Any

from psycopg import Connection, sql

from dagster_project.model.table import Column

OPENING = b"PGCOPY\n\xff\r\n\0" + bytes(8)
CLOSING = b"\xff\xff"
AS_TEXT = {"json", "numeric"}


class CopyTable:
    """A temporary table, gone with its connection, that takes the records of ``columns``.

    Types in ``AS_TEXT`` are read back as Postgres prints them.
    """

    def __init__(self, connection: Connection[Any], columns: Sequence[Column]) -> None:
        self.connection = connection
        self.count = pack(">h", len(columns))
        types = (
            sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type))
            for column in columns
        )
        connection.execute("DROP TABLE IF EXISTS pg_temp.copied")
        connection.execute(
            sql.SQL("CREATE TEMP TABLE copied (place serial, {})").format(sql.SQL(", ").join(types))
        )
        self.names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
        self.shown = sql.SQL(", ").join(
            sql.SQL("{}::text" if column.type in AS_TEXT else "{}").format(
                sql.Identifier(column.name)
            )
            for column in columns
        )

    def round_trip(self, records: Sequence[bytes]) -> list[tuple[Any, ...]]:
        """The rows that Postgres read from ``records``, in their order."""
        connection = self.connection
        connection.execute("TRUNCATE pg_temp.copied")
        statement = sql.SQL("COPY pg_temp.copied ({}) FROM STDIN (FORMAT binary)").format(
            self.names
        )
        with connection.cursor().copy(statement) as copy:
            copy.write(OPENING + b"".join(self.count + record for record in records) + CLOSING)
        return connection.execute(
            sql.SQL("SELECT {} FROM pg_temp.copied ORDER BY place").format(self.shown)
        ).fetchall()
