"""Turn Postgres' errors into ours, without a row or a value in them.

Postgres quotes the failing row in DETAIL and a value in many messages, and SQLAlchemy adds the statement's
parameters. None of that may reach a log, Dagster's event log or a terminal. Our errors have the SQLSTATE,
its name, table, column and constraint. The driver's exception is emptied in place, because Python keeps it
reachable as ``__context__``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import psycopg
from psycopg import errors as pg

from dagster_project.errors import DatabaseFailed, TryLater, WarehouseError

if TYPE_CHECKING:
    import psycopg2

    DriverError = psycopg.Error | psycopg2.Error

PASSING = (
    "08",  # connection
    "25006",  # read-only: a standby, or a server that was told so
    "40",  # serialization, deadlock
    "53",  # disk full, out of memory, too many connections
    "57",  # shutdown, crash, cancelled, statement timeout
    "55P03",  # lock timeout
    "25P03",  # idle in transaction for too long
    "25P04",  # transaction timeout
)

# SQLSTATEs whose messages quote names of tables, columns, functions and roles, never a value.
SAFE_MESSAGES = ("42501", "42P01", "42703", "42883", "42704", "42P07", "42710", "42723", "3F000")


# Troubles of the whole server, and the hint.
SERVER_TROUBLE: Mapping[str, tuple[str, str]] = {
    "53100": (
        "the disk of Postgres is full",
        "free some of it, or let it grow; then run again.",
    ),
    "25006": (
        "Postgres takes no writes: it is a standby, or was set read-only",
        "name the primary in WAREHOUSE_URL, or end what made it read-only; then run again.",
    ),
}


@contextmanager
def safe_errors(doing: str = "") -> Iterator[None]:
    """Raise ``TryLater`` or ``DatabaseFailed`` instead of a driver's or SQLAlchemy's error inside.

    ``doing`` says what was attempted (``"loading rows"``); it must quote no row.
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


def safe_error(error: DriverError, doing: str = "") -> WarehouseError:
    """Our error for the driver's ``error``, with its SQLSTATE and the names of the objects concerned."""
    what = f"{doing}: {describe(error)}" if doing else describe(error)
    sqlstate = sqlstate_of(error)
    if sqlstate is None and _is_connection_error(error):
        return TryLater(what, hint="see that Postgres runs and can be reached; run again.")
    if sqlstate is not None and sqlstate in SERVER_TROUBLE:
        meaning, hint = SERVER_TROUBLE[sqlstate]
        return TryLater(f"{what} ({meaning}).", hint=hint)
    if sqlstate is not None and sqlstate.startswith(PASSING):
        return TryLater(what)
    return DatabaseFailed(what)


def database_failure(error: BaseException) -> WarehouseError | None:
    """Our error if a database's error caused ``error``, also one of Dagster's storage; else None."""
    link: BaseException | None = error
    while link is not None:
        found = _database_error(link)
        if found is not None:
            return safe_error(found)
        link = link.__cause__
    return None


def describe(error: DriverError) -> str:
    """Describe an error: ``SQLSTATE 23505 unique_violation on warehouse.some_table (constraint …)``."""
    sqlstate = sqlstate_of(error)
    if sqlstate is None:
        if _is_connection_error(error):
            return "the connection to Postgres was lost"
        return f"the driver raised {type(error).__name__}"
    diagnosis = error.diag
    text = f"SQLSTATE {sqlstate} {condition_name(sqlstate)}"
    if sqlstate in SAFE_MESSAGES and diagnosis.message_primary:
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


def sqlstate_of(error: DriverError) -> str | None:
    return error.sqlstate if isinstance(error, psycopg.Error) else error.pgcode


def _is_connection_error(error: DriverError) -> bool:
    """Whether the connection failed, by the class names that PEP 249 gives to both drivers' errors."""
    return bool({"OperationalError", "InterfaceError"} & {c.__name__ for c in type(error).__mro__})


def condition_name(sqlstate: str) -> str:
    """The name Postgres gives a SQLSTATE: ``23505`` is ``unique_violation``."""
    try:
        name = pg.lookup(sqlstate).__name__.rstrip("_")
    except KeyError:
        return "error"
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _database_error(error: BaseException) -> DriverError | None:
    """The error of psycopg, or of psycopg2, which Dagster's storage uses; None if it is neither."""
    if isinstance(error, psycopg.Error):
        return error
    other = sys.modules.get("psycopg2")
    if other is not None and isinstance(error, other.Error):
        return cast("psycopg2.Error", error)
    sqlalchemy = sys.modules.get("sqlalchemy.exc")
    if sqlalchemy is not None and isinstance(error, sqlalchemy.DBAPIError):
        return _database_error(error.orig) if error.orig is not None else None
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
