"""Two connections serve a window: the ledger's commits at once, the load's holds its transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, LifoQueue

from dagster_project.warehouse.connection import (
    PATIENCE_SECONDS,
    Connection,
    Warehouse,
    safe_errors,
)


class ConnectionPairs:
    """Pairs of connections for windows side by side, kept open between windows."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._idle: LifoQueue[tuple[Connection, Connection]] = LifoQueue()

    @contextmanager
    def pair(self) -> Iterator[tuple[Connection, Connection]]:
        """A ledger connection (commits at once) and a load connection; given back whole or closed."""
        with safe_errors():
            pair = self._idle_pair() or (
                self._warehouse.connect(what="ledger", autocommit=True, patience=PATIENCE_SECONDS),
                self._warehouse.connect(what="load", patience=PATIENCE_SECONDS),
            )
            try:
                yield pair
            except BaseException:
                for connection in pair:
                    connection.close()
                raise
            self._idle.put(pair)

    def _idle_pair(self) -> tuple[Connection, Connection] | None:
        """A pair that is free and whole; one that a lost server broke is left behind."""
        with suppress(Empty):
            while True:
                pair = self._idle.get_nowait()
                if not any(connection.closed for connection in pair):
                    return pair
                for connection in pair:
                    connection.close()
        return None

    def close(self) -> None:
        """Close the pairs that are free."""
        with suppress(Empty):
            while True:
                for connection in self._idle.get_nowait():
                    connection.close()
