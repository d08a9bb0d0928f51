"""A warehouse table as the loader sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column that rows carry: its name and its Postgres type (``text``, ``bigint``, ``json`` …)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Table:
    """A warehouse table as the loader sees it.

    ``columns`` are what ``Batch.records`` hold, in order, beginning with day and account column. The
    loader adds ``content_hash``, ``occurrence`` (where ``has_occurrence``), ``first_loaded_at``,
    ``changed_at`` and ``observed_column``, which dates when a row was first seen with
    ``observed_when`` true. ``key_sql`` computes a row's 16-byte key as uuid. Where
    ``identity_has_day`` is false, a key that turns up on another day is the same row, moved.
    ``fields`` are the vendor's fields whose disappearance is a change of shape, each with the column
    that holds its value. ``compared`` are the columns by which a held answer is shown beside what
    stands: texts by how often each occurs, numbers by their sum.
    """

    name: str
    day_column: str
    account_column: str
    columns: Sequence[Column]
    key_columns: Sequence[str]
    key_sql: str
    has_occurrence: bool = False
    identity_has_day: bool = True
    observed_column: str | None = None
    observed_when: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    compared: tuple[str, ...] = ()
