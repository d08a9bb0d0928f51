"""Postgres errors, turned into ours at the driver's edge.

Postgres quotes the failing row in DETAIL, a value in many messages, and SQLAlchemy adds the
statement's parameters. None of that may reach a log, Dagster's event log or a terminal: what is
raised carries SQLSTATE, its name, table, column and constraint. The driver's own exception is
emptied in place, because Python keeps it reachable as ``__context__`` whatever is raised.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors as pg

from dagster_project.errors import DatabaseFailed, SettingsError, TryLater, WarehouseError

PASSING = (
    "08",  # connection
    "40",  # serialization, deadlock
    "53",  # disk full, out of memory, too many connections
    "57",  # shutdown, crash, cancelled, statement timeout
    "55P03",  # lock timeout
    "25P03",  # idle in transaction for too long
    "25P04",  # transaction timeout
)

# Their messages quote names of tables, columns, functions and roles, never a value.
SPEAKABLE = ("42501", "42P01", "42703", "42883", "42704", "42P07", "42710", "42723", "3F000")

# What a refusal says, what it means, and the way out.
CONNECT_FAILURES = (
    (
        "password authentication failed",
        "the password is not accepted",
        "correct WAREHOUSE_URL; for the embedded Postgres restore WAREHOUSE_HOME/secrets.",
    ),
    ("no password supplied", "no password is set", "put one into WAREHOUSE_URL."),
    ("no pg_hba.conf entry", "the server lets no such user in", "ask its administrator."),
    (
        'parameter "role"',
        "this login may not work as warehouse_loader, or the role does not exist yet",
        "run `warehouse migrate`.",
    ),
    ("does not exist", "there is no such database or login", "run `warehouse migrate`."),
    (
        "permission denied for database",
        "this login may not connect",
        "run `warehouse migrate` as the administrator.",
    ),
    (
        "certificate",
        "the server's certificate is not trusted",
        "add sslrootcert=<file> to WAREHOUSE_URL, or sslmode=disable on a network you trust.",
    ),
    (
        "does not support SSL",
        "the server does not encrypt",
        "turn on its TLS, or add sslmode=disable to WAREHOUSE_URL on a network you trust.",
    ),
)


@contextmanager
def safe_errors(doing: str = "") -> Iterator[None]:
    """Raise ``TryLater`` or ``DatabaseFailed`` for any error of psycopg or SQLAlchemy inside.

    ``doing`` says what was attempted (``"loading calltouch_sms"``); the caller keeps rows out of it.
    """
    try:
        yield
    except Exception as error:
        database_error = _database_error(error)
        if database_error is None:
            _empty_chain(error)
            raise
        safe = safe_error(database_error, doing)
        _empty_chain(error)
        raise safe.with_traceback(error.__traceback__) from None


def safe_error(error: psycopg.Error, doing: str = "") -> WarehouseError:
    """What may be told about ``error``: its SQLSTATE and the names of the things concerned."""
    what = f"{doing}: {describe(error)}" if doing else describe(error)
    if error.sqlstate is None and isinstance(
        error, psycopg.OperationalError | psycopg.InterfaceError
    ):
        return TryLater(what, way_out="see that Postgres runs and can be reached; run again.")
    if error.sqlstate is not None and error.sqlstate.startswith(PASSING):
        return TryLater(what)
    return DatabaseFailed(what)


def connect_failure(said: str, parameters: Mapping[str, Any]) -> WarehouseError:
    """What to tell of a connection that was refused: libpq gives no SQLSTATE, only a text."""
    where = f"{parameters.get('host', 'localhost')}:{parameters.get('port', 5432)}"
    target = f"database {parameters['dbname']} at {where} as {parameters['user'] or 'nobody named'}"
    for sign, reason, way_out in CONNECT_FAILURES:
        if sign in said:
            return SettingsError(f"{target}: {reason}.", way_out=way_out)
    return TryLater(
        f"{target}: no connection.", way_out="see that Postgres runs and can be reached; run again."
    )


def describe(error: psycopg.Error) -> str:
    """``SQLSTATE 23505 unique_violation on warehouse.calltouch_sms (constraint …)``."""
    if error.sqlstate is None:
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return "the connection to Postgres was lost"
        return f"psycopg raised {type(error).__name__}"
    diagnosis = error.diag
    text = f"SQLSTATE {error.sqlstate} {condition_name(error.sqlstate)}"
    if error.sqlstate in SPEAKABLE and diagnosis.message_primary:
        return f"{text}: {diagnosis.message_primary}"
    if diagnosis.table_name:
        text += f" on {diagnosis.schema_name}.{diagnosis.table_name}"
    names = [
        f"{kind} {name}"
        for kind, name in (
            ("column", diagnosis.column_name),
            ("constraint", diagnosis.constraint_name),
        )
        if name
    ]
    return f"{text} ({', '.join(names)})" if names else text


def condition_name(sqlstate: str) -> str:
    """The name Postgres gives a SQLSTATE: ``23505`` is ``unique_violation``."""
    try:
        name = pg.lookup(sqlstate).__name__
    except KeyError:
        return "error"
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _database_error(error: BaseException) -> psycopg.Error | None:
    if isinstance(error, psycopg.Error):
        return error
    sqlalchemy = sys.modules.get("sqlalchemy.exc")
    if sqlalchemy is not None and isinstance(error, sqlalchemy.DBAPIError):
        return error.orig if isinstance(error.orig, psycopg.Error) else None
    return None


def _empty_chain(error: BaseException | None) -> None:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
        found = _database_error(one)
        if found is None:
            continue
        text = describe(found)
        waiting.append(found)
        one.args = (text,)
        one.__dict__.pop("statement", None)
        one.__dict__.pop("params", None)
        if isinstance(one, psycopg.Error):
            one._info = None
