"""Conditions of queries on a warehouse table: the rows of a window, and of an account."""

from __future__ import annotations

from psycopg import sql

from dagster_project.model.table import Table
from dagster_project.model.window import Window


def window_condition(table: Table, window: Window) -> sql.Composable:
    return sql.SQL("{day} BETWEEN {first} AND {last} AND {of_account}").format(
        day=sql.Identifier(table.day_column),
        first=sql.Literal(window.first_day),
        last=sql.Literal(window.last_day),
        of_account=account_condition(table, window.account.label),
    )


def account_condition(table: Table, label: str) -> sql.Composable:
    account_type = next(c.type for c in table.columns if c.name == table.account_column)
    account: object = int(label) if account_type == "bigint" else label
    return sql.SQL("{} = {}").format(sql.Identifier(table.account_column), sql.Literal(account))
