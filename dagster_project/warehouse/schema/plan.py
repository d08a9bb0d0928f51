"""The plan of a migration: which files of ``sql/`` a database lacks, in the order of application."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dagster_project.errors import SettingsError
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.schema.bookkeeping import read_applied, record_applied
from dagster_project.warehouse.schema.definitions import (
    SHORT_WAITS,
    apply_definitions,
    grants_of_others,
    remake_dropped,
    run_file,
)
from dagster_project.warehouse.schema.migration_files import Definition, Migration, SqlFiles
from dagster_project.warehouse.schema.upgrade import LAYERS, layer_of, move_into_baseline


@dataclass(frozen=True)
class Step:
    """One transaction of a migration."""

    name: str
    apply: Callable[[Connection], None]


@dataclass(frozen=True)
class Plan:
    """A migration's plan. ``layer``: the earlier schema to move into the baseline; then the rest is empty."""

    files: SqlFiles
    layer: str | None
    migrations: Sequence[Migration]
    due: Sequence[Definition]
    removed: Sequence[str]

    @property
    def names(self) -> list[str]:
        """A name for each file that would be applied, or dropped."""
        if self.layer is not None:
            return [f"upgrade_from_{self.layer}"]
        dropped = [f"drop {revision}" for revision in self.removed]
        return [*map(str, self.migrations), *map(str, self.due), *dropped]

    def steps(self) -> list[Step]:
        """The steps: one for each numbered file, and one for all functions and views."""
        if self.layer is not None:
            (name,) = self.names
            return [Step(name, self._move_into_baseline)]
        steps = [
            Step(str(migration), lambda connection, m=migration: self._migrate(connection, m))  # type: ignore[misc]
            for migration in self.migrations
        ]
        if self.due or self.removed:
            named = [str(file) for file in self.due] + [f"drop {name}" for name in self.removed]
            what = ", ".join(named) if len(named) <= 3 else f"{len(named)} functions and views"
            steps.append(Step(what, self._apply_definitions))
        return steps

    def _move_into_baseline(self, connection: Connection) -> None:
        move_into_baseline(connection, self.files)

    def _migrate(self, connection: Connection, migration: Migration) -> None:
        due = self.files.due(read_applied(connection))
        needed = [file for file in self.files.needed_by(migration) if file in due]
        if needed:
            apply_definitions(connection, self.files, needed)
        grants = grants_of_others(connection)
        connection.execute(SHORT_WAITS)
        run_file(connection, migration)
        connection.execute("RESET ROLE")
        remake_dropped(connection, self.files, grants)
        record_applied(connection, migration)

    def _apply_definitions(self, connection: Connection) -> None:
        due = self.files.due(read_applied(connection))
        apply_definitions(connection, self.files, due, self.removed)


def make_plan(connection: Connection, files: SqlFiles) -> Plan:
    """Plan what to apply to a database.

    Raises:
        SettingsError: the schema is newer than this program, too old for it, or a file was changed
            after it was applied.
    """
    applied = read_applied(connection)
    layer = layer_of(applied)
    definitions = {file.revision for file in files.definitions}
    numbered = {name: sha256 for name, sha256 in applied.items() if "/" not in name}
    migrations = _find_unapplied(files.migrations, numbered)
    removed = sorted(name for name in applied if "/" in name and name not in definitions)
    return Plan(files, layer, migrations, files.due(applied), removed)


def _find_unapplied(files: Sequence[Migration], applied: Mapping[str, str]) -> list[Migration]:
    known = {migration.revision: migration for migration in files}
    newer = sorted(applied.keys() - known.keys() - set(LAYERS))
    if newer:
        raise SettingsError(
            f"the schema has migrations that this program does not know: {', '.join(newer)}.",
            hint="upgrade the program to the version that migrated it, or a later one.",
        )
    for revision, sha256 in applied.items():
        if revision in known and known[revision].sha256 != sha256:
            raise SettingsError(
                f"sql/{known[revision]}.sql was changed after it was applied.",
                hint="restore the file as it was, and put the change into a new file.",
            )
    waiting = [migration for migration in files if migration.revision not in applied]
    if waiting and applied and waiting[0].revision < max(applied):
        raise SettingsError(
            f"sql/{waiting[0]}.sql is numbered below {max(applied)}, which is applied already.",
            hint="give it a number above.",
        )
    return waiting
