"""``warehouse migrate --dry-run``: what a migration would do, seen, and nothing of it left."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.dry_run import TriedStep, try_out
from dagster_project.warehouse.schema.migrate import pending
from tests.conftest import PostgresServer
from tests.support.catalog import catalog_of
from tests.upgrade.rows import census, fill
from tests.upgrade.snapshot import EARLIER, restore_in_place
from tests.warehouse.server.homes import wait_until

pytestmark = pytest.mark.both_servers


@pytest.fixture
def folder(server: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(server.sql, tmp_path / "sql"))


def test_locks_rewritten_tables_and_changed_rows_are_told_and_nothing_is_changed(
    warehouse: Warehouse, folder: Path
) -> None:
    fill(warehouse)
    (folder / "9001_more.sql").write_text(
        "ALTER TABLE ops.load_receipt ADD COLUMN more integer;\n"
        "UPDATE ops.day_state SET rows = rows + 1 WHERE account = '101';\n"
    )
    (folder / "9002_wider.sql").write_text(
        "ALTER TABLE ops.extraction ALTER COLUMN requests TYPE bigint;\n"
        "CREATE INDEX response_by_time ON raw.response (received_at);\n"
    )
    file = folder / "views" / "bi.account.sql"
    file.write_text(file.read_text().replace("time_zone, currency", "currency, time_zone"))
    before = catalog_of(warehouse), census(warehouse)

    more, wider, views = try_out(warehouse, folder=folder)

    assert more.name == "9001_more"
    assert more.locks == {"ops.load_receipt": "AccessExclusiveLock"}
    assert more.rewritten == {}
    assert more.rows == {"ops.day_state": 20}
    assert wider.locks["ops.extraction"] == "AccessExclusiveLock"
    assert wider.locks["raw.response"] == "ShareLock"
    assert "ops.extraction" in wider.rewritten
    assert "raw.response" not in wider.rewritten
    assert views.name == "views/bi.account"
    assert {"bi.account", "mart.all_account"} <= views.locks.keys()
    assert not any(name.startswith(("raw.", "warehouse.")) for name in views.locks)
    assert views.rewritten == views.rows == {}
    assert (catalog_of(warehouse), census(warehouse)) == before
    assert pending(warehouse, folder) == ["9001_more", "9002_wider", "views/bi.account"]


def test_the_way_out_of_an_earlier_schema_rewrites_nothing(server: PostgresServer) -> None:
    assert server.template
    warehouse = server.on("dry_run_from_0038")
    try:
        restore_in_place(server, warehouse, EARLIER / "0038.sql.gz")
        before = catalog_of(warehouse), census(warehouse)
        (upgrade,) = try_out(warehouse, folder=server.sql)
        assert upgrade.name == "upgrade_from_0038"
        assert upgrade.rewritten == {}
        assert upgrade.locks["warehouse.calltouch_sms"] == "AccessExclusiveLock"
        assert upgrade.rows.keys() == {
            "ops.privacy",
            "ops.day_state",
            "ops.suppression_applied",
            "mart.template",
            "mart.stale",
        }
        assert (catalog_of(warehouse), census(warehouse)) == before
    finally:
        server.drop(warehouse)


def test_a_database_that_is_not_there_is_told_of_and_not_made(server: PostgresServer) -> None:
    warehouse = server.on("dry_run_of_nothing")
    (made,) = try_out(warehouse, folder=server.sql)
    assert made.name.startswith("creates database dry_run_of_nothing and applies ")
    with server.template.connect_admin() as connection:
        query = "SELECT FROM pg_database WHERE datname = %s"
        assert connection.execute(query, (warehouse.database,)).fetchone() is None


def test_a_table_in_use_is_waited_for(warehouse: Warehouse, folder: Path) -> None:
    (folder / "9001_more.sql").write_text("ALTER TABLE ops.load_receipt ADD COLUMN more integer;")
    told, tried = list[str](), list[TriedStep]()
    with warehouse.connect() as reader:
        reader.execute("SELECT count(*) FROM ops.load_receipt")
        worker = threading.Thread(
            target=lambda: tried.extend(try_out(warehouse, told.append, folder))
        )
        worker.start()
        wait_until(lambda: "the trial waits for tables in use" in told)
        reader.rollback()
        worker.join()
    assert [step.name for step in tried] == ["9001_more"]


def test_an_up_to_date_schema_has_nothing_to_try(warehouse: Warehouse, folder: Path) -> None:
    assert try_out(warehouse, folder=folder) == []


def test_lines_name_the_lock_as_sql_does_who_waits_and_what_is_written_anew() -> None:
    step = TriedStep(
        "9001_more",
        {"ops.a": "AccessExclusiveLock", "ops.b": "ShareLock"},
        {"ops.a": 3 << 20},
        {"ops.b": 1},
        0.25,
    )
    assert step.lines() == [
        "9001_more: 0.2 s",
        "    locks ACCESS EXCLUSIVE (readers and loads wait): ops.a",
        "    locks SHARE (loads wait): ops.b",
        "    rewrites ops.a (3.0 MB)",
        "    changes 1 row of ops.b",
    ]
