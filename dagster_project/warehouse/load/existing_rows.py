"""Read the existing rows of a window as arrays, by binary COPY."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from dagster_project.model.table import Table
from dagster_project.model.window import Window
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.load.conditions import window_condition
from dagster_project.warehouse.load.row_index import ExistingRows, Identities, Words

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
COPY_TRAILER = b"\xff\xff"
_EXISTING_ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("day_size", ">i4"),
        ("day", ">i4"),
        ("key_size", ">i4"),
        ("high", ">u8"),
        ("low", ">u8"),
        ("hash_size", ">i4"),
        ("hash", ">u8"),
        ("occurrence_size", ">i4"),
        ("occurrence", ">i4"),
    ]
)
_FLUSH_BYTES = 1 << 20


class _Part(NamedTuple):
    """Columns of some rows."""

    days: NDArray[np.int32]
    high: Words
    low: Words
    hashes: Words
    occurrences: NDArray[np.int32]


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
    parts: list[_Part] = []
    pending = bytearray()
    with connection.cursor().copy(query) as copy:
        for data in copy:
            pending += data
            if len(pending) > _FLUSH_BYTES:
                parts.append(_read_part(pending, first=not parts))
                pending.clear()
    if len(pending) > len(COPY_TRAILER) or not parts:
        parts.append(_read_part(pending, first=not parts))
    days, high, low, hashes, occurrences = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    del parts
    return ExistingRows(
        Identities.from_words(high, low, days, with_day=table.identity_has_day),
        days,
        hashes,
        occurrences,
    )


def _read_part(data: bytearray, *, first: bool) -> _Part:
    """The whole rows of a part of the stream: 32 bytes each, where the stream has 44."""
    start = len(COPY_HEADER) if first else 0
    count = max(0, len(data) - start) // _EXISTING_ROW.itemsize
    rows = np.frombuffer(bytes(data), _EXISTING_ROW, count=count, offset=start if count else 0)
    return _Part(
        rows["day"].astype(np.int32),
        rows["high"].astype(np.uint64),
        rows["low"].astype(np.uint64),
        rows["hash"].astype(np.uint64),
        rows["occurrence"].astype(np.int32),
    )
