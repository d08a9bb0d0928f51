"""Open a session with all of its settings, or explain why it was refused.

libpq reports a refused connection only as a text, in the server's language. So the attempt is repeated with
libpq's trace, which shows the server's SQLSTATE and its answer to the request for TLS. The trace goes to a
temporary file without a name; nothing else of it is shown.
"""

from __future__ import annotations

import re
import select
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from dagster_project.errors import (
    MayNotConnect,
    NoSuchDatabase,
    SettingsError,
    TryLater,
    WarehouseError,
)
from dagster_project.text import remedies
from dagster_project.warehouse.pg_errors import condition_name, safe_errors
from dagster_project.warehouse.session import ENCODING, apply_settings, pooler_error

SECONDS = 5.0

KEEPALIVES: Mapping[str, str] = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}

_ERROR = re.compile(rb'ErrorResponse\t.*? C "([0-9A-Z]{5})"')
_TLS_ANSWER = re.compile(rb"SSLResponse\t\s*([SN])")

AWAY = "see that Postgres runs and can be reached; run again."

_NO_SUCH_DATABASE = "3D000"
_NO_RIGHT = "42501"
_KINDS = {_NO_SUCH_DATABASE: NoSuchDatabase, _NO_RIGHT: MayNotConnect}

# What a SQLSTATE means when a session is opened, and the hint.
_BY_SQLSTATE: Mapping[str, tuple[str, str]] = {
    "28P01": (
        "the password is not accepted",
        "correct {setting}; for the embedded Postgres restore WAREHOUSE_HOME/secrets.",
    ),
    "28000": (
        "the server lets no such user in, or not from here",
        "correct {setting}, or ask the server's administrator (pg_hba.conf).",
    ),
    _NO_SUCH_DATABASE: ("there is no such database", remedies.MIGRATE),
    "22023": (
        "this login may not work as warehouse_loader, or the role does not exist yet",
        remedies.MIGRATE,
    ),
    _NO_RIGHT: (
        "this login may not connect, or not work as warehouse_loader",
        remedies.MIGRATE_AS_ADMINISTRATOR,
    ),
}
_PROTOCOL_VIOLATION = "08P01"
_PASSING = ("08", "53", "57")
# The server itself is in trouble: it cannot write a file that a session needs.
_BROKEN = ("53100", "58", "XX")


@dataclass(frozen=True)
class Refusal:
    """A refused connection. ``tls``: the server's answer to the request for TLS (S or N); ``asked``: it asked for a password."""

    sqlstate: str | None = None
    tls: str | None = None
    asked: bool = False


def open_session(
    parameters: Mapping[str, Any], autocommit: bool, setting: str = "WAREHOUSE_URL"
) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a session with all of its settings; ``setting`` is the name of the setting with the server's URL.

    Raises:
        SettingsError, TryLater: as ``explain_refusal`` and ``apply_settings``.
    """
    parameters = {**KEEPALIVES, **parameters, "client_encoding": ENCODING}
    connection = _try_connect(parameters, setting)
    try:
        with safe_errors("beginning a session"):
            apply_settings(connection, target_of(parameters), setting)
            connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def _try_connect(
    parameters: Mapping[str, Any], setting: str
) -> psycopg.Connection[tuple[Any, ...]]:
    # Outside of the handler, so that the driver's own error is not its context.
    with suppress(psycopg.Error):
        return psycopg.connect(**parameters, autocommit=True)
    raise explain_refusal(parameters, setting)


def target_of(parameters: Mapping[str, Any]) -> str:
    """The database, server and login in words, without a password."""
    where = f"{parameters.get('host', 'localhost')}:{parameters.get('port', 5432)}"
    who = parameters.get("user") or "nobody named"
    return f"database {parameters['dbname']} at {where} as {who}"


def explain_refusal(
    parameters: Mapping[str, Any], setting: str = "WAREHOUSE_URL"
) -> WarehouseError:
    """The error that explains a refused connection; it holds no password."""
    target = target_of(parameters)
    found = _trace_attempt(parameters)
    if found.sqlstate is not None:
        return _error_of_sqlstate(found.sqlstate, target, setting)
    if found.asked:
        return SettingsError(f"{target}: no password is set.", hint=f"put one into {setting}.")
    if found.tls == "N":
        return SettingsError(
            f"{target}: the server does not encrypt.",
            hint=f"turn on its TLS, or add sslmode=disable to {setting} on a network you trust.",
        )
    if found.tls == "S":
        return SettingsError(
            f"{target}: the server's certificate is not trusted.",
            hint=f"add sslrootcert=<file> to {setting}, or sslmode=disable on a network you trust.",
        )
    return TryLater(f"{target}: no connection.", hint=AWAY)


def _error_of_sqlstate(sqlstate: str, target: str, setting: str) -> WarehouseError:
    if sqlstate == _PROTOCOL_VIOLATION:
        return pooler_error(target, setting)
    if sqlstate in _BY_SQLSTATE:
        reason, hint = _BY_SQLSTATE[sqlstate]
        kind = _KINDS.get(sqlstate, SettingsError)
        return kind(f"{target}: {reason}.", hint=hint.format(setting=setting))
    code = f"SQLSTATE {sqlstate} {condition_name(sqlstate)}"
    if sqlstate.startswith(_BROKEN):
        return TryLater(
            f"{target}: the server cannot begin a session, its disk may be full ({code}).",
            hint="free some of it, or read the server's log; then run again.",
        )
    what = f"{target}: no session ({code})."
    if sqlstate.startswith(_PASSING):
        return TryLater(what, hint=AWAY)
    return SettingsError(what, hint="ask the server's administrator.")


def _trace_attempt(parameters: Mapping[str, Any]) -> Refusal:
    given = {name: value for name, value in parameters.items() if value is not None}
    with tempfile.TemporaryFile() as trace:
        connection = pq.PGconn.connect_start(make_conninfo("", **given).encode())
        try:
            if connection.status == pq.ConnStatus.BAD:
                return Refusal()
            connection.trace(trace.fileno())
            _poll_to_the_end(connection)
            asked = connection.needs_password
        finally:
            connection.untrace()
            connection.finish()
        trace.seek(0)
        said = trace.read()
    errors, answers = _ERROR.findall(said), _TLS_ANSWER.findall(said)
    in_tls = answers and b"StartupMessage" not in said.rpartition(b"SSLResponse")[2]
    return Refusal(
        sqlstate=errors[-1].decode() if errors else None,
        tls=answers[-1].decode() if in_tls else None,
        asked=asked,
    )


def _poll_to_the_end(connection: pq.abc.PGconn) -> None:
    deadline = time.monotonic() + SECONDS
    while (left := deadline - time.monotonic()) > 0:
        state = connection.connect_poll()
        if state == pq.PollingStatus.READING:
            select.select([connection.socket], [], [], left)
        elif state == pq.PollingStatus.WRITING:
            select.select([], [connection.socket], [], left)
        else:
            return
