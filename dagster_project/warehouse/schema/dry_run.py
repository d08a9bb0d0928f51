"""``warehouse migrate --dry-run``: run each step in a transaction, observe it, and roll back.

The report is observed, not predicted: the locks that a step holds on existing tables and views, which of them
were rewritten as a whole, and how many rows changed. Readers may wait for as long as the steps take. If a
table is in use, it waits and tries again, as the migration itself does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dagster_project.errors import NoSuchDatabase
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Connection, Report, Warehouse
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.schema.migrate import (
    database_exists,
    hold_migration_lock,
    retry_while_busy,
)
from dagster_project.warehouse.schema.migration_files import SqlFiles, read_files
from dagster_project.warehouse.schema.plan import Step, make_plan

# Who waits for the step, by its strongest lock. Other locks stop only another migration.
WAITING = {
    "AccessExclusiveLock": "readers and loads wait",
    "ExclusiveLock": "loads wait",
    "ShareRowExclusiveLock": "loads wait",
    "ShareLock": "loads wait",
}
RELATIONS = """
SELECT c.oid::bigint, c.oid::regclass::text, c.relfilenode::bigint, pg_table_size(c.oid),
    coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0)
FROM pg_class c LEFT JOIN pg_stat_xact_all_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'i') AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
"""
LOCKS = """
SELECT DISTINCT l.relation::bigint, l.mode FROM pg_locks l
WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted
"""


@dataclass(frozen=True)
class Relation:
    """A table, view or index: its file, its size, and its rows changed in this transaction."""

    name: str
    file: int
    size: int
    changes: int


@dataclass(frozen=True)
class TriedStep:
    """What one transaction of a migration would do to existing objects."""

    name: str
    locks: Mapping[str, str]
    rewritten: Mapping[str, int]
    rows: Mapping[str, int]
    seconds: float

    def lines(self) -> list[str]:
        """The report in lines for people."""
        told = [f"{self.name}: {self.seconds:.1f} s"]
        for mode, waiting in WAITING.items():
            names = [name for name, held in self.locks.items() if held == mode]
            if names:
                told.append(f"    locks {_sql_lock_name(mode)} ({waiting}): {', '.join(names)}")
        if not self.locks:
            told.append("    locks nothing that readers or loads use")
        rewritten = [f"{name} ({size / 2**20:.1f} MB)" for name, size in self.rewritten.items()]
        told.append(f"    rewrites {', '.join(rewritten) or 'nothing'}")
        if self.rows:
            changed = [f"{pluralize(count, 'row')} of {name}" for name, count in self.rows.items()]
            told.append(f"    changes {', '.join(changed)}")
        return told


def try_out(
    warehouse: Warehouse,
    report: Report = lambda line: None,
    folder: Path | None = None,
) -> list[TriedStep]:
    """Do what ``migrate`` would do, observe it, and roll back.

    ``report`` is called if a table is in use.

    Raises:
        SettingsError, TryLater, DatabaseFailed: as ``migrate``.
    """
    with safe_errors("trying out the migration"):
        files = read_files(folder)
        if not _is_reachable(warehouse):
            return [_new_database_step(warehouse, files)]
        with (
            warehouse.connect_admin(what="migrate") as connection,
            hold_migration_lock(connection, report),
        ):
            steps = make_plan(connection, files).steps()
            return retry_while_busy(lambda: _try_all(warehouse, steps), "the trial", report)


def _is_reachable(warehouse: Warehouse) -> bool:
    if not database_exists(warehouse):
        return False
    try:
        warehouse.connect_admin(what="migrate").close()
    except NoSuchDatabase:
        return False
    return True


def _new_database_step(warehouse: Warehouse, files: SqlFiles) -> TriedStep:
    count = len(files.migrations) + len(files.definitions)
    name = f"creates database {warehouse.database} and applies {count} files to it"
    return TriedStep(name, {}, {}, {}, 0.0)


def _try_all(warehouse: Warehouse, steps: Sequence[Step]) -> list[TriedStep]:
    with warehouse.connect_admin(autocommit=False, what="migrate") as connection:
        try:
            return [_try_step(connection, step) for step in steps]
        finally:
            connection.rollback()


def _try_step(connection: Connection, step: Step) -> TriedStep:
    before, held = _relations(connection), _locks(connection)
    began = time.monotonic()
    step.apply(connection)
    seconds = time.monotonic() - began
    after = _relations(connection)
    stronger = _locks(connection) - held
    locks = {
        before[oid].name: mode
        for mode in reversed(WAITING)
        for oid, of_mode in sorted(stronger)
        if of_mode == mode and oid in before
    }
    kept = [(old, after[oid]) for oid, old in before.items() if oid in after]
    return TriedStep(
        step.name,
        locks,
        {old.name: old.size for old, new in kept if old.file != new.file},
        {
            old.name: new.changes - old.changes
            for old, new in kept
            if new.changes > old.changes and old.name != "ops.migration"
        },
        seconds,
    )


def _relations(connection: Connection) -> dict[int, Relation]:
    return {int(row[0]): Relation(*row[1:]) for row in connection.execute(RELATIONS).fetchall()}


def _locks(connection: Connection) -> set[tuple[int, str]]:
    return {(int(oid), str(mode)) for oid, mode in connection.execute(LOCKS).fetchall()}


def _sql_lock_name(mode: str) -> str:
    """The SQL name of a lock mode: ``ACCESS EXCLUSIVE`` for ``AccessExclusiveLock``."""
    words = "".join(f" {letter}" if letter.isupper() else letter for letter in mode)
    return words.removesuffix(" Lock").strip().upper()
