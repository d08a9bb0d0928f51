"""The store of ``transport.rate_limiter``: vendors' limits, shared by all processes of a warehouse.

Each method is one statement on an autocommit connection of its own, which is opened again when it breaks: a
restart of the server costs a wait, not the run. Slots are instants of the *server's* clock, which all
processes share; each result also has that clock's current time. Points are counted by source, account and
day; the functions in ``sql/functions/ops.*_points.sql`` decide under a row lock.

A reservation becomes void when its holder's session ends: the session holds an advisory lock whose key is
in the reservation. Points that a process spent before it died stay spent.

After a broken connection a statement is sent again, although the first may have been executed. That is
safe: a slot or a call counted twice only errs towards the limit. So a refund is not sent again.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg

from dagster_project.errors import TryLater
from dagster_project.warehouse.pg_errors import safe_errors

if TYPE_CHECKING:
    from dagster_project.warehouse.connection import Warehouse

log = logging.getLogger(__name__)

HOLDER_CLASS = 1347373390
RESERVATION_LIFETIME = timedelta(hours=1)
RECONNECT_SECONDS = 60.0
STATEMENT_SECONDS = 30.0

RESERVE = "SELECT granted, spent, held FROM ops.reserve_points(%s, %s, %s, %s, %s, %s, %s, %s)"
SPEND = "SELECT granted, spent, held FROM ops.spend_points(%s, %s, %s, %s, %s, %s, %s, %s)"

Row = tuple[Any, ...]


class Budget:
    """Slots and points of a warehouse; one connection, safe to use from many threads."""

    def __init__(self, warehouse: Warehouse, reconnect_seconds: float = RECONNECT_SECONDS) -> None:
        self._warehouse = warehouse
        self._reconnect_seconds = reconnect_seconds
        self._holder = secrets.randbits(31)
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Row] | None = None

    def next_slot(
        self, limiter: str, burst: int, period: float, horizon: float
    ) -> tuple[datetime, datetime, bool, float, float]:
        """Take the next slot: its instant, the server's clock, whether it was granted; and the monotonic
        instants at which the query was sent and its result received.

        At most ``burst`` slots are in any ``period`` seconds. A slot more than ``horizon`` seconds ahead is
        returned, but not granted.
        """
        (due, clock, granted), asked, received = self._fetch_timed(
            "SELECT due, clock, granted FROM ops.next_slot(%s, %s, %s, %s)",
            (limiter, burst, timedelta(seconds=period), timedelta(seconds=horizon)),
        )
        return due, clock, granted, asked, received

    def move_slot(
        self, limiter: str, burst: int, period: float, given: datetime, sent: bool
    ) -> tuple[datetime, datetime, bool, float, float]:
        """Move a missed slot to this moment, or drop it if that would break the limit.

        ``sent``: the request was already sent, late. Returns the same as ``next_slot``.
        """
        (due, clock, granted), asked, received = self._fetch_timed(
            "SELECT due, clock, granted FROM ops.move_slot(%s, %s, %s, %s, %s)",
            (limiter, burst, timedelta(seconds=period), given, sent),
            again=not sent,
        )
        return due, clock, granted, asked, received

    def read_clock(self) -> tuple[datetime, float, float]:
        """Read the server's clock, with the monotonic instants before and after."""
        row, asked, received = self._fetch_timed("SELECT clock_timestamp()", ())
        return row[0], asked, received

    def hold_slots(self, limiter: str, seconds: float) -> None:
        """Grant no slots for so long."""
        self._fetch_row("SELECT ops.hold_slots(%s, %s)", (limiter, timedelta(seconds=seconds)))

    def reserve(
        self,
        reservation: UUID,
        source: str,
        account: str,
        day: date,
        points: int,
        budget: int | None,
    ) -> tuple[bool, int, int]:
        """Reserve points, replacing the reservation's earlier ones; a ``budget`` of ``None`` is no limit.

        Returns:
            Whether they were granted, points spent that day, and points reserved by others.
        """
        return self._decide(RESERVE, reservation, source, account, day, points, budget)

    def spend(
        self,
        reservation: UUID,
        source: str,
        account: str,
        day: date,
        points: int,
        budget: int | None,
    ) -> tuple[bool, int, int]:
        """Spend the points of a call that is about to be sent; returns the same as ``reserve``."""
        return self._decide(SPEND, reservation, source, account, day, points, budget)

    def refund(self, reservation: UUID, source: str, account: str, day: date, points: int) -> None:
        """Refund a call that the vendor certainly did not charge."""
        try:
            self._fetch_row(
                "SELECT ops.refund_points(%s, %s, %s, %s, %s)",
                (reservation, source, account, day, points),
                again=False,
            )
        except TryLater:
            log.warning(
                "%s %s: %d points stay spent: the ledger cannot be reached", source, account, points
            )

    def release(self, reservation: UUID) -> None:
        """End a reservation; if the server is away, it ends with this process."""
        try:
            self._fetch_row("SELECT ops.release_points(%s)", (reservation,))
        except TryLater:
            log.warning("a reservation of points could not be ended: the ledger cannot be reached")

    def read_points(self, source: str, account: str, day: date) -> tuple[int, int]:
        """Read the points spent that day, and the points reserved."""
        spent, held = self._fetch_row(
            "SELECT coalesce((SELECT points FROM ops.point_ledger"
            " WHERE source = %(source)s AND account = %(account)s AND spent_on = %(day)s), 0),"
            " ops.points_held(%(source)s, %(account)s, %(day)s, NULL)",
            {"source": source, "account": account, "day": day},
        )
        return spent, held

    def close(self) -> None:
        with self._lock:
            self._drop_connection()

    def _decide(
        self,
        statement: str,
        reservation: UUID,
        source: str,
        account: str,
        day: date,
        points: int,
        budget: int | None,
    ) -> tuple[bool, int, int]:
        granted, spent, held = self._fetch_row(
            statement,
            (
                reservation,
                source,
                account,
                day,
                points,
                budget,
                self._holder,
                RESERVATION_LIFETIME,
            ),
        )
        return granted, spent, held

    def _fetch_row(self, statement: str, parameters: Any, again: bool = True) -> Row:
        """Fetch the one row of a statement, reconnecting as long as the connection breaks."""
        return self._fetch_timed(statement, parameters, again)[0]

    def _fetch_timed(
        self, statement: str, parameters: Any, again: bool = True
    ) -> tuple[Row, float, float]:
        """Fetch the row, with the instants just before and after its query."""
        with self._lock:
            deadline = time.monotonic() + self._reconnect_seconds
            wait = 0.05
            while True:
                try:
                    return self._execute(statement, parameters)
                except TryLater:
                    self._drop_connection()
                    if not again or time.monotonic() + wait > deadline:
                        raise
                time.sleep(wait)
                wait = min(wait * 2, 2.0)

    def _execute(self, statement: str, parameters: Any) -> tuple[Row, float, float]:
        with safe_errors("sharing the vendor's limits"):
            if self._connection is None:
                self._connection = self._connect()
            asked = time.monotonic()
            row = self._connection.execute(statement.encode(), parameters).fetchone()
            received = time.monotonic()
            assert row is not None
            return row, asked, received

    def _connect(self) -> psycopg.Connection[Row]:
        connection = self._warehouse.connect(
            autocommit=True,
            what="limits",
            lock_timeout=STATEMENT_SECONDS,
            statement_timeout=STATEMENT_SECONDS,
        )
        connection.prepare_threshold = 1
        connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", (HOLDER_CLASS, self._holder))
        return connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
