"""The embedded Postgres comes back after a crash, with what was committed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil
import psycopg

from dagster_project.config.settings import load_settings
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import migrate
from dagster_project.warehouse.server.cluster import Cluster
from dagster_project.warehouse.server.embedded import ensure_running
from tests.warehouse.server.homes import as_admin, ask, is_gone, kill_server, wait_until


def test_a_committed_row_survives_a_killed_server(home: Path) -> None:
    server = ensure_running(home)
    ask(server, "CREATE TABLE kept AS SELECT 1 AS x")
    ask(server, "INSERT INTO kept VALUES (2)")
    kill_server(home)

    again = ensure_running(home)

    assert again.port == server.port
    assert ask(again, "SELECT array_agg(x ORDER BY x) FROM kept") == [1, 2]


def test_backends_that_outlive_a_killed_server_do_not_hinder_the_next(home: Path) -> None:
    server = ensure_running(home)
    busy = psycopg.connect(**as_admin(server), autocommit=True)
    busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 3000000000)")
    backend = busy.info.backend_pid
    wait_until(lambda: psutil.Process(backend).cpu_percent(0.05) > 0)
    kill_server(home)
    assert not is_gone(backend), "this backend was to stay busy"

    assert ask(ensure_running(home), "SELECT 1") == 1
    assert is_gone(backend)
    busy.close()


def test_a_process_number_taken_by_somebody_else_is_not_taken_for_the_server(home: Path) -> None:
    ensure_running(home)
    kill_server(home)
    account = Cluster(home / "postgres").account
    with subprocess.Popen(["sleep", "60"], user=account.uid) as other:
        file = home / "postgres" / "postmaster.pid"
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join([f"{other.pid}\n", *lines[1:]]))

        assert ask(ensure_running(home), "SELECT 1") == 1
        assert other.poll() is None
        other.kill()


def test_a_warehouse_found_down_is_started_again(home: Path) -> None:
    warehouse = Warehouse.open(load_settings({"WAREHOUSE_HOME": str(home)}, None))
    migrate(warehouse)
    kill_server(home)

    with warehouse.connect() as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("warehouse_loader",)


def test_a_server_whose_starter_died_before_recording_it_is_taken_over(home: Path) -> None:
    server = ensure_running(home)
    (home / "embedded.json").unlink()

    assert ensure_running(home) == server


def test_a_creation_that_was_killed_is_begun_again(new_home: Path) -> None:
    home = new_home
    half_made = home / "postgres.making-12345"
    half_made.mkdir(parents=True)
    home.chmod(0o711)
    (half_made / "PG_VERSION").write_text("18\n")

    assert ask(ensure_running(home), "SELECT 1") == 1
    assert not half_made.exists()
