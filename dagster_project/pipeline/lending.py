"""Pairs of connections, lent to the windows of a run.

A window uses two connections. The ledger's is in autocommit, so that extractions and responses outlive a
failure. The load's has the window's transaction: rows, rejects and receipts, all or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from dagster_project.warehouse.connection import PATIENCE_SECONDS, Connection, Warehouse
from dagster_project.warehouse.pg_errors import safe_errors


class ConnectionPair(NamedTuple):
    """The two connections of one window."""

    ledger: Connection
    load: Connection


class ConnectionPairs:
    """Lends pairs of connections to windows that run concurrently."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._idle: list[ConnectionPair] = []

    @contextmanager
    def pair(self) -> Iterator[ConnectionPair]:
        """Lend a pair to one window; it is returned afterwards, or closed if anything was raised."""
        with safe_errors():
            pair = self._idle_pair() or ConnectionPair(
                self._warehouse.connect(what="ledger", autocommit=True, patience=PATIENCE_SECONDS),
                self._warehouse.connect(what="load", patience=PATIENCE_SECONDS),
            )
            try:
                yield pair
            except BaseException:
                for connection in pair:
                    connection.close()
                raise
            self._idle.append(pair)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection in autocommit, for queries."""
        with self.pair() as pair:
            yield pair.ledger

    def _idle_pair(self) -> ConnectionPair | None:
        """An idle pair that works; broken ones are closed and dropped."""
        with suppress(IndexError):
            while True:
                pair = self._idle.pop()
                if not any(connection.closed for connection in pair):
                    return pair
                for connection in pair:
                    connection.close()
        return None

    def close(self) -> None:
        """Close the idle pairs."""
        with suppress(IndexError):
            while True:
                for connection in self._idle.pop():
                    connection.close()
