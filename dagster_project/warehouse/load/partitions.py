"""Create monthly partitions when they are needed, outside of any load.

``ops.ensure_month`` attaches a partition without blocking readers. It runs on a connection of its
own: inside a load its lock would last until the commit, and two loads that create months could deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from threading import Lock

from psycopg import sql

from dagster_project.model.table import Table
from dagster_project.warehouse.connection import PATIENCE_SECONDS, Connection, Warehouse


class PartitionManager:
    """Remembers which months exist, so that each is checked once a run; safe for several threads."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._connection: Connection | None = None
        self._known: set[tuple[str, date]] = set()
        self._lock = Lock()

    def ensure(self, table: Table, month: date) -> None:
        """Create the table's partition for the month that begins on this day, if there is none."""
        with self._lock:
            if (table.name, month) in self._known:
                return
            if self._connection is None or self._connection.closed:
                self._connection = self._warehouse.connect(
                    what="months", autocommit=True, patience=PATIENCE_SECONDS
                )
            self._connection.execute(
                "SELECT ops.ensure_month(%s::regclass, %s)", (f"warehouse.{table.name}", month)
            )
            self._known.add((table.name, month))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def refresh_statistics(connection: Connection, table: Table, days: Sequence[date]) -> None:
    """ANALYZE the partitions of these days; call it after the commit, since in a load it blocks new months."""
    months = sorted({day.replace(day=1) for day in days})
    connection.execute(
        sql.SQL("SELECT ops.analyze_months({}::regclass, %s::date[])").format(
            sql.Literal(f"warehouse.{table.name}")
        ),
        (months,),
    )
