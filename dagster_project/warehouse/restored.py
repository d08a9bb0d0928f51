"""A restored dump: known as one by the database itself, kept from readers, refused to loads.

A backup knows nothing of those who were erased after it was made. So whatever finds out first that
this is a restored dump (a migration, a load) closes the schemas of BI, and they are open again when
the suppression list was applied to all that is stored (``erase_again``). ``sql/0035_restored.sql`` says how
the database knows.
"""

from __future__ import annotations

from dagster_project.errors import SettingsError
from dagster_project.warehouse.connection import Warehouse, safe_errors
from dagster_project.warehouse.ledger import Connection

WHAT = (
    "this warehouse is a restored dump: who was erased after the dump was made may stand in it;"
    " loads are refused and BI is closed."
)
WAY_OUT = (
    "`warehouse forget --import FILE` with the newest list that `--export` wrote;"
    " without one: the numbers erased since by `warehouse forget`, then `warehouse forget --again`."
)


def is_restored(connection: Connection) -> bool:
    """Whether this is a restored dump to which the suppression list was not applied yet."""
    row = connection.execute("SELECT ops.is_restored()").fetchone()
    return row is not None and bool(row[0])


def close_restored(connection: Connection) -> bool:
    """Keep readers out where this is a restored dump; answers whether it is. False before 0035."""
    row = connection.execute("SELECT to_regprocedure('ops.close_restored()')").fetchone()
    if row is None or row[0] is None:
        return False
    row = connection.execute("SELECT ops.close_restored()").fetchone()
    return row is not None and bool(row[0])


def refuse_restored(warehouse: Warehouse, *, patience: float = 0) -> None:
    """See that the suppression list was applied here.

    Raises:
        SettingsError: it was not; readers are kept out.
    """
    with (
        safe_errors("looking whether this is a restored dump"),
        warehouse.connect(what="restored", autocommit=True, patience=patience) as connection,
    ):
        if not is_restored(connection):
            return
        close_restored(connection)
    raise SettingsError(WHAT, way_out=WAY_OUT)


def note_applied(connection: Connection) -> None:
    """The suppression list is applied to all that is stored: loads and readers are let in."""
    connection.execute("SELECT ops.suppression_was_applied()")


def changed_timeline(connection: Connection) -> bool:
    """Whether the server recovered, or another one took over, since the list was last applied."""
    row = connection.execute(
        "SELECT timeline <> ops.timeline() FROM ops.suppression_applied"
    ).fetchone()
    return row is not None and bool(row[0])
