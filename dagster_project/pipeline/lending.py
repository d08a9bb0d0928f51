"""Connections, lent to the windows of a run and to what asks beside them.

A window uses two connections. The ledger's is in autocommit, so that extractions and responses outlive a
failure. The load's has the window's transaction: rows, rejects and receipts, all or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from dagster_project.warehouse.connection import PATIENCE_SECONDS, Connection, Warehouse
from dagster_project.warehouse.pg_errors import safe_errors


class ConnectionPair(NamedTuple):
    """The two connections of one window."""

    ledger: Connection
    load: Connection


class ConnectionPairs:
    """Lends pairs of connections to windows that run concurrently, and the ledger's alone for queries."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._ledgers: list[Connection] = []
        self._loads: list[Connection] = []

    @contextmanager
    def pair(self) -> Iterator[ConnectionPair]:
        """Lend a pair to one window; it is returned afterwards, or closed if anything was raised."""
        with self.reading() as ledger, _lent(self._loads, self._open_load) as load:
            yield ConnectionPair(ledger, load)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection in autocommit, for queries: the ledger's of a pair, without the load's."""
        with safe_errors(), _lent(self._ledgers, self._open_ledger) as ledger:
            yield ledger

    def _open_ledger(self) -> Connection:
        return self._warehouse.connect(what="ledger", autocommit=True, patience=PATIENCE_SECONDS)

    def _open_load(self) -> Connection:
        return self._warehouse.connect(what="load", patience=PATIENCE_SECONDS)

    def close(self) -> None:
        """Close the idle connections."""
        for connection in (*self._ledgers, *self._loads):
            connection.close()
        self._ledgers.clear()
        self._loads.clear()


@contextmanager
def _lent(idle: list[Connection], connect: Callable[[], Connection]) -> Iterator[Connection]:
    """An idle connection that works, or a new one; idle again afterwards, or closed if anything was raised."""
    connection = _take_working(idle) or connect()
    try:
        yield connection
    except BaseException:
        connection.close()
        raise
    idle.append(connection)


def _take_working(idle: list[Connection]) -> Connection | None:
    with suppress(IndexError):
        while True:
            connection = idle.pop()
            if not connection.closed:
                return connection
            connection.close()
    return None
