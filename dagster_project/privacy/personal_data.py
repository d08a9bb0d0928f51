"""What of the warehouse holds personal data, feed by feed: what erasure, reduction and rekeying work on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from psycopg import sql

from dagster_project.model.privacy import Personal, Reduction, Suppression
from dagster_project.model.table import Table
from dagster_project.model.window import Account
from dagster_project.text.pseudonyms import PseudonymKeys
from dagster_project.warehouse.connection import Connection


@dataclass(frozen=True)
class Reducible:
    """What of the warehouse holds a feed's personal data of old days.

    ``account_of`` knows every label that was ever loaded, configured still or not. ``lock_whole``: its loads
    lock all days at once.
    """

    source: str
    table: Table
    account_of: Callable[[str], Account]
    reduction: Reduction
    lock_whole: bool

    def accounts(self, connection: Connection) -> list[Account]:
        """Every account that has loaded days."""
        rows = connection.execute(
            "SELECT DISTINCT account FROM ops.day_state WHERE source = %s ORDER BY account",
            (self.source,),
        )
        return [self.account_of(row[0]) for row in rows.fetchall()]


@dataclass(frozen=True)
class PersonalDataScope(Reducible):
    """What of the warehouse holds a feed's people; its rows have pseudonyms under ``keys``."""

    personal: Personal
    keys: PseudonymKeys

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns in which a number may stand among other words."""
        return self.personal.columns.texts

    def identifiers(self) -> dict[str, sql.Composable]:
        """Table and columns by their roles, for a statement; ``in_texts`` takes a pattern for each text."""
        columns = self.personal.columns
        return {
            "table": sql.Identifier(self.table.name),
            "account": sql.Identifier(self.table.account_column),
            "day": sql.Identifier(self.table.day_column),
            "phone": sql.Identifier(columns.phone),
            "person": sql.Identifier(columns.person),
            "texts": sql.SQL(", ").join(map(sql.Identifier, columns.texts)),
            "in_texts": sql.SQL(" OR ").join(
                sql.SQL("{} ~ %s").format(sql.Identifier(column)) for column in columns.texts
            ),
        }

    def reject_redactor(self, suppressed: Suppression) -> Callable[[str], str | None]:
        """Takes these numbers out of a rejected record."""
        return lambda original: self.personal.redact_reject(original, suppressed)
