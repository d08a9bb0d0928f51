"""Pools of a run: pairs of connections and row encoders, lent to its windows.

A window uses two connections. The ledger's is in autocommit, so that extractions and responses outlive a
failure. The load's has the window's transaction: rows, rejects and receipts, all or nothing.

There are only few row encoders, each lent to one response at a time: an encoder caches megabytes between
pages, and encoding holds the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, LifoQueue
from typing import NamedTuple

from dagster_project.model.batch import RowEncoder
from dagster_project.pipeline.concurrency import MAX_CONCURRENT_ENCODERS
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
        self._idle: LifoQueue[ConnectionPair] = LifoQueue()

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
            self._idle.put(pair)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection in autocommit, for queries."""
        with self.pair() as pair:
            yield pair.ledger

    def _idle_pair(self) -> ConnectionPair | None:
        """An idle pair that works; broken ones are closed and dropped."""
        with suppress(Empty):
            while True:
                pair = self._idle.get_nowait()
                if not any(connection.closed for connection in pair):
                    return pair
                for connection in pair:
                    connection.close()
        return None

    def close(self) -> None:
        """Close the idle pairs."""
        with suppress(Empty):
            while True:
                for connection in self._idle.get_nowait():
                    connection.close()


class RowEncoders:
    """Lends encoders, the one used last first; they are created when first needed."""

    def __init__(self, make: Callable[[], RowEncoder]) -> None:
        self._make = make
        self._free: LifoQueue[RowEncoder | None] = LifoQueue()
        for _ in range(MAX_CONCURRENT_ENCODERS):
            self._free.put(None)

    @contextmanager
    def lend(self) -> Iterator[RowEncoder]:
        """Lend an encoder for one response; wait while all are lent."""
        encoder = self._free.get()
        try:
            encoder = encoder or self._make()
            yield encoder
        finally:
            self._free.put(encoder)
