"""The embedded Postgres: one server a home, which asks everybody for a password and tells no row."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import migrate
from dagster_project.warehouse.server.embedded import ensure_running, free_port, pii_hash_key, stop
from tests.warehouse.server.homes import as_admin, ask, kill_server, mode_of, pid_of

PROJECT = Path(__file__).resolve().parents[3]
PHONE = "79209383654"


def test_the_server_outlives_the_process_that_started_it(new_home: Path) -> None:
    home = new_home
    code = (
        "import sys, pathlib; from dagster_project.warehouse.server.embedded import ensure_running"
    )
    started = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}; print(ensure_running(pathlib.Path(sys.argv[1])).port)",
            home,
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )

    server = ensure_running(home)

    assert server.port == int(started.stdout)
    assert ask(server, "SELECT 1") == 1
    assert os.getsid(pid_of(home)) != os.getsid(0), "Ctrl-C in a terminal would reach it"


def test_asked_for_twice_it_is_the_same_server(home: Path) -> None:
    first = ensure_running(home)
    pid = pid_of(home)

    assert ensure_running(home) == first
    assert pid_of(home) == pid


def test_four_processes_that_start_it_at_once_share_one_server(new_home: Path) -> None:
    home = new_home
    code = (
        "import sys, pathlib; from dagster_project.warehouse.server.embedded import ensure_running"
    )
    starters = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"{code}; print(ensure_running(pathlib.Path(sys.argv[1])).port)",
                home,
            ],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    told = [starter.communicate()[0] for starter in starters]

    assert [starter.returncode for starter in starters] == [0, 0, 0, 0]
    assert len(set(told)) == 1


def test_nobody_comes_in_without_a_password(home: Path) -> None:
    server = ensure_running(home)
    migrate(Warehouse.on_server(server))

    for user, database in (("postgres", "postgres"), ("warehouse_bi", "warehouse")):
        for password in (None, "", "postgres", "warehouse_bi"):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(
                    host=server.host,
                    port=server.port,
                    user=user,
                    password=password,
                    dbname=database,
                    passfile="/nonexistent",
                )
    methods = ask(server, "SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules")
    assert methods == ["scram-sha-256"]
    assert ask(server, "SHOW unix_socket_directories") == ""
    assert ask(server, "SHOW listen_addresses") == "127.0.0.1"


def test_a_bi_login_comes_in_with_the_password_file(home: Path) -> None:
    server = ensure_running(home)
    warehouse = Warehouse.on_server(server)
    migrate(warehouse)

    with psycopg.connect(
        warehouse.public_url("warehouse_bi"), passfile=str(home / "secrets" / "pgpass")
    ) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("warehouse_bi",)


def test_secrets_are_private_and_outside_the_data(home: Path) -> None:
    ensure_running(home)
    pii_hash_key(home)

    assert mode_of(home / "secrets") == 0o700
    assert mode_of(home / "postgres") == 0o700
    files = list((home / "secrets").iterdir())
    assert {mode_of(file) for file in files} == {0o600}
    kept = [file.read_bytes().strip() for file in files if file.name != "pgpass"]
    assert len(set(kept)) == len(kept) == 7
    for file in (home / "postgres").rglob("*"):
        if file.is_file():
            assert not [one for one in kept if one in file.read_bytes()], file


def test_the_pseudonym_key_is_made_once(home: Path) -> None:
    key = pii_hash_key(home).get_secret_value()

    ensure_running(home)
    stop(home)

    assert len(key) >= 32
    assert pii_hash_key(home).get_secret_value() == key


def test_an_occupied_port_is_left_to_its_owner(home: Path) -> None:
    server = ensure_running(home)
    stop(home)
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", server.port))
        occupant.listen()

        moved = ensure_running(home)

    assert moved.port != server.port
    assert json.loads((home / "embedded.json").read_text())["port"] == moved.port
    assert ask(moved, "SELECT 1") == 1


def test_no_outgoing_connection_takes_its_port_while_it_is_down() -> None:
    """Linux takes them from a range of its own, which both ends of this connection are of."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        taken = min(server.getsockname()[1], client.getsockname()[1])
    assert all(free_port() < min(32_768, taken) for _ in range(50))


def test_it_comes_back_on_the_port_that_it_had(home: Path) -> None:
    server = ensure_running(home)
    assert stop(home)
    assert not stop(home)

    assert ensure_running(home).port == server.port


def test_two_homes_run_side_by_side(home: Path, scratch: Path) -> None:
    other_home = scratch / "other"
    try:
        one, other = ensure_running(home), ensure_running(other_home)
        assert one.port != other.port
        assert one.passwords["postgres"] != other.passwords["postgres"]
        assert ask(one, "SHOW data_directory") == str(home / "postgres")
        assert ask(other, "SHOW data_directory") == str(other_home / "postgres")
    finally:
        stop(other_home)


def test_a_home_that_is_moved_while_its_server_runs_keeps_it(home: Path, scratch: Path) -> None:
    server = ensure_running(home)
    pid = pid_of(home)
    moved = home.rename(scratch / "moved")

    again = ensure_running(moved)

    assert (again.port, pid_of(moved)) == (server.port, pid)
    assert stop(moved)


def test_a_home_with_a_long_path_and_spaces_works(scratch: Path) -> None:
    home = scratch / "дом со складом" / ("x" * 120) / "home"
    try:
        assert ask(ensure_running(home), "SELECT 1") == 1
        kill_server(home)
        assert ask(ensure_running(home), "SELECT 1") == 1
    finally:
        assert stop(home)


def test_the_log_quotes_neither_rows_nor_parameters(home: Path) -> None:
    server = ensure_running(home)
    with psycopg.connect(**as_admin(server), autocommit=True) as connection:
        connection.execute("CREATE TABLE sms (phone text PRIMARY KEY, n integer CHECK (n > 0))")
        connection.execute("INSERT INTO sms VALUES (%s, 1)", (PHONE,))
        for statement in (
            "INSERT INTO sms VALUES (%s, 1)",
            "INSERT INTO sms VALUES (%s || 'x', 0)",
            "SELECT CAST(%s || 'x' AS integer)",
            f"SELECT '{PHONE}' FROM nowhere WHERE %s = ''",
        ):
            with pytest.raises(psycopg.Error):
                connection.execute(statement, (PHONE,))
    stop(home)

    logs = [file for file in (home / "postgres").rglob("*.log") if file.is_file()]
    assert any("shut down" in file.read_text() for file in logs)
    assert not [file for file in logs if PHONE in file.read_text()]


def test_it_syncs_what_it_commits(home: Path) -> None:
    server = ensure_running(home)

    for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert ask(server, f"SHOW {setting}") == "on"
    assert ask(server, "SHOW timezone") == "UTC"
    assert ask(server, "SELECT lower('Доставлено') = 'доставлено'")
