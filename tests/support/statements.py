"""Counts the statements that this process sends to Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg


@contextmanager
def counted_statements() -> Iterator[list[Any]]:
    """The statements sent meanwhile, in order."""
    sent: list[Any] = []
    execute_plainly, copy_plainly = psycopg.Cursor.execute, psycopg.Cursor.copy

    def noted(self: psycopg.Cursor[Any], query: Any, *more: Any, **named: Any) -> Any:
        sent.append(query)
        return execute_plainly(self, query, *more, **named)

    def noted_copy(self: psycopg.Cursor[Any], statement: Any, *more: Any, **named: Any) -> Any:
        sent.append(statement)
        return copy_plainly(self, statement, *more, **named)

    with (
        patch.object(psycopg.Cursor, "execute", noted),
        patch.object(psycopg.Cursor, "copy", noted_copy),
    ):
        yield sent
