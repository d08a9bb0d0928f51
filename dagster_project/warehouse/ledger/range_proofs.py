"""``ops.range_proof``: whether servers with undocumented date ranges honour them.

Grain: the latest proof of each state, by source, server and parameter names. A later proof is never
replaced by an earlier one, whichever process writes last. No proof is dated after the database's clock;
else one from a host whose clock is ahead would stay valid for too long.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from psycopg.rows import class_row

from dagster_project import clock
from dagster_project.model.range_proof import RangeProof
from dagster_project.warehouse.connection import PATIENCE_SECONDS, Connection, Warehouse
from dagster_project.warehouse.pg_errors import safe_errors

_COLUMNS = "source, server, params, state, account, asked_at, reason, evidence"
_SAVE = f"""
INSERT INTO ops.range_proof AS known ({_COLUMNS}) VALUES
    (%s, %s, %s, %s, %s, least(%s, clock_timestamp() + %s), %s, %s)
ON CONFLICT (source, server, params, state) DO UPDATE
SET (account, asked_at, reason, evidence)
  = (excluded.account, excluded.asked_at, excluded.reason, excluded.evidence)
WHERE known.asked_at <= excluded.asked_at
"""  # noqa: S608 - column names of our own
_LOAD = f"""
SELECT {_COLUMNS} FROM ops.range_proof
WHERE source = %s AND server = %s AND params = %s ORDER BY asked_at
"""  # noqa: S608


Lend = Callable[[], AbstractContextManager[Connection]]
"""Lends a connection in autocommit for one query."""


class RangeProofs:
    """The stored range proofs; each method uses a connection that ``lend`` lends, else one of its own."""

    def __init__(self, warehouse: Warehouse, lend: Lend | None = None) -> None:
        self._lend: Lend = lend or partial(
            warehouse.connect, what="range proofs", autocommit=True, patience=PATIENCE_SECONDS
        )

    def load(self, source: str, server: str, params: str) -> list[RangeProof]:
        """The latest of each state, oldest first."""
        with (
            self._lend() as connection,
            safe_errors("reading range proofs"),
            connection.cursor(row_factory=class_row(RangeProof)) as cursor,
        ):
            return cursor.execute(_LOAD, (source, server, params)).fetchall()

    def save(self, proof: RangeProof) -> None:
        values = (
            proof.source,
            proof.server,
            proof.params,
            proof.state,
            proof.account,
            proof.asked_at,
            clock.shift(),
            proof.reason,
            json.dumps(dict(proof.evidence)),
        )
        with self._lend() as connection, safe_errors("remembering a range proof"):
            connection.execute(_SAVE, values)
