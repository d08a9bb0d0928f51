"""``docker/backup``: encrypted, without the key of the pseudonyms, and restored on a server of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from dagster_project.warehouse.cluster import bundled_binaries
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.migrate import migrate
from tests.conftest import PostgresServer

BACKUP = Path(__file__).resolve().parents[2] / "docker" / "backup"
ROWS = 500


@pytest.fixture
def other_host() -> Iterator[PostgresServer]:
    """A server that has nothing yet: no role and no database of ours."""
    folder = Path(tempfile.mkdtemp(prefix="warehouse-test-")).resolve()
    folder.chmod(0o711)
    server = PostgresServer("18", bundled_binaries(), folder)
    yield server
    server.close()


@pytest.fixture
def key(tmp_path: Path) -> tuple[str, Path]:
    """A key pair of age: the public one, and the file of the private one."""
    if shutil.which("age") is None:
        pytest.skip("age is not installed")
    identity = tmp_path / "identity"
    subprocess.run(["age-keygen", "-o", str(identity)], check=True, capture_output=True)
    lines = identity.read_text().splitlines()
    return next(line.split(": ")[1] for line in lines if "public key" in line), identity


def environment(server: PostgresServer, database: str) -> dict[str, str]:
    return {
        "PATH": f"{bundled_binaries()}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": "postgres",
        "PGPASSWORD": server.passwords["postgres"].get_secret_value(),
        "WAREHOUSE_DATABASE": database,
    }


def fill(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute("SELECT ops.ensure_month('warehouse.tellody_activity', '2024-04-01')")
        connection.execute(
            "INSERT INTO warehouse.tellody_activity (activity_on, account, sms_sent, email_sent,"
            " downloads, optouts, url_clicks, vouchers_viewed, content_hash,"
            " first_loaded_at, changed_at)"
            " SELECT '2024-04-01', 'account ' || n, n, 0, 0, 0, 0, 0, n, now(), now()"
            " FROM generate_series(1, %s) n",
            (ROWS,),
        )


def test_a_backup_is_whole_again_on_another_host(
    server: PostgresServer,
    warehouse_with_dagster: Warehouse,
    other_host: PostgresServer,
    key: tuple[str, Path],
    tmp_path: Path,
) -> None:
    source = warehouse_with_dagster
    recipient, identity = key
    fill(source)
    backup = tmp_path / "warehouse.backup"
    with backup.open("wb") as file:
        subprocess.run(
            ["sh", str(BACKUP), recipient],
            env=environment(server, source.database),
            stdout=file,
            check=True,
        )
    assert backup.read_bytes().startswith(b"age-encryption.org/")
    assert b"tellody_activity" not in backup.read_bytes()

    with backup.open("rb") as file:
        subprocess.run(
            ["sh", str(BACKUP), "--restore", str(identity)],
            env=environment(other_host, source.database),
            stdin=file,
            check=True,
        )
    restored = other_host.on(source.database)
    assert migrate(restored, folder=server.sql) == []
    with restored.connect() as connection:
        found = connection.execute("SELECT count(*), sum(sms_sent) FROM warehouse.tellody_activity")
        assert found.fetchone() == (ROWS, ROWS * (ROWS + 1) // 2)
    assert gaps(restored) == []
    assert not may_connect(restored, restored.dagster_database)


def gaps(warehouse: Warehouse) -> list[tuple[str]]:
    with warehouse.connect_admin() as connection:
        return connection.execute("SELECT gap FROM ops.security_gap").fetchall()


def may_connect(warehouse: Warehouse, database: str) -> bool:
    """Whether a BI login may enter Dagster's storage."""
    statement = sql.SQL("SELECT has_database_privilege('warehouse_bi', {}, 'CONNECT')")
    with warehouse.connect_admin() as connection:
        row = connection.execute(statement.format(sql.Literal(database))).fetchone()
    assert row is not None
    return bool(row[0])


def test_a_backup_that_cannot_be_made_whole_fails(
    server: PostgresServer, warehouse_with_dagster: Warehouse, key: tuple[str, Path]
) -> None:
    wrong = environment(server, "no_such_database")
    done = subprocess.run(["sh", str(BACKUP), key[0]], env=wrong, capture_output=True)
    assert done.returncode != 0
    assert done.stdout == b""
