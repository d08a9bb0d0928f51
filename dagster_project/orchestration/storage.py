"""Dagster's storage: its tables are made and brought up to date by ``warehouse migrate`` alone.

Dagster would make them for whoever comes first, several at once and as whoever that is. Here one
process at a time does it, under a lock in that very database, for one owner: the login of
``DAGSTER_URL`` where that is set, ``warehouse_dagster`` otherwise. A comment on Alembic's table says which
version of Dagster did it last; it is written at the end, so that what was killed is done again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from alembic.script import ScriptDirectory
from dagster._core.storage.sql import stamp_alembic_rev
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres import storage as dagster_module
from dagster_postgres.utils import pg_alembic_config
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from dagster_project.errors import SettingsError
from dagster_project.orchestration.storage_rights import (
    PARTS,
    missing_tables,
    refuse_closed_schema,
    refuse_lacking_rights,
    refuse_to_make,
)
from dagster_project.text import remedies
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import DAGSTER, Connection, Report, Warehouse
from dagster_project.warehouse.dagster_storage import MADE_FOR, DagsterStorage, made_for
from dagster_project.warehouse.fitness import refuse_other_encodings
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.queries import fetch_value

LOCK_KEY = int.from_bytes(hashlib.sha256(b"dagster storage").digest()[:8], signed=True)
LOCK_SECONDS = 900
STRANGERS = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
    AND c.relowner <> %(owner)s::regrole ORDER BY c.relname
"""


def make_storage(warehouse: Warehouse, report: Report = lambda line: None) -> None:
    """Make Dagster's tables, or bring them up to date; what is right already is left alone.

    Raises:
        SettingsError: the database is absent, not in UTF-8, or its rights do not suffice.
        TryLater, DatabaseFailed: as ``safe_errors``.
    """
    storage = warehouse.storage
    with safe_errors("making Dagster's storage"):
        _refuse_absent(warehouse, storage)
        with storage.connect() as connection, _alone(connection):
            refuse_other_encodings(connection, storage.setting)
            role = _owner(connection, warehouse)
            if made_for(connection) == MADE_FOR and not missing_tables(connection):
                return
            if role == "none":
                refuse_to_make(connection)
            report(f"bringing Dagster's storage up to date in {storage.database}")
            _make(connection, storage.url(connection.info.server_version, role=role))
            _sign(connection)


def check_storage(connection: Connection, also: Sequence[str] = ()) -> None:
    """See that Dagster can work here. ``also`` are tables that another program makes beside Dagster's.

    Raises:
        SettingsError: Dagster's storage is not made, is of an older Dagster, or this login lacks a right.
    """
    database = connection.info.dbname
    refuse_closed_schema(connection)
    signed = made_for(connection)
    if signed is None:
        raise SettingsError(
            f"Dagster's storage in database {database} is not made yet.",
            hint=remedies.MIGRATE,
        )
    refuse_lacking_rights(connection, also)
    if signed != MADE_FOR and not _is_at_head(connection):
        raise SettingsError(
            f"Dagster's storage in database {database} is of another version than Dagster"
            f" {dg.__version__}.",
            hint=remedies.MIGRATE,
        )
    if missing := missing_tables(connection):
        raise SettingsError(
            f"Dagster's storage in database {database} lacks {pluralize(len(missing), 'table')}"
            f" ({', '.join(missing)}).",
            hint=remedies.MIGRATE,
        )


def _refuse_absent(warehouse: Warehouse, storage: DagsterStorage) -> None:
    if warehouse.dagster is not None:
        return
    with warehouse.connect_admin(what="migrate") as connection:
        query = "SELECT FROM pg_database WHERE datname = %s"
        if connection.execute(query, (storage.database,)).fetchone() is None:
            raise SettingsError(
                f"database {storage.database}, for Dagster, is absent, and this login may not create it.",
                hint=f'as an administrator: CREATE DATABASE "{storage.database}" OWNER {DAGSTER}'
                " ENCODING 'UTF8' TEMPLATE template0; or name another one in DAGSTER_URL.",
            )


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
    connection.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))


def _owner(connection: Connection, warehouse: Warehouse) -> str:
    """Whom to work as: a login of its own as itself, an administrator as ``warehouse_dagster``."""
    if warehouse.is_embedded or warehouse.dagster is not None:
        return "none"
    try:
        _hand_over(connection)
    except InsufficientPrivilege:
        database = connection.info.dbname
        raise SettingsError(
            f"database {database} and what is in it cannot be given to {DAGSTER} by this login.",
            hint=f'as an administrator: ALTER DATABASE "{database}" OWNER TO {DAGSTER};'
            f" GRANT {DAGSTER} TO {connection.info.user};",
        ) from None
    return DAGSTER


def _hand_over(connection: Connection) -> None:
    """Give the database and its tables to ``warehouse_dagster``, whoever made them."""
    names = {"dagster": sql.Identifier(DAGSTER), "database": sql.Identifier(connection.info.dbname)}
    for wanting, statement in (
        (
            "SELECT NOT rolsuper AND NOT pg_has_role(%(owner)s, 'USAGE')"
            " FROM pg_roles WHERE rolname = current_user",
            "GRANT {dagster} TO CURRENT_USER",
        ),
        (
            "SELECT datdba <> %(owner)s::regrole FROM pg_database"
            " WHERE datname = current_database()",
            "ALTER DATABASE {database} OWNER TO {dagster}",
        ),
    ):
        if fetch_value(connection, wanting.encode(), {"owner": DAGSTER}):
            connection.execute(sql.SQL(statement).format(**names))
    for (table,) in connection.execute(STRANGERS, {"owner": DAGSTER}).fetchall():
        give = sql.SQL("ALTER TABLE public.{} OWNER TO {}")
        connection.execute(give.format(sql.Identifier(table), names["dagster"]))


def _make(connection: Connection, url: str) -> None:
    """All tables, as this version of Dagster has them, and the indexes over what is in them."""
    storage = DagsterPostgresStorage(url, should_autocreate_tables=False)
    runs: Any = storage.run_storage
    events, schedules = storage.event_log_storage, storage.schedule_storage
    parts: tuple[Any, ...] = (runs, events, schedules)
    exists = made_for(connection) is not None
    if exists and not _is_at_head(connection):
        for part in parts:
            part.upgrade()
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    with engine.begin() as transaction:
        for tables in PARTS:
            tables.create_all(transaction)
        if not exists:
            stamp_alembic_rev(pg_alembic_config(dagster_module.__file__), transaction)
    runs.get_run_storage_id()
    events.reindex_events()
    events.reindex_assets()
    for part in (runs, schedules):
        part.migrate()
        part.optimize()


def _is_at_head(connection: Connection) -> bool:
    scripts = ScriptDirectory.from_config(pg_alembic_config(dagster_module.__file__))
    return bool(
        fetch_value(connection, "SELECT version_num FROM public.alembic_version")
        == scripts.get_current_head()
    )


def _sign(connection: Connection) -> None:
    connection.execute(
        sql.SQL("COMMENT ON TABLE public.alembic_version IS {}").format(sql.Literal(MADE_FOR))
    )
