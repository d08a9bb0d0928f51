"""The schema, brought up to date from the plain SQL files in ``sql/``, by Alembic.

A file ``NNNN_name.sql`` is one revision, applied in one transaction that also records it. An advisory
lock lets two processes migrate at once: the second finds nothing left to do. A file that was
applied is never changed: what it did is in somebody's database already.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script.base import Script
from alembic.script.revision import RevisionMap
from psycopg import errors as pg
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from dagster_project.errors import DatabaseFailed, SettingsError, TryLater
from dagster_project.text.remedies import APPLY_ERASURES
from dagster_project.warehouse.connection import LOADER, Warehouse, safe_errors
from dagster_project.warehouse.pg_errors import PASSING, describe
from dagster_project.warehouse.restored import WHAT, close_restored
from dagster_project.warehouse.schema.logins import make_databases, make_logins
from dagster_project.warehouse.schema.migration_files import Migration, read_files, sql_folder

LOCK_KEY = int.from_bytes(hashlib.sha256(b"warehouse migrate").digest()[:8], signed=True)
LOCK_SECONDS = 900
BUSY_SECONDS = 120
SECURED = """
SELECT NOT EXISTS (SELECT FROM ops.security_gap)
    AND has_database_privilege('warehouse_owner', current_database(), 'CREATE')
    AND has_database_privilege('warehouse_loader', current_database(), 'CONNECT')
    AND has_database_privilege('warehouse_loader', current_database(), 'TEMPORARY')
    AND has_database_privilege('warehouse_bi', current_database(), 'CONNECT')
"""

Connection = psycopg.Connection[Any]
MakeStorage = Callable[[Warehouse, Callable[[str], None]], None]


def migrate(
    warehouse: Warehouse,
    report: Callable[[str], None] = lambda line: None,
    folder: Path | None = None,
    storage: MakeStorage | None = None,
) -> list[str]:
    """Bring the warehouse's schema up to date; answers the names of what was applied.

    ``report`` is told each step. On the embedded server the databases and logins are made, too.
    ``storage`` does the same for Dagster's tables, under the same lock.

    Raises:
        SettingsError: the schema is newer than this program, an applied file was changed, or
            rights are missing. TryLater, DatabaseFailed: as ``safe_errors``.
    """
    with safe_errors("migrating"):
        make_databases(warehouse, report)
        with (
            warehouse.connect_admin(what="migrate") as connection,
            _one_at_a_time(connection, report),
        ):
            files = read_files(folder)
            waiting = _waiting(connection, files)
            for migration in waiting:
                report(f"applying {migration}")
                _apply_when_not_busy(warehouse, files, migration, report)
            is_restored = close_restored(connection, warehouse.seen_erasures)
            if is_restored:
                report(f"{WHAT} Way out: {APPLY_ERASURES}")
            make_logins(warehouse, report)
            if waiting or is_restored or not _is_secured(connection):
                connection.execute("SELECT ops.secure_database()")
            if storage is not None:
                storage(warehouse, report)
    return [str(migration) for migration in waiting]


def pending(warehouse: Warehouse, folder: Path | None = None) -> list[str]:
    """The names of what ``migrate`` would apply, checked as ``migrate`` checks it."""
    with safe_errors("reading the schema's version"):
        if not _database_exists(warehouse):
            return [str(migration) for migration in read_files(folder)]
        with warehouse.connect_admin(what="migrate") as connection:
            _work_as_loader(connection)
            return [str(migration) for migration in _waiting(connection, read_files(folder))]


def _work_as_loader(connection: Connection) -> None:
    """The pipeline's own login inherits nothing; an administrator may be here before there is a role."""
    row = connection.execute(
        "SELECT FROM pg_roles WHERE rolname = %s AND pg_has_role(oid, 'MEMBER')", (LOADER,)
    ).fetchone()
    if row is not None:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(LOADER)))


def secure(warehouse: Warehouse) -> None:
    """Close the database to PUBLIC and limit the logins that read ``bi``, as far as we may."""
    with safe_errors("closing the database"), warehouse.connect_admin(what="migrate") as connection:
        connection.execute("SELECT ops.secure_database()")


def security_gaps(warehouse: Warehouse) -> list[tuple[str, str]]:
    """What is open to everybody in this database and should not be, each with what closes it."""
    with safe_errors("reading privileges"), warehouse.connect(what="doctor") as connection:
        rows = connection.execute("SELECT gap, mend FROM ops.security_gap ORDER BY gap")
        return [(str(gap), str(mend)) for gap, mend in rows]


def code_version() -> str:
    """The installed version of this program."""
    try:
        return version("messaging-warehouse")
    except PackageNotFoundError:
        return "not installed"


def _waiting(connection: Connection, files: Sequence[Migration]) -> list[Migration]:
    applied = _applied(connection)
    known = {migration.revision: migration for migration in files}
    newer = sorted(set(applied) - set(known))
    if newer:
        raise SettingsError(
            f"the schema has migrations that this program does not know: {', '.join(newer)}.",
            way_out="upgrade the program to the version that migrated it, or a later one.",
        )
    for revision, sha256 in applied.items():
        if known[revision].sha256 != sha256:
            raise SettingsError(
                f"sql/{known[revision]}.sql was changed after it was applied.",
                way_out="restore the file as it was, and put the change into a new file.",
            )
    waiting = [migration for migration in files if migration.revision not in applied]
    if waiting and applied and waiting[0].revision < max(applied):
        raise SettingsError(
            f"sql/{waiting[0]}.sql is numbered below {max(applied)}, which is applied already.",
            way_out="give it a number above.",
        )
    return waiting


def _applied(connection: Connection) -> dict[str, str]:
    found = connection.execute("SELECT to_regclass('ops.migration')").fetchone()
    if found is None or found[0] is None:
        return {}
    rows = connection.execute("SELECT revision, sha256 FROM ops.migration ORDER BY revision")
    return {str(revision): str(sha256) for revision, sha256 in rows}


def _apply_when_not_busy(
    warehouse: Warehouse,
    files: Sequence[Migration],
    migration: Migration,
    report: Callable[[str], None],
) -> None:
    """DDL that waits for a lock makes readers queue behind it: wait briefly, let them pass, try again."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            _apply(warehouse, files, migration, report)
            return
        except (pg.LockNotAvailable, pg.DeadlockDetected):
            if time.monotonic() > deadline:
                raise
        report(f"{migration} waits for tables in use")
        time.sleep(1)


def _apply(
    warehouse: Warehouse,
    files: Sequence[Migration],
    migration: Migration,
    report: Callable[[str], None],
) -> None:
    """Alembic walks one step; the step runs the file, and both are recorded in one transaction."""
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: warehouse.connect_admin(autocommit=False, what="migrate"),
        poolclass=NullPool,
        hide_parameters=True,
    )
    with engine.begin() as transaction:
        connection = transaction.connection.driver_connection
        assert isinstance(connection, psycopg.Connection)
        connection.add_notice_handler(
            lambda notice: report(f"{migration}: {notice.message_primary}")
        )

        def run() -> None:
            _run_file(connection, migration)

        revisions = _revision_map(files, {migration.revision: run})
        script = revisions.get_revision(migration.revision)
        assert isinstance(script, Script)
        step = RevisionStep(revisions, script, is_upgrade=True)
        if not _applied(connection):
            connection.execute((sql_folder() / "0000_bookkeeping.sql").read_bytes())
        options = {"version_table": "schema_version", "version_table_schema": "ops"}
        MigrationContext.configure(
            transaction, opts={**options, "fn": lambda heads, context: [step]}
        ).run_migrations()


def _run_file(connection: Connection, migration: Migration) -> None:
    connection.execute("SET LOCAL lock_timeout = '3s'")
    try:
        connection.execute(migration.text.encode())
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(PASSING):
            raise
        raise DatabaseFailed(
            f"sql/{migration}.sql, line {_line(migration.text, error)}: {describe(error)}"
        ) from None
    connection.execute("RESET ROLE")
    connection.execute(
        "INSERT INTO ops.migration (revision, name, sha256, code_version) VALUES (%s, %s, %s, %s)",
        (migration.revision, migration.name, migration.sha256, code_version()),
    )


def _line(text: str, error: psycopg.Error) -> int | str:
    position = error.diag.statement_position
    return text.count("\n", 0, int(position)) + 1 if position else "unknown"


def _revision_map(
    files: Sequence[Migration], upgrades: dict[str, Callable[[], None]]
) -> RevisionMap:
    def scripts() -> Iterator[Script]:
        before: str | None = None
        for migration in files:
            module = ModuleType(f"migration_{migration.revision}", migration.name)
            module.__dict__["down_revision"] = before
            module.__dict__["upgrade"] = upgrades.get(migration.revision)
            yield Script(module, migration.revision, f"{migration}.sql")
            before = migration.revision

    return RevisionMap(lambda: tuple(scripts()))


@contextmanager
def _one_at_a_time(connection: Connection, report: Callable[[str], None]) -> Iterator[None]:
    deadline = time.monotonic() + LOCK_SECONDS
    told = False
    while not _value(connection, "SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,)):
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
    """Whether the database was closed, and opened to our roles, after the last file: a kill may come between."""
    return bool(_value(connection, SECURED))


def _database_exists(warehouse: Warehouse) -> bool:
    if not warehouse.is_embedded:
        return True
    with warehouse.connect_admin(database="postgres", what="migrate") as connection:
        query = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)"
        return bool(_value(connection, query, (warehouse.database,)))


def _value(connection: Connection, query: str, parameters: Sequence[Any] = ()) -> Any:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row[0]
