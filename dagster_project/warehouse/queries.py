"""Queries that return one row, one value, or objects of a class."""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg.abc import Params
from psycopg.abc import QueryNoTemplate as Query
from psycopg.rows import class_row

T = TypeVar("T")


def fetch_row(
    connection: psycopg.Connection[Any], query: Query, values: Params | None = None
) -> tuple[Any, ...]:
    """Fetch the one row of a query that always has one."""
    row: tuple[Any, ...] | None = connection.execute(query, values).fetchone()
    assert row is not None, "a query that always has a row had none"
    return row


def fetch_value(
    connection: psycopg.Connection[Any], query: Query, values: Params | None = None
) -> Any:
    """Fetch the first value of the first row; None if there is no row."""
    row = connection.execute(query, values).fetchone()
    return None if row is None else row[0]


def fetch_as(
    connection: psycopg.Connection[Any], kind: type[T], query: Query, values: Params | None = None
) -> list[T]:
    """Fetch all rows as objects of a class, whose fields the columns are named after."""
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query, values).fetchall()
