"""A warehouse table as the loader sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the vendor's rows: its name and its Postgres type (``text``, ``bigint``, ``json`` …)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Table:
    """A warehouse table as the loader sees it.

    ``columns`` are the fields of ``Batch.records`` in order, beginning with the day and the account. The
    loader adds ``content_hash``, ``occurrence`` (if ``has_occurrence``), ``first_loaded_at``,
    ``changed_at`` and ``observed_column``: when a row was first seen with ``observed_when`` true.
    ``key_sql`` computes a row's 16-byte key as uuid. If ``identity_has_day`` is false, a key that turns
    up on another day is the same row, moved. ``fields`` are the vendor's fields, each with its column;
    if one disappears, the days are held. ``compared`` are the columns by which a held answer is compared
    with the existing rows: texts by how often each occurs, numbers by their sum.
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
