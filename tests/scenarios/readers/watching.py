"""Readers in threads, what they were told and when, and who ever waited for whose lock.

Grain: a *step* is one commit of a loader. An answer is right if it is the one at rest of a step that
could have been the latest while it was read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg

from dagster_project.warehouse.connection import Warehouse
from tests.bi.conftest import Readers
from tests.scenarios.readers.probes import LOADER, PROBES

Connection = psycopg.Connection[Any]
Answer = tuple[Any, ...]
SESSION = "SET lock_timeout = '5ms'; SET statement_timeout = '60s'"
ENOUGH = 300
"""So many looks at somebody who waits, and the readers are ended, so that the test fails in time."""
WAITING = """
SELECT pid, application_name, pg_blocking_pids(pid) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@dataclass
class Board:
    """Steps begun and ended, and what each probe answers at rest after each of them."""

    at_rest: list[dict[str, Answer]] = field(default_factory=list)
    begun: int = 0

    @property
    def ended(self) -> int:
        return len(self.at_rest) - 1


@dataclass(frozen=True)
class Seen:
    """An answer; the last step ended before it was asked for, and the last begun when it had come."""

    probe: str
    answer: Answer
    ended: int
    begun: int


class Reader(threading.Thread):
    """One session that asks its probes again and again, and may be in one long transaction."""

    def __init__(
        self, board: Board, connection: Connection, probes: tuple[str, ...], name: str
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.board = board
        self.connection = connection
        self.probes = probes
        self.seen: list[Seen] = []
        self.failure: BaseException | None = None
        self.enough = threading.Event()
        self.pid = connection.info.backend_pid

    def run(self) -> None:
        try:
            while not self.enough.wait(0.001):
                for probe in self.probes:
                    ended = self.board.ended
                    answer = asked(self.connection, probe)
                    self.seen.append(Seen(probe, answer, ended, self.board.begun))
        except BaseException as error:  # noqa: BLE001 - raised again by ``Watched.end``
            self.failure = error

    def during_steps(self) -> int:
        """Answers that were read while a loader was at work."""
        return sum(seen.begun > seen.ended for seen in self.seen)


class Watched:
    """A warehouse with readers in it. ``step`` does a commit of a loader before their eyes."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.logins = Readers(warehouse)
        self.board = Board()
        self.readers: list[Reader] = []
        self.waits: list[tuple[int, str, list[int]]] = []
        self._watching = threading.Event()
        self.looks = 0
        self._guard = threading.Thread(target=self._watch, daemon=True)

    def begin(self) -> None:
        """Readers from now on."""
        self.board.at_rest.append(self.answers())
        for role, probes in PROBES.items():
            self.readers.append(Reader(self.board, self.session(role), probes, role))
        for reader in self.readers:
            reader.start()
        self._guard.start()

    def session(self, role: str) -> Connection:
        if role == LOADER:
            connection: Connection = self.warehouse.connect(autocommit=True, what="reader")
        else:
            parameters = {
                **self.warehouse.place,
                "user": role,
                "password": self.logins.password(role),
            }
            connection = psycopg.connect(**parameters, autocommit=True)
        connection.execute(SESSION)
        return connection

    @contextmanager
    def long_transaction(self, role: str) -> Iterator[Reader]:
        """A reader whose REPEATABLE READ transaction stays open throughout."""
        connection = self.session(role)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader = Reader(self.board, connection, PROBES[role], f"{role}, one transaction")
        for probe in reader.probes:
            asked(connection, probe)
        reader.start()
        self.readers.append(reader)
        yield reader
        reader.enough.set()
        reader.join(60)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS

    def step(self, commit: Callable[[], object]) -> None:
        self.board.begun += 1
        commit()
        self.board.at_rest.append(self.answers())

    def answers(self) -> dict[str, Answer]:
        found = {}
        for role, probes in PROBES.items():
            connection = self.session(role)
            found |= {probe: asked(connection, probe) for probe in probes}
            connection.close()
        return found

    def end(self) -> None:
        for reader in self.readers:
            reader.enough.set()
        for reader in self.readers:
            reader.join(60)
            reader.connection.close()
        self._watching.set()
        self._guard.join(30)
        for reader in self.readers:
            if reader.failure is not None:
                raise reader.failure

    def _watch(self) -> None:
        """Who waits for a lock, and for whose, looked at all the time; a wait is seen in two looks in a row.

        What a commit makes visible is there an instant before its locks are given back: whoever reads a new
        month in that instant waits for its end. No reader could wait for 5 ms without failing.
        """
        before: list[tuple[int, str, list[int]]] = []
        with suppress(psycopg.Error), self.warehouse.connect_admin(what="watch") as connection:
            while not self._watching.wait(0.003):
                self.looks += 1
                now = connection.execute(WAITING.encode()).fetchall()
                self.waits += [wait for wait in now if wait in before]
                before = now
                if len(self.waits_of_or_for_readers()) > ENOUGH:
                    pids = [reader.pid for reader in self.readers]
                    connection.execute("SELECT pg_terminate_backend(p) FROM unnest(%s) p", (pids,))

    def waits_of_or_for_readers(self) -> list[tuple[int, str, list[int]]]:
        """Who waited, a reader or behind one: process, name, and whom it waited for."""
        pids = {reader.pid for reader in self.readers}
        return [wait for wait in self.waits if wait[0] in pids or pids & set(wait[2])]

    def wrong_answers(self, reader: Reader) -> list[Seen]:
        """Answers of no step that could have been the latest."""
        return [
            seen
            for seen in reader.seen
            if seen.answer
            not in [state[seen.probe] for state in self.board.at_rest[seen.ended : seen.begun + 1]]
        ]


def asked(connection: Connection, probe: str) -> Answer:
    row = connection.execute(probe.encode()).fetchone()
    assert row is not None
    return tuple(row)
