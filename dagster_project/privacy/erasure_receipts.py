"""``ops.erasure``: what each erasure did, from its beginning to its end.

A receipt that is open belongs to an erasure that is under way, or was stopped before its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from dagster_project.text.pseudonyms import fingerprint
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger.extractions import CODE_VERSION
from dagster_project.warehouse.ledger.manual_acts import note_act
from dagster_project.warehouse.queries import fetch_value


@dataclass(frozen=True)
class Erased:
    """What an erasure did; also its receipt. ``is_closed``: loads and readers are kept out still."""

    erasure_id: int
    numbers: int
    rows: int = 0
    responses: int = 0
    rejects: int = 0
    days: tuple[tuple[str, date], ...] = ()
    is_closed: bool = False

    def with_day(self, account: str, day: date, rows: int) -> Erased:
        """The same with a day more, where rows of it were rewritten."""
        if not rows:
            return self
        return replace(self, rows=self.rows + rows, days=(*self.days, (account, day)))


def open_receipt(connection: Connection, numbers: int, secret: str, verb: str) -> int:
    """Note that an erasure begins, and who began it."""
    return int(
        fetch_value(
            connection,
            "INSERT INTO ops.erasure (numbers, key_fingerprint, code_version, act_id)"
            " VALUES (%s, %s, %s, %s) RETURNING erasure_id",
            (numbers, fingerprint(secret), CODE_VERSION, note_act(connection, verb)),
        )
    )


def close_receipts(connection: Connection, done: Erased, numbers: Sequence[bytes]) -> None:
    """Also of earlier erasures that were stopped, where all of their numbers were given again."""
    connection.execute(
        "UPDATE ops.erasure SET finished_at = now(), numbers = %s, rows_erased = %s, responses = %s,"
        " rejects = %s, days = %s WHERE erasure_id = %s",
        (
            done.numbers,
            done.rows,
            done.responses,
            done.rejects,
            len(done.days),
            done.erasure_id,
        ),
    )
    connection.execute(
        "UPDATE ops.erasure e SET finished_at = now() WHERE finished_at IS NULL AND NOT EXISTS ("
        " SELECT FROM ops.suppressed_number s WHERE s.erasure_id = e.erasure_id"
        " AND s.number_hash <> ALL (%s::bytea[]))",
        (list(numbers),),
    )


def unfinished(connection: Connection) -> list[int]:
    """Erasures that are under way, or were stopped before their end."""
    rows = connection.execute(
        "SELECT erasure_id FROM ops.erasure WHERE finished_at IS NULL ORDER BY erasure_id"
    ).fetchall()
    return [row[0] for row in rows]
