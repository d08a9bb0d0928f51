"""``ops.migration``: which files of ``sql/`` were applied to a database, by name and checksum."""

from __future__ import annotations

from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger.extractions import CODE_VERSION
from dagster_project.warehouse.queries import fetch_value
from dagster_project.warehouse.schema.migration_files import SqlFile


def read_applied(connection: Connection) -> dict[str, str]:
    """Read the checksum of each applied file, by revision; empty for a database without a schema."""
    if fetch_value(connection, "SELECT to_regclass('ops.migration')") is None:
        return {}
    rows = connection.execute("SELECT revision, sha256 FROM ops.migration ORDER BY revision")
    return {str(revision): str(sha256) for revision, sha256 in rows}


def record_applied(connection: Connection, file: SqlFile) -> None:
    """Record that a file was applied, in the transaction that applied it."""
    connection.execute(
        "INSERT INTO ops.migration (revision, name, sha256, code_version) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (revision) DO UPDATE SET sha256 = excluded.sha256,"
        " applied_at = excluded.applied_at, code_version = excluded.code_version",
        (file.revision, file.name, file.sha256, CODE_VERSION),
    )


def delete_record(connection: Connection, revision: str) -> None:
    """Delete the record of a file whose object was dropped."""
    connection.execute("DELETE FROM ops.migration WHERE revision = %s", (revision,))
