"""Recognize a restored dump or an older copy of the database, and keep readers and loads out of it.

A backup does not know who was erased after it was made. The database recognizes that it is not where the
suppression list was last applied (``sql/functions/ops.is_restored.sql``); then its views raise an error.
A copy of the files looks the same, but is *behind*: the number of its newest erasure is lower than the
highest that ``WAREHOUSE_HOME`` has seen (``SeenErasures``). Whatever notices first (a migration, a load, an
erasure) closes the schemas of BI. They are opened again once the suppression list was applied to all that
is stored (``forget_again``).
"""

from __future__ import annotations

from dagster_project.errors import SettingsError
from dagster_project.text.remedies import APPLY_ERASURES
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.queries import fetch_value
from dagster_project.warehouse.seen_erasures import SeenErasures

RESTORED_DUMP = (
    "this warehouse is a restored dump: people who were erased after the dump was made may be in it;"
    " loads are refused and BI is closed."
)


def is_restored(connection: Connection, seen: SeenErasures | None = None) -> bool:
    """Whether the suppression list has yet to be applied here; ``seen`` recognizes an older copy too."""
    if fetch_value(connection, "SELECT ops.is_restored()"):
        return True
    return is_behind(connection, seen)


def is_behind(connection: Connection, seen: SeenErasures | None) -> bool:
    """Whether the home has seen a newer erasure than this database has."""
    return newest_erasure(connection) < _highest(connection, seen)


def close_restored(connection: Connection, seen: SeenErasures | None = None) -> bool:
    """Keep readers out of a restored dump; return whether this is one. False if there is no schema yet.

    For any other database, ``seen`` keeps the number of the newest erasure.
    """
    if fetch_value(connection, "SELECT to_regprocedure('ops.close_restored(bigint)')") is None:
        return False
    highest = _highest(connection, seen)
    if fetch_value(connection, "SELECT ops.close_restored(%s)", (highest,)):
        return True
    note_seen(connection, seen)
    return False


def refuse_restored(warehouse: Warehouse) -> None:
    """Refuse to go on in a restored dump, as ``refuse_restored_dump``."""
    with (
        safe_errors("looking whether this is a restored dump"),
        warehouse.connect(what="restored", autocommit=True) as connection,
    ):
        refuse_restored_dump(connection, warehouse.seen_erasures)


def refuse_restored_dump(connection: Connection, seen: SeenErasures | None) -> None:
    """
    Raises:
        SettingsError: the suppression list was not applied here; readers are kept out.
    """
    if close_restored(connection, seen):
        raise SettingsError(RESTORED_DUMP, hint=APPLY_ERASURES)


def note_applied(connection: Connection, seen: SeenErasures | None) -> None:
    """Note that the suppression list was applied to all that is stored; let loads and readers in."""
    highest = _highest(connection, seen)
    connection.execute("SELECT ops.suppression_was_applied(%s)", (highest,))


def note_seen(connection: Connection, seen: SeenErasures | None) -> None:
    """Keep the number of the newest erasure in the home; the erasure must be committed."""
    if seen is not None:
        seen.note(warehouse_id(connection), newest_erasure(connection))


def newest_erasure(connection: Connection) -> int:
    """The number of the newest erasure whose people are on the list."""
    return int(fetch_value(connection, "SELECT erasures FROM ops.privacy"))


def warehouse_id(connection: Connection) -> str:
    """The id that this warehouse shares with its copies only."""
    return str(fetch_value(connection, "SELECT warehouse_id::text FROM ops.privacy"))


def has_changed_timeline(connection: Connection) -> bool:
    """Whether the server recovered, or another one took over, since the list was last applied."""
    return bool(
        fetch_value(connection, "SELECT timeline <> ops.timeline() FROM ops.suppression_applied")
    )


def _highest(connection: Connection, seen: SeenErasures | None) -> int:
    return seen.highest(warehouse_id(connection)) if seen is not None else 0
