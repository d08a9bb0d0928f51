"""Keeps the schema of a release, with rows in it, for the tests of all later versions.

``python -m tests.upgrade.snapshot 0.1.0``, once, when that version is released: it writes
``snapshots/0.1.0.sql.gz`` (a plain dump, without roles) and what a census of its rows said. From then
on the files in ``sql/`` that it holds are never changed: the test says so if one is.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from psycopg import sql

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.server.cluster import bundled_binaries
from tests.conftest import PostgresServer
from tests.upgrade.rows import census, fill

SNAPSHOTS = Path(__file__).with_name("snapshots")
EARLIER = Path(__file__).with_name("earlier")


def main(version: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="warehouse-snapshot-")).resolve()
    folder.chmod(0o711)
    server = PostgresServer("18", bundled_binaries(), folder)
    try:
        take(server, SNAPSHOTS, version)
    finally:
        server.close()


def take(server: PostgresServer, folder: Path, version: str) -> None:
    """Today's schema with rows, as ``VERSION.sql.gz`` and ``VERSION.json``."""
    warehouse = server.fresh()
    fill(warehouse)
    folder.mkdir(exist_ok=True)
    text = dump(server, warehouse)
    (folder / f"{version}.sql.gz").write_bytes(gzip.compress(text, mtime=0))
    (folder / f"{version}.json").write_text(json.dumps(census(warehouse), indent=2) + "\n")
    server.drop(warehouse)


def dump(server: PostgresServer, warehouse: Warehouse) -> bytes:
    """The whole database as SQL, without roles."""
    return subprocess.run(
        [str(bundled_binaries() / "pg_dump"), "--format=plain", warehouse.database],
        env=environment(server),
        check=True,
        capture_output=True,
    ).stdout


def restore(server: PostgresServer, warehouse: Warehouse, file: Path) -> None:
    """What a dump holds, in a database of its own."""
    with server.template.connect_admin(database="postgres") as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(warehouse.database)))
    subprocess.run(
        [
            *(str(bundled_binaries() / "psql"), "--quiet", "--no-psqlrc", "--single-transaction"),
            *("--set", "ON_ERROR_STOP=1", "--output", "/dev/null", warehouse.database),
        ],
        env=environment(server),
        input=gzip.decompress(file.read_bytes()),
        check=True,
    )


def restore_in_place(server: PostgresServer, warehouse: Warehouse, file: Path) -> None:
    """The same as if it had been filled here: each migration a transaction of its own, the mark set."""
    restore(server, warehouse, file)
    with warehouse.connect_admin() as connection:
        for row in connection.execute("SELECT revision FROM ops.migration").fetchall():
            connection.execute("UPDATE ops.migration SET name = name WHERE revision = %s", row)
        connection.execute("SELECT ops.suppression_was_applied()")
        connection.execute("SELECT ops.secure_database()")


def environment(server: PostgresServer) -> dict[str, str]:
    return {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": "postgres",
        "PGPASSWORD": server.passwords["postgres"].get_secret_value(),
    }


if __name__ == "__main__":
    main(sys.argv[1])
