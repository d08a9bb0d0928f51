"""Read the files of ``sql/`` in their order of application.

``NNNN_name.sql`` is a migration: it is applied once, in the order of the numbers, and never changed
afterwards. ``functions/`` and ``views/`` have one function or view in each file, in its current form, which is
applied again when the file's checksum changes. A file is applied after the files that it names outside of
comments; functions that a migration names are applied before it.
"""

from __future__ import annotations

import hashlib
import re
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from dagster_project.errors import SettingsError

MIGRATION_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
DEFINITION_NAME = re.compile(r"(\w+\.\w+)\.sql")
DEFINITION_FOLDERS = {"functions": "FUNCTION", "views": "VIEW"}
UPGRADE_FOLDER = "upgrade"
# Comments may name other objects without needing them.
COMMENT = r"^COMMENT ON [^\n]*? IS '(?:[^']|'')*';"
REMARKS = re.compile(rf"--[^\n]*|{COMMENT}", re.MULTILINE)
NAMES = re.compile(r"\b[a-z_]+\.[a-z_0-9]+\b")
CALLS = re.compile(r"^SELECT ([a-z_]+\.[a-z_0-9]+)\(", re.MULTILINE)


@dataclass(frozen=True)
class SqlFile:
    """One file of ``sql/``. ``revision`` identifies it in ``ops.migration``."""

    revision: str
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def mentions(self) -> frozenset[str]:
        """The objects that it names as ``schema.name``, outside of comments."""
        return frozenset(NAMES.findall(REMARKS.sub("", self.text)))


@dataclass(frozen=True)
class Migration(SqlFile):
    """A numbered file."""

    def __str__(self) -> str:
        return f"{self.revision}_{self.name}"

    @property
    def comments(self) -> str:
        """Its COMMENT statements only."""
        return "\n".join(re.findall(COMMENT, self.text, re.MULTILINE))


@dataclass(frozen=True)
class Definition(SqlFile):
    """A function or a view; ``name`` is its name in the database."""

    def __str__(self) -> str:
        return self.revision

    @property
    def kind(self) -> str:
        """``FUNCTION`` or ``VIEW``."""
        return DEFINITION_FOLDERS[self.revision.split("/")[0]]

    @cached_property
    def calls(self) -> frozenset[str]:
        """The functions that it calls while it is applied: if they change, it is applied again."""
        return frozenset(CALLS.findall(REMARKS.sub("", self.text)))


@dataclass(frozen=True)
class SqlFiles:
    """All files of ``sql/``, in the order of application. ``upgrade``: the steps from earlier schemas."""

    migrations: tuple[Migration, ...]
    definitions: tuple[Definition, ...]
    upgrade: tuple[Migration, ...]

    def needed_by(self, file: SqlFile) -> list[Definition]:
        """The functions and views that a file names, and those that they name, in order."""
        by_name = {definition.name: definition for definition in self.definitions}
        needed: set[str] = set()
        waiting = [file]
        while waiting:
            names = (waiting.pop().mentions & by_name.keys()) - needed
            needed |= names
            waiting += [by_name[name] for name in names]
        return [definition for definition in self.definitions if definition.name in needed]

    def due(self, recorded: Mapping[str, str]) -> list[Definition]:
        """The functions and views whose file, or a function they call, differs from the applied one."""
        due: list[Definition] = []
        for definition in self.definitions:
            made_anew = any(changed.name in definition.calls for changed in due)
            if made_anew or recorded.get(definition.revision) != definition.sha256:
                due.append(definition)
        return due


def sql_folder() -> Path:
    """The folder ``sql/``: beside the package in a checkout, else where the wheel installs it."""
    checkout = Path(__file__).resolve().parents[3] / "sql"
    installed = Path(sysconfig.get_path("data"), "share", "messaging-warehouse", "sql")
    for folder in (checkout, installed):
        if (folder / "functions").is_dir():
            return folder
    raise SettingsError("the migrations (sql/) are not installed.", hint="install it again.")


def read_files(folder: Path | None = None) -> SqlFiles:
    """Read all files of ``sql/``.

    Raises:
        SettingsError: a file is misnamed, a number is used twice, or files name one another in a circle.
    """
    folder = folder or sql_folder()
    migrations = tuple(_read_numbered(folder.glob("*.sql"), _read_migration))
    upgrade = tuple(_read_numbered((folder / UPGRADE_FOLDER).glob("*.sql"), _read_upgrade_step))
    definitions = [
        _read_definition(path)
        for kind in DEFINITION_FOLDERS
        for path in sorted((folder / kind).glob("*.sql"))
    ]
    return SqlFiles(migrations, tuple(_sort_by_dependency(definitions)), upgrade)


def _read_numbered(paths: Iterable[Path], read: Callable[[Path], Migration]) -> list[Migration]:
    found = [read(path) for path in sorted(paths)]
    revisions = [migration.revision for migration in found]
    twice = {revision for revision in revisions if revisions.count(revision) > 1}
    if twice:
        raise SettingsError(f"sql/ has several files {', '.join(sorted(twice))}.", hint="renumber.")
    return found


def _read_migration(path: Path) -> Migration:
    match = MIGRATION_NAME.fullmatch(path.name)
    if match is None:
        raise SettingsError(f"{path} is not named NNNN_name.sql.", hint="rename it.")
    return Migration(match[1], match[2], _read_text(path))


def _read_upgrade_step(path: Path) -> Migration:
    number, _, name = path.stem.partition("_")
    return Migration(f"{UPGRADE_FOLDER}/{number}", name, _read_text(path))


def _read_definition(path: Path) -> Definition:
    match = DEFINITION_NAME.fullmatch(path.name)
    if match is None:
        raise SettingsError(f"{path} is not named schema.name.sql.", hint="rename it.")
    return Definition(f"{path.parent.name}/{match[1]}", match[1], _read_text(path))


def _read_text(path: Path) -> str:
    return path.read_bytes().decode().replace("\r\n", "\n")


def _sort_by_dependency(definitions: Iterable[Definition]) -> list[Definition]:
    by_name = {definition.name: definition for definition in definitions}
    graph = {
        name: sorted((definition.mentions & by_name.keys()) - {name})
        for name, definition in by_name.items()
    }
    try:
        return [by_name[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        raise SettingsError(
            f"files of sql/ need one another in a circle: {', '.join(error.args[1])}."
        ) from None
