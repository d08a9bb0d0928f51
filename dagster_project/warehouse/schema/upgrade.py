"""Upgrade an earlier schema to the baseline, in one transaction.

The earlier schemas were 47 layers; 0038 was the last released one. For a database with 0038 or a later layer,
its tables are altered, the current functions and views created and its rows moved. Then the baseline's files
are recorded in place of the layers.
"""

from __future__ import annotations

from collections.abc import Collection

from dagster_project.errors import SettingsError
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.schema.bookkeeping import record_applied
from dagster_project.warehouse.schema.definitions import (
    OWNER,
    apply_definitions,
    lock_views,
    run_file,
)
from dagster_project.warehouse.schema.migration_files import SqlFiles

LAYERS = [
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
    "0015",
    "0016",
    "0017",
    "0018",
    "0020",
    "0030",
    "0031",
    "0032",
    "0033",
    "0035",
    "0036",
    "0037",
    "0038",
    "0040",
    "0041",
    "0043",
    "0045",
    "0046",
    "0047",
]
FIRST = "0038"
BASELINE = "0111"


def layer_of(applied: Collection[str]) -> str | None:
    """The newest earlier layer of a database; ``None``: it has the baseline, or no schema.

    Raises:
        SettingsError: the layer cannot be upgraded.
    """
    layers = sorted(set(applied) & set(LAYERS))
    if not layers:
        return None
    if layers[-1] < FIRST or layers != LAYERS[: len(layers)]:
        raise SettingsError(
            f"the schema is an earlier one, {layers[-1]}, that this program does not bring up to date.",
            hint=f"migrate it to {FIRST} or later by the version of the program that has it, then by this one.",
        )
    return layers[-1]


def move_into_baseline(connection: Connection, files: SqlFiles) -> None:
    """Alter the tables, create functions and views, move the rows; record all files of ``sql/``.

    Of the baseline's own files only the comments are applied, since the tables exist.
    """
    tables, rows = files.upgrade
    lock_views(connection, [definition.name for definition in files.definitions])
    run_file(connection, tables)
    for migration in files.migrations:
        if migration.revision > BASELINE:
            apply_definitions(connection, files, files.needed_by(migration))
            run_file(connection, migration)
        else:
            connection.execute(f"SET ROLE {OWNER};\n{migration.comments}\nRESET ROLE".encode())
        record_applied(connection, migration)
    apply_definitions(connection, files, files.definitions)
    run_file(connection, rows)
