"""What a run lends to its windows: pairs of connections, and row encoders.

Two connections serve a window. The ledger's commits at once: extractions and responses outlive a
failure. The load's holds the window's transaction: rows, rejects and receipts, all or nothing.

Few row encoders exist, each lent to one response at a time: an encoder keeps memories of megabytes from
page to page, and encoding holds the interpreter.
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
        """A pair for one window; given back whole, or closed where anything was raised."""
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
        """A connection that commits at once, for looking things up."""
        with self.pair() as pair:
            yield pair.ledger

    def _idle_pair(self) -> ConnectionPair | None:
        """A pair that is free and whole; one that a lost server broke is closed and left behind."""
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


class RowEncoders:
    """Lends encoders, the one used last first; one is made when it is first needed."""

    def __init__(self, make: Callable[[], RowEncoder]) -> None:
        self._make = make
        self._free: LifoQueue[RowEncoder | None] = LifoQueue()
        for _ in range(MAX_CONCURRENT_ENCODERS):
            self._free.put(None)

    @contextmanager
    def lend(self) -> Iterator[RowEncoder]:
        """An encoder for one response; waited for while all are lent."""
        encoder = self._free.get()
        try:
            encoder = encoder or self._make()
            yield encoder
        finally:
            self._free.put(encoder)
