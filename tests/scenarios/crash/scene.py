"""Where work stands when it is killed, and what may be left of it in the database: nothing."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from dagster_project.warehouse.connection import Warehouse

Connection = psycopg.Connection[Any]
PATIENCE = 120.0

SESSIONS = """
SELECT application_name, state, query FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
ORDER BY xact_start IS NULL, state <> 'active', query_start DESC
"""
PLACES = (
    ("INSERT INTO raw.response", "storing responses"),
    ("COPY (SELECT", "reading what stands"),
    ("COPY warehouse.", "writing new rows"),
    ("changed_row", "updating"),
    ("rewritten_row", "updating"),
    ("DELETE FROM warehouse.", "deleting"),
    ("ops.rejected_record", "rejects"),
    ("INSERT INTO ops.extraction", "asking the vendor"),
    ("INSERT INTO ops.", "receipts"),
    ("FROM ops.day_state", "reading what stands"),
    ("UPDATE ops.day_state", "marking a day"),
    ("UPDATE ops.extraction", "rewriting responses"),
    ("raw.response", "rewriting responses"),
    ("refresh_month", "counting months"),
    ("take_stale", "counting months"),
    ("mart.", "marts"),
    ("ops.ensure_month", "making a month"),
    ("ops.analyze_months", "statistics"),
    ("SELECT now()", "reading the rows of an answer"),
    ("advisory", "locks"),
    ("COMMIT", "committed"),
)
LEFT_OVER = {
    "advisory locks": "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
    " WHERE l.locktype = 'advisory' AND d.datname = current_database()",
    "prepared transactions": "SELECT count(*) FROM pg_prepared_xacts",
    "temporary tables": "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
    " WHERE n.nspname LIKE 'pg\\_temp%' OR n.nspname LIKE 'pg\\_toast\\_temp%'",
}
RELATIONS = """
SELECT n.nspname || '.' || c.relname || ' ' || c.relkind::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\\_toast%' ORDER BY 1
"""


def place_of(sessions: list[tuple[str, str, str]]) -> tuple[str, bool]:
    """Where the work stands by what its sessions said last, and whether a transaction is open."""
    for name, state, query in sessions:
        if state == "idle" and name != "warehouse:load":
            continue
        for part, place in PLACES:
            if part in query:
                return place, state != "idle"
        if state != "idle":
            return f"other: {query[:40]}", True
    return ("asking the vendor" if sessions else "starting or ending"), False


class Scene:
    """Looks at a database that somebody else works in."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._admin = warehouse.connect_admin(what="scene")
        self._relations = self._column(RELATIONS)

    def sessions(self) -> list[tuple[str, str, str]]:
        return self._admin.execute(SESSIONS.encode()).fetchall()

    def wait_until_gone(self) -> None:
        """Until the server has noticed who is dead: only then it is decided what was committed."""
        give_up = time.monotonic() + PATIENCE
        while sessions := self.sessions():
            assert time.monotonic() < give_up, f"connections of a dead process: {sessions}"
            time.sleep(0.005)

    def assert_nothing_is_left(self) -> None:
        """No connection, transaction, lock nor table of the dead."""
        self.wait_until_gone()
        found = {what: self._column(query) for what, query in LEFT_OVER.items()}
        assert {what: count for what, count in found.items() if count != [0]} == {}
        assert self._column(RELATIONS) == self._relations

    def value(self, query: str) -> Any:
        [value] = self._column(query)
        return value

    def _column(self, query: str) -> list[Any]:
        return [row[0] for row in self._admin.execute(query.encode())]

    def close(self) -> None:
        self._admin.close()
