"""A restored dump or an older copy: known as one, kept from readers, refused to loads.

A backup knows nothing of those who were erased after it was made. The database itself knows when it stands
elsewhere than where the suppression list was last applied (``sql/functions/ops.is_restored.sql``); its views answer
readers then with an error. A copy of the files stands in the same place and is *behind*: the number of its
newest erasure is lower than the highest that ``WAREHOUSE_HOME`` has seen (``SeenErasures``). Whatever finds out
first (a migration, a load, an erasure) closes the schemas of BI, and they are open again when the suppression
list was applied to all that is stored (``erase_again``).
"""

from __future__ import annotations

from dagster_project.errors import SettingsError
from dagster_project.text.remedies import APPLY_ERASURES
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.queries import fetch_value
from dagster_project.warehouse.seen_erasures import SeenErasures

RESTORED_DUMP = (
    "this warehouse is a restored dump: who was erased after the dump was made may stand in it;"
    " loads are refused and BI is closed."
)


def is_restored(connection: Connection, seen: SeenErasures | None = None) -> bool:
    """Whether the suppression list is still to be applied here; with ``seen`` also to an older copy."""
    if fetch_value(connection, "SELECT ops.is_restored()"):
        return True
    return is_behind(connection, seen)


def is_behind(connection: Connection, seen: SeenErasures | None) -> bool:
    """Whether the home has seen an erasure that this database does not know."""
    return newest_erasure(connection) < _highest(connection, seen)


def close_restored(connection: Connection, seen: SeenErasures | None = None) -> bool:
    """Keep readers out where this is a restored dump; answers whether it is. False where there is no schema yet.

    Of any other database ``seen`` keeps the number.
    """
    if fetch_value(connection, "SELECT to_regprocedure('ops.close_restored(bigint)')") is None:
        return False
    highest = _highest(connection, seen)
    if fetch_value(connection, "SELECT ops.close_restored(%s)", (highest,)):
        return True
    note_seen(connection, seen)
    return False


def refuse_restored(warehouse: Warehouse, *, patience: float = 0) -> None:
    """See that the suppression list was applied here.

    Raises:
        SettingsError: it was not; readers are kept out.
    """
    with (
        safe_errors("looking whether this is a restored dump"),
        warehouse.connect(what="restored", autocommit=True, patience=patience) as connection,
    ):
        if close_restored(connection, warehouse.seen_erasures):
            raise SettingsError(RESTORED_DUMP, hint=APPLY_ERASURES)


def note_applied(connection: Connection, seen: SeenErasures | None) -> None:
    """The suppression list is applied to all that is stored: loads and readers are let in."""
    highest = _highest(connection, seen)
    connection.execute("SELECT ops.suppression_was_applied(%s)", (highest,))


def note_seen(connection: Connection, seen: SeenErasures | None) -> None:
    """The home keeps the number of the newest erasure, which has to be committed."""
    if seen is not None:
        seen.note(warehouse_id(connection), newest_erasure(connection))


def newest_erasure(connection: Connection) -> int:
    """The number of the newest erasure whose people are on the list."""
    return int(fetch_value(connection, "SELECT erasures FROM ops.privacy"))


def warehouse_id(connection: Connection) -> str:
    """What tells this warehouse and its copies from other warehouses."""
    return str(fetch_value(connection, "SELECT warehouse_id::text FROM ops.privacy"))


def has_changed_timeline(connection: Connection) -> bool:
    """Whether the server recovered, or another one took over, since the list was last applied."""
    return bool(
        fetch_value(connection, "SELECT timeline <> ops.timeline() FROM ops.suppression_applied")
    )


def _highest(connection: Connection, seen: SeenErasures | None) -> int:
    return seen.highest(warehouse_id(connection)) if seen is not None else 0
