"""The settings of our Postgres sessions, which each session sets itself.

A server, a database or a role can have its own value of nearly every setting, which a session inherits
unless it sets another one. Settings that any login may change are in the startup packet. Settings that not
every server knows, and those that the environment of this process adds to the packet after ours (``PGTZ``,
``PGDATESTYLE``), follow in one statement.

Behind a connection pooler settings do not last, so such a session is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from dagster_project.errors import SettingsError

ENCODING = "UTF8"

# Settings that decide the meaning of rows and statements, and their durability.
MEANING: Mapping[str, str] = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    # Our statements name every schema; Dagster's name none, and its tables are in this one.
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
# How long a session may wait or be idle, and how soon a lost host's session ends.
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
"""Settings that decide what a BI tool shows (bi/start.py); its time limits are the administrator's."""

# Known from some version on, in some of them from a minor release.
NOT_EVERYWHERE: Mapping[str, str] = {
    "createrole_self_grant": "",
    "restrict_nonsystem_relation_kind": "",
}
TRANSACTION_TIMEOUT_SINCE = 170000
FROM_THE_ENVIRONMENT = ("PGDATESTYLE", "PGTZ", "PGGEQO", "PGCLIENTENCODING", "PGOPTIONS")

# A setting that is already right is left alone. With synchronous replication the administrator decides what
# a commit waits for; only "off" is changed. Triggers and foreign keys are switched on if the login may do
# that; loads do not depend on them.
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
    """The options of Dagster's sessions, on a server of this version (150000 is 15)."""
    late = {"transaction_timeout": "0"} if server_version >= TRANSACTION_TIMEOUT_SINCE else {}
    return as_options({**STORAGE_SESSION, **late, "role": role})


def apply_settings(connection: psycopg.Connection[Any], target: str, setting: str) -> None:
    """Apply the remaining settings to a session that has just begun, in autocommit.

    ``target`` describes the session; ``setting`` is the name of the setting with its URL.

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
