"""What a session of ours depends on, set by the session itself.

A server, a database or a role can carry a value of its own for nearly every setting, and a session
takes it over unless it says otherwise while it starts. Settings that any login may change go into
the startup packet. Those that not every server knows, and those that the environment of this process
puts into that packet behind them (``PGTZ``, ``PGDATESTYLE``), follow in one statement.

A session is refused where these cannot hold: behind a pooler, whose sessions are not ours alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from dagster_project.errors import SettingsError

ENCODING = "UTF8"

# What rows, statements and their durability depend on.
MEANING: Mapping[str, str] = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    # Ours names every schema; Dagster names none, and its tables are in this one.
    "search_path": "public",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",
    "row_security": "on",
    "check_function_bodies": "on",
    "exit_on_error": "off",
    "plpgsql.extra_errors": "none",
    "client_min_messages": "notice",
    "default_tablespace": "",
    "temp_tablespaces": "",
    "default_table_access_method": "heap",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "log_parameter_max_length_on_error": "0",
}
# How long a session may wait or be idle, and how soon a lost host lets go.
PATIENCE: Mapping[str, str] = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "client_connection_check_interval": "5s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60s",
}
STORAGE_SESSION: Mapping[str, str] = {**MEANING, **PATIENCE}
SESSION: Mapping[str, str] = {**STORAGE_SESSION, "role": "none", "jit": "off"}
READER_SESSION: Mapping[str, str] = {
    name: MEANING[name]
    for name in (
        *("datestyle", "intervalstyle", "timezone", "bytea_output", "extra_float_digits"),
        *("standard_conforming_strings", "quote_all_identifiers"),
    )
} | {"search_path": "bi"}
"""What a BI tool shows depends on (bi/start.py); how long it may ask, the server's administrator says."""

# Known from some version on, in some of them from a minor release.
NOT_EVERYWHERE: Mapping[str, str] = {
    "createrole_self_grant": "",
    "restrict_nonsystem_relation_kind": "",
}
TRANSACTION_TIMEOUT_SINCE = 170000
FROM_THE_ENVIRONMENT = ("PGDATESTYLE", "PGTZ", "PGGEQO", "PGCLIENTENCODING", "PGOPTIONS")

# A setting that is right already is left alone. Who replicates synchronously says what a commit waits
# for; only that it waits for nothing at all is not for a warehouse. Triggers and foreign keys are
# switched on again where the login may do that; nothing that is loaded hangs on them.
APPLY_SETTINGS = sql.SQL(
    "SELECT set_config(name, value, false) FROM (VALUES {}) AS s(name, value)"
    " WHERE current_setting(name, true) <> value"
    " UNION ALL SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
    " UNION ALL SELECT set_config('session_replication_role', 'origin', false)"
    " WHERE current_setting('session_replication_role') <> 'origin'"
    " AND has_parameter_privilege('session_replication_role', 'SET');"
    " SELECT pg_backend_pid()"
).format(
    sql.SQL(", ").join(
        sql.SQL("({}, {})").format(name, value)
        for name, value in {
            "datestyle": MEANING["datestyle"],
            "timezone": MEANING["timezone"],
            **NOT_EVERYWHERE,
        }.items()
    )
)


def as_options(settings: Mapping[str, str]) -> str:
    """Settings as libpq's ``options``: ``-c name=value``, blanks and backslashes escaped."""
    escaped = {
        name: value.replace("\\", "\\\\").replace(" ", "\\ ") for name, value in settings.items()
    }
    return " ".join(f"-c {name}={value}" for name, value in escaped.items())


def dagster_options(server_version: int, role: str) -> str:
    """What Dagster's sessions set, on a server of this version (150000 is 15)."""
    late = {"transaction_timeout": "0"} if server_version >= TRANSACTION_TIMEOUT_SINCE else {}
    return as_options({**STORAGE_SESSION, **late, "role": role})


def apply_settings(connection: psycopg.Connection[Any], target: str, setting: str) -> None:
    """End the making of a session that has just begun, in autocommit.

    ``target`` says which session it is, ``setting`` which of ours holds its URL.

    Raises:
        SettingsError: a pooler answers.
    """
    info = connection.info
    first = (
        "SET transaction_timeout = 0;" if info.server_version >= TRANSACTION_TIMEOUT_SINCE else ""
    )
    cursor = connection.execute(sql.SQL(first) + APPLY_SETTINGS)
    while cursor.nextset():
        pass
    row = cursor.fetchone()
    if row is None or row[0] != info.backend_pid:
        raise pooler_error(target, setting)


def pooler_error(target: str, setting: str) -> SettingsError:
    return SettingsError(
        f"{target}: a connection pooler answers there, and its sessions keep neither our settings"
        " and role nor our locks.",
        hint=f"give Postgres' own host and port in {setting}.",
    )
