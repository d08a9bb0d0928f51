"""Figures of a day's rows, by which a held answer is compared with the existing rows.

Grain: one local day of one account. Figures are the number of rows; the rows with a value in each of the
vendor's fields; and, of the table's compared columns, how often each text occurs and the sums of numbers.
Digits in texts are masked, since a vendor that mixes up its fields may put a phone number anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from psycopg import sql

from dagster_project.model.table import Table
from dagster_project.model.window import Window
from dagster_project.text.scrub import hide_secrets
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.load.conditions import window_condition

VALUES_SHOWN: Final = 20
"""How many values of a column are shown one by one; the others are added up."""
LONGEST_VALUE: Final = 60
ROWS: Final = "rows"
WITH: Final = "rows with "
Figure = int | str
Figures = dict[str, Figure]
_DIGIT: Final = re.compile(r"\d")


def figures_of(
    connection: Connection, table: Table, window: Window, days: Sequence[date]
) -> dict[date, Figures]:
    """The figures of these days as the transaction sees them."""
    found: dict[date, Figures] = {day: {ROWS: 0} for day in days}
    types = {column.name: column.type for column in table.columns}
    for day, count in _select(connection, table, window, days, "count(*)"):
        found[day][ROWS] = int(count)
    for field, name in table.fields:
        for day, count in _select(connection, table, window, days, "count({})", name):
            found[day][f"{WITH}{field}"] = int(count)
    for name in table.compared:
        if types[name] == "text":
            _count_values(connection, table, window, days, name, found)
        else:
            for day, total in _select(connection, table, window, days, "sum({})", name):
                found[day][f"sum of {name}"] = "NULL" if total is None else _plain(total)
    return found


def compare_figures(
    standing: Mapping[str, Figure], held: Mapping[str, Figure]
) -> dict[str, list[Figure]]:
    """Each figure as it is now, and as it would be.

    The rows with a value in a field are left out if they are all rows, before and after.
    """
    rows = [standing.get(ROWS, 0), held.get(ROWS, 0)]
    both = {
        name: [standing.get(name, 0), held.get(name, 0)]
        for name in dict.fromkeys([*standing, *held])
    }
    return {name: two for name, two in both.items() if not name.startswith(WITH) or two != rows}


def describe_changes(figures: Mapping[str, Sequence[Figure]]) -> str:
    """Describe the figures that differ: ``rows 500 → 0, status delivered 480 → 0``."""
    return ", ".join(f"{name} {a} → {b}" for name, (a, b) in figures.items() if a != b)


def _count_values(
    connection: Connection,
    table: Table,
    window: Window,
    days: Sequence[date],
    name: str,
    found: dict[date, Figures],
) -> None:
    rows = _select(connection, table, window, days, "count(*)", name, by_value=True)
    shown: dict[date, int] = {}
    for day, value, count in rows:
        shown[day] = shown.get(day, 0) + 1
        label = f"{name} {_masked(value)}" if shown[day] <= VALUES_SHOWN else f"other {name}"
        found[day][label] = int(found[day].get(label, 0)) + int(count)


def _select(
    connection: Connection,
    table: Table,
    window: Window,
    days: Sequence[date],
    what: str,
    column: str = "",
    *,
    by_value: bool = False,
) -> list[tuple[Any, ...]]:
    day = sql.Identifier(table.day_column)
    value = sql.Identifier(column or table.day_column)
    query = sql.SQL(
        "SELECT {day}, {value}{what} FROM warehouse.{table} WHERE {where} AND {day} = ANY(%s)"
        " GROUP BY {day}{by} ORDER BY {day}, count(*) DESC{by}"
    ).format(
        day=day,
        value=sql.SQL("{}, ").format(value) if by_value else sql.SQL(""),
        what=sql.SQL(what).format(value),
        table=sql.Identifier(table.name),
        where=window_condition(table, window),
        by=sql.SQL(", {}").format(value) if by_value else sql.SQL(""),
    )
    return connection.execute(query, (list(days),)).fetchall()


def _masked(value: str | None) -> str:
    if value is None:
        return "NULL"
    return _DIGIT.sub("#", hide_secrets(value))[:LONGEST_VALUE] or "''"


def _plain(total: Decimal | int) -> Figure:
    """A sum as JSON can hold it without losing digits."""
    return int(total) if total == int(total) else str(total)
