"""A warehouse that holds rows is migrated from any earlier schema, and loses none."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from psycopg import sql

from dagster_project.warehouse import restored
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import migrate
from dagster_project.warehouse.schema.migration_files import sql_folder
from dagster_project.warehouse.server.cluster import bundled_binaries
from tests.conftest import PostgresServer
from tests.upgrade.rows import census, fill
from tests.upgrade.snapshot import SNAPSHOTS, dump, environment, take

CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"
FIRST_WITH_ALL_TABLES = "0007"
CUTS = [
    path.name[:4]
    for path in sorted(sql_folder().glob("*.sql"))
    if path.name >= FIRST_WITH_ALL_TABLES
][:-1]
TODAY = "today"
RELEASES = sorted(path.name.removesuffix(".sql.gz") for path in SNAPSHOTS.glob("*.sql.gz"))


def up_to(revision: str, server: PostgresServer, folder: Path) -> Path:
    """The migrations up to this one, as an earlier version had them."""
    folder.mkdir()
    for path in server.sql.glob("*.sql"):
        if path.name[:4] <= revision:
            shutil.copy(path, folder)
    return folder


@pytest.mark.both_servers
def test_rows_survive_all_migrations_that_come_after_them(
    server: PostgresServer, scratch: Path
) -> None:
    """From the first schema that had every table."""
    assert_survives(server, scratch, CUTS[0])


@pytest.mark.soak
@pytest.mark.parametrize("revision", CUTS[1:])
def test_rows_survive_from_every_revision(
    server: PostgresServer, scratch: Path, revision: str
) -> None:
    assert_survives(server, scratch, revision)


def assert_survives(server: PostgresServer, scratch: Path, revision: str) -> None:
    warehouse = server.on(f"upgrade_from_{revision}")
    try:
        migrate(warehouse, folder=up_to(revision, server, scratch / "earlier"))
        fill(warehouse)
        before = census(warehouse)
        assert all(count for count, _ in before.values())
        applied = migrate(warehouse, folder=server.sql)
        assert [name[:4] for name in applied] == [
            path.name[:4] for path in sorted(server.sql.glob("*.sql")) if path.name[:4] > revision
        ]
        assert census(warehouse) == before
        assert migrate(warehouse, folder=server.sql) == []
        assert not is_restored(warehouse)
    finally:
        server.drop(warehouse)


def is_restored(warehouse: Warehouse) -> bool:
    with warehouse.connect() as connection:
        return restored.is_restored(connection)


def test_a_dump_from_before_the_mark_is_known_as_restored_by_its_migration(
    server: PostgresServer, scratch: Path
) -> None:
    earlier, later = server.on("before_the_mark"), server.on("restored_before_the_mark")
    try:
        migrate(earlier, folder=up_to("0033", server, scratch / "earlier"))
        (scratch / "dump.sql.gz").write_bytes(gzip.compress(dump(server, earlier)))
        restore(server, later, scratch / "dump.sql.gz")
        told: list[str] = []
        migrate(later, told.append, folder=server.sql)
        assert is_restored(later)
        assert any("restored dump" in line for line in told)
    finally:
        server.drop(earlier)
        server.drop(later)


BEFORE_ONE_ID = "0040"
NAMED = """
INSERT INTO mart.account VALUES ('calltouch', '101', 101, 'Europe/Moscow', NULL, '101');
INSERT INTO mart.template (site_id, template_id, masked_text, guessed_category, label, category,
    published_at)
SELECT 101, md5('name ' || n)::uuid, '{name}, заказ # собран', 'unlabelled',
    CASE WHEN n = 3 THEN 'Order' ELSE '{name}, заказ # собран' END,
    CASE WHEN n = 3 THEN 'service' ELSE 'unlabelled' END, '2024-04-01'::timestamptz + n * interval '1 day'
FROM generate_series(1, 5) n;
INSERT INTO mart.template_label VALUES (md5('name 3')::uuid, 'Order', 'service', NULL);
INSERT INTO mart.sms_day
SELECT '2024-04-20', 101, md5('name ' || n)::uuid, 'RU', 'delivered', 'none', 1, 2, 0
FROM generate_series(1, 5) n;
"""


def test_ids_that_each_name_had_become_one_and_the_label_moves_along(
    server: PostgresServer, scratch: Path
) -> None:
    warehouse = server.on("upgrade_of_names")
    try:
        migrate(warehouse, folder=up_to(BEFORE_ONE_ID, server, scratch / "earlier"))
        with warehouse.connect_admin() as connection:
            connection.execute(NAMED)
        migrate(warehouse, folder=server.sql)
        with warehouse.connect_admin() as connection:
            told = connection.execute(
                "SELECT t.template_text, t.template_label, t.category, d.messages, d.segments,"
                " d.template_label FROM bi.template t JOIN bi.sms_day d USING (site_id, template_id)"
            ).fetchall()
            stale = connection.execute("SELECT count(DISTINCT day) FROM mart.stale").fetchone()
        assert told == [("{name}, заказ # собран", "Order", "service", 5, 10, "Order")]
        assert stale == (1,), "hours hold categories: the day is counted afresh"
    finally:
        server.drop(warehouse)


@pytest.mark.parametrize("version", [TODAY, *RELEASES])
def test_a_released_schema_is_migrated_with_its_rows(
    server: PostgresServer, scratch: Path, version: str
) -> None:
    assert server.template
    folder = SNAPSHOTS
    if version == TODAY:
        folder = scratch / "snapshots"
        take(server, folder, version)
    warehouse = server.on("upgrade_of_" + version.replace(".", "_"))
    try:
        restore(server, warehouse, folder / f"{version}.sql.gz")
        migrate(warehouse, folder=server.sql)
        assert is_restored(warehouse)
        assert census(warehouse) == json.loads((folder / f"{version}.json").read_text())
    finally:
        server.drop(warehouse)


def restore(server: PostgresServer, warehouse: Warehouse, file: Path) -> None:
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


def test_every_release_left_its_schema_behind() -> None:
    headings = re.findall(r"^## (\d+\.\d+\.\d+) — (.+)$", CHANGELOG.read_text(), re.M)
    assert headings
    released = {version for version, when in headings if when != "unreleased"}
    assert released <= set(RELEASES), "python -m tests.upgrade.snapshot VERSION was not run"
