"""Check whether a server can hold a warehouse: its encoding, its clock, and whether it accepts writes."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from dagster_project.clock import CLOCKS_MAY_DIFFER
from dagster_project.errors import SettingsError
from dagster_project.warehouse.queries import fetch_value
from dagster_project.warehouse.session import ENCODING

Connection = psycopg.Connection[Any]

PROBE_BYTES = 4 << 20


def refuse_unfit(connection: Connection) -> None:
    """Refuse a server that cannot hold a warehouse.

    Raises:
        SettingsError: the database is not in UTF-8, or the server is a standby.
    """
    refuse_other_encodings(connection)
    if fetch_value(connection, "SELECT pg_is_in_recovery()"):
        raise SettingsError(
            f"the server of database {connection.info.dbname} is a standby: it takes no writes.",
            hint="name the primary in WAREHOUSE_URL, or every host and"
            " target_session_attrs=read-write.",
        )


def refuse_other_encodings(connection: Connection, setting: str = "WAREHOUSE_URL") -> None:
    """Refuse a database in another encoding than UTF-8.

    Raises:
        SettingsError: the database cannot store every character.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != ENCODING:
        raise SettingsError(
            f"database {connection.info.dbname} has the encoding {encoding}, and texts need {ENCODING}.",
            hint=f"CREATE DATABASE … ENCODING '{ENCODING}' TEMPLATE template0, and name that one"
            f" in {setting}.",
        )


def clock_difference(connection: Connection) -> tuple[float, float]:
    """By how many seconds the database's real clock is ahead of this host's, and the margin of error."""
    before = time.time()
    clock = fetch_value(connection, "SELECT extract(epoch FROM clock_timestamp())::float8")
    after = time.time()
    return clock - (before + after) / 2, (after - before) / 2


def clock_warning(connection: Connection) -> str | None:
    """A warning if the clocks of the database and of this host differ by more than a minute; else None."""
    ahead, inexact = clock_difference(connection)
    if abs(ahead) - inexact <= CLOCKS_MAY_DIFFER.total_seconds():
        return None
    which = "ahead of" if ahead > 0 else "behind"
    return (
        f"the database's clock is {abs(ahead):.0f} s {which} this machine's: synchronize both by NTP,"
        " days and points depend on them."
    )


def try_to_write(connection: Connection) -> None:
    """Write some megabytes and roll back: a full disk raises ``DiskFull``, as a load would."""
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE TEMP TABLE disk_probe (filler text)")
        connection.execute(
            "INSERT INTO disk_probe SELECT repeat('x', 1024) FROM generate_series(1, %s)",
            (PROBE_BYTES // 1024,),
        )
