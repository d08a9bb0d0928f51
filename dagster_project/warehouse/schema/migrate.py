"""``warehouse migrate``: bring the schema up to date from the SQL files in ``sql/``.

Each numbered file is applied and recorded in one transaction; all functions and views that changed are
applied in another. Of two processes that migrate at once, the second waits for an advisory lock and finds
nothing left to do.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import psycopg
from psycopg import errors as pg
from psycopg import sql

from dagster_project.errors import NoSuchDatabase, TryLater
from dagster_project.text.remedies import APPLY_ERASURES
from dagster_project.warehouse.connection import LOADER, Connection, Report, Warehouse
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.queries import fetch_value
from dagster_project.warehouse.restored import RESTORED_DUMP, close_restored
from dagster_project.warehouse.schema.logins import make_databases, make_logins
from dagster_project.warehouse.schema.migration_files import read_files
from dagster_project.warehouse.schema.plan import Step, make_plan

LOCK_KEY = int.from_bytes(hashlib.sha256(b"warehouse migrate").digest()[:8], signed=True)
LOCK_SECONDS = 900
BUSY_SECONDS = 120
APPLYING = "applying "
RAISED = "exec_stmt_raise"  # what RAISE NOTICE comes from; what Postgres says of itself comes from elsewhere
SECURED = """
SELECT NOT EXISTS (SELECT FROM ops.security_gap)
    AND has_database_privilege('warehouse_owner', current_database(), 'CREATE')
    AND has_database_privilege('warehouse_loader', current_database(), 'CONNECT')
    AND has_database_privilege('warehouse_loader', current_database(), 'TEMPORARY')
    AND has_database_privilege('warehouse_bi', current_database(), 'CONNECT')
"""

T = TypeVar("T")
MakeStorage = Callable[[Warehouse, Report], None]
"""Makes Dagster's storage, or brings it up to date."""


def migrate(
    warehouse: Warehouse,
    report: Report = lambda line: None,
    folder: Path | None = None,
    storage: MakeStorage | None = None,
) -> list[str]:
    """Bring the warehouse's schema up to date; return the names of what was applied.

    ``report`` is called with each step. On the embedded server, databases and logins are created too.
    ``storage`` migrates Dagster's tables, under the same lock.

    Raises:
        SettingsError: the schema is newer than this program, an applied file was changed, or
            rights are missing. TryLater, DatabaseFailed: as ``safe_errors``.
    """
    with safe_errors("migrating"):
        make_databases(warehouse, report)
        with (
            warehouse.connect_admin(what="migrate") as connection,
            hold_migration_lock(connection, report),
        ):
            plan = make_plan(connection, read_files(folder))
            for step in plan.steps():
                report(f"{APPLYING}{step.name}")
                retry_while_busy(partial(_apply, warehouse, step, report), step.name, report)
            is_restored = close_restored(connection, warehouse.seen_erasures)
            if is_restored:
                report(f"{RESTORED_DUMP} Way out: {APPLY_ERASURES}")
            make_logins(warehouse, report)
            if plan.names or is_restored or not _is_secured(connection):
                connection.execute("SELECT ops.secure_database()")
            if storage is not None:
                storage(warehouse, report)
    return plan.names


def pending(warehouse: Warehouse, folder: Path | None = None) -> list[str]:
    """The names of what ``migrate`` would apply, with the same checks."""
    with safe_errors("reading the schema's version"):
        files = read_files(folder)
        try:
            opened = warehouse.connect_admin(what="migrate")
        except NoSuchDatabase:
            if not warehouse.is_embedded:
                raise
            return [str(file) for file in (*files.migrations, *files.definitions)]
        with opened as connection:
            _work_as_loader(connection)
            return make_plan(connection, files).names


def _work_as_loader(connection: Connection) -> None:
    """Work as the loader, if the role exists and the login is a member: the pipeline's login inherits nothing."""
    row = connection.execute(
        "SELECT FROM pg_roles WHERE rolname = %s AND pg_has_role(oid, 'MEMBER')", (LOADER,)
    ).fetchone()
    if row is not None:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(LOADER)))


def secure(warehouse: Warehouse, report: Report = lambda line: None) -> None:
    """Close the database to PUBLIC and limit the logins that read ``bi``, as far as our rights allow.

    One process at a time: of two that grant the same, Postgres lets one fail.
    """
    with (
        safe_errors("closing the database"),
        warehouse.connect_admin(what="migrate") as connection,
        hold_migration_lock(connection, report),
    ):
        connection.execute("SELECT ops.secure_database()")


def security_gaps(warehouse: Warehouse) -> list[tuple[str, str]]:
    """What is open to PUBLIC in this database and should not be, each with the statement that closes it."""
    with safe_errors("reading privileges"), warehouse.connect(what="doctor") as connection:
        rows = connection.execute("SELECT gap, mend FROM ops.security_gap ORDER BY gap")
        return [(str(gap), str(mend)) for gap, mend in rows]


def retry_while_busy(work: Callable[[], T], what: str, report: Report) -> T:
    """Run DDL, and try again if tables are in use: waiting for the lock would make readers queue behind it."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return work()
        except (pg.LockNotAvailable, pg.DeadlockDetected):
            if time.monotonic() > deadline:
                raise
        report(f"{what} waits for tables in use")
        time.sleep(1)


def _apply(warehouse: Warehouse, step: Step, report: Report) -> None:
    def tell(notice: psycopg.errors.Diagnostic) -> None:
        if notice.source_function == RAISED:
            report(f"{step.name}: {notice.message_primary}")

    with warehouse.connect_admin(autocommit=False, what="migrate") as connection:
        connection.add_notice_handler(tell)
        step.apply(connection)


@contextmanager
def hold_migration_lock(connection: Connection, report: Report) -> Iterator[None]:
    """Hold the migration lock inside the block.

    Raises:
        TryLater: another process has held it for too long.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    told = False
    while not fetch_value(connection, "SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,)):
        if time.monotonic() > deadline:
            raise TryLater("another process is still migrating this database.")
        if not told:
            report("waiting for another process that migrates")
            told = True
        time.sleep(0.1)
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))


def _is_secured(connection: Connection) -> bool:
    """Whether ``ops.secure_database()`` ran after the last file; a killed migration may have missed it."""
    return bool(fetch_value(connection, SECURED))


def database_exists(warehouse: Warehouse) -> bool:
    """Whether the embedded server has the warehouse's database; True for other servers, where connecting tells."""
    if not warehouse.is_embedded:
        return True
    with warehouse.connect_admin(database="postgres", what="migrate") as connection:
        query = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)"
        return bool(fetch_value(connection, query, (warehouse.database,)))
