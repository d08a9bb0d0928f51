"""Read the existing rows of a window as arrays, by binary COPY."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from dagster_project.model.table import Table
from dagster_project.model.window import Window
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.load.conditions import window_condition
from dagster_project.warehouse.load.row_index import ExistingRows, Identities

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
COPY_TRAILER = b"\xff\xff"
_EXISTING_ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("day_size", ">i4"),
        ("day", ">i4"),
        ("key_size", ">i4"),
        ("key", "V16"),
        ("hash_size", ">i4"),
        ("hash", ">i8"),
        ("occurrence_size", ">i4"),
        ("occurrence", ">i4"),
    ]
)
_FLUSH_BYTES = 1 << 20


def read_existing_rows(
    connection: Connection,
    table: Table,
    window: Window,
    skip: Iterable[date],
) -> ExistingRows:
    """Read day, identity, hash and occurrence of the window's rows, without the days to skip."""
    query = sql.SQL(
        "COPY (SELECT {day}, {key}, content_hash, {occurrence} FROM warehouse.{table}"
        " WHERE {where} AND NOT {day} = ANY({skip}::date[])) TO STDOUT (FORMAT binary)"
    ).format(
        day=sql.Identifier(table.day_column),
        key=sql.SQL(table.key_sql),
        occurrence=sql.SQL("occurrence" if table.has_occurrence else "1"),
        table=sql.Identifier(table.name),
        where=window_condition(table, window),
        skip=sql.Literal(list(skip)),
    )
    parts: list[NDArray[Any]] = []
    pending = bytearray()
    with connection.cursor().copy(query) as copy:
        for data in copy:
            pending += data
            if len(pending) > _FLUSH_BYTES:
                parts.append(_whole_rows(pending, first=not parts))
                pending.clear()
    if len(pending) > len(COPY_TRAILER):
        parts.append(_whole_rows(pending, first=not parts))
    rows = np.concatenate(parts) if parts else np.empty(0, _EXISTING_ROW)
    days = rows["day"].astype(np.int32)
    keys = np.ascontiguousarray(rows["key"]).tobytes()
    return ExistingRows(
        Identities.from_keys(keys, days, with_day=table.identity_has_day),
        days,
        rows["hash"].astype(np.int64).view(np.uint64),
        rows["occurrence"].astype(np.int32),
    )


def _whole_rows(data: bytearray, *, first: bool) -> NDArray[Any]:
    start = len(COPY_HEADER) if first else 0
    count = (len(data) - start) // _EXISTING_ROW.itemsize
    return np.frombuffer(bytes(data), _EXISTING_ROW, count=count, offset=start)
