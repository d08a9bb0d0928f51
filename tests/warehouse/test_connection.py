"""Connections: who signs in as what, where to, and how soon a lost host lets go."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from dagster_project.config.settings import load_settings
from dagster_project.errors import (
    TryLater,
    WarehouseError,
)
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.pg_errors import safe_errors
from tests.support.ports import free_port
from tests.warehouse.server.homes import wait_until

PROJECT = Path(__file__).resolve().parents[2]
PHONE = "79209383654"
Connection = psycopg.Connection[Any]


@pytest.mark.both_servers
def test_the_pipeline_works_as_the_loader_and_cannot_leave_it(warehouse: Warehouse) -> None:
    with warehouse.connect(what="load", autocommit=True) as connection:
        query = "SELECT session_user, current_user, current_setting('application_name')"
        expected = ("warehouse_app", "warehouse_loader", "warehouse:load")
        assert connection.execute(query).fetchone() == expected
        connection.execute("RESET ROLE")
        assert connection.execute("SELECT current_user").fetchone() == ("warehouse_loader",)
        for statement in (
            "CREATE TABLE warehouse.mine (x integer)",
            "DROP TABLE warehouse.calltouch_sms",
            "SET ROLE warehouse_owner",
            "SET SESSION AUTHORIZATION postgres",
            "ALTER TABLE ops.migration ADD x integer",
            "DELETE FROM ops.migration",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_without_the_role_the_login_may_do_nothing(warehouse: Warehouse) -> None:
    with (
        warehouse.connect(role=None) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT count(*) FROM warehouse.calltouch_sms")


@pytest.mark.both_servers
def test_a_session_notices_when_its_host_is_lost(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        settings = {
            name: connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
            for name in (
                "tcp_keepalives_idle",
                "tcp_keepalives_interval",
                "tcp_keepalives_count",
                "client_connection_check_interval",
            )
        }
        client = {option.keyword: option.val for option in connection.pgconn.info}

    assert settings == {
        "tcp_keepalives_idle": ("30",),
        "tcp_keepalives_interval": ("10",),
        "tcp_keepalives_count": ("3",),
        "client_connection_check_interval": ("5s",),
    }
    assert (client[b"keepalives_idle"], client[b"tcp_user_timeout"]) == (b"30", b"60000")


def test_a_killed_process_that_waits_for_a_lock_lets_go(warehouse: Warehouse) -> None:
    code = (
        "import sys, pickle\n"
        "warehouse = pickle.load(sys.stdin.buffer)\n"
        "connection = warehouse.connect(what='doomed')\n"
        "connection.execute('SELECT pg_advisory_xact_lock(1)')\n"
        "print('has the first lock', flush=True)\n"
        "connection.execute('SELECT pg_advisory_xact_lock(2)')\n"
    )
    with warehouse.connect() as holder, warehouse.connect(lock_timeout=15) as heir:
        holder.execute("SELECT pg_advisory_xact_lock(2)")
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(pickle.dumps(warehouse))
        process.stdin.close()
        assert process.stdout.readline()
        _wait_for_waiter(holder)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

        heir.execute("SELECT pg_advisory_xact_lock(1)")


@pytest.mark.both_servers
def test_the_caller_chooses_how_long_it_waits(warehouse: Warehouse) -> None:
    with warehouse.connect() as holder, warehouse.connect(lock_timeout=0.05) as waiter:
        holder.execute("LOCK TABLE ops.load_receipt IN ROW EXCLUSIVE MODE")
        holder.execute("SELECT pg_advisory_xact_lock(7)")
        with pytest.raises(TryLater, match="55P03 lock_not_available"), safe_errors():
            waiter.execute("SELECT pg_advisory_xact_lock(7)")
    with (
        warehouse.connect(statement_timeout=0.05) as hasty,
        pytest.raises(TryLater, match="57014 query_canceled"),
        safe_errors(),
    ):
        hasty.execute("SELECT pg_sleep(5)")


def test_a_connection_lost_between_statements_is_to_be_tried_later(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as admin:
        connection = warehouse.connect()
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
        for _ in range(2):
            with pytest.raises(TryLater), safe_errors():
                connection.execute("SELECT 1")


@pytest.mark.both_servers
def test_the_same_warehouse_is_reached_by_its_url(warehouse: Warehouse) -> None:
    password = _password(warehouse)["password"]
    place = warehouse.place
    url = f"postgresql+psycopg://postgres:{password}@{place['host']}:{place['port']}/{place['dbname']}"
    settings = load_settings({"WAREHOUSE_URL": url, "PII_HASH_KEY": "x" * 32}, None)

    opened = Warehouse.open(settings)

    assert not opened.is_embedded
    with opened.connect() as connection:
        row = connection.execute("SELECT session_user, current_user, current_database()").fetchone()
    assert row == ("postgres", "warehouse_loader", warehouse.database)


def test_no_form_of_a_warehouse_shows_a_password(warehouse: Warehouse) -> None:
    password = _password(warehouse)["password"]
    external = Warehouse.from_url(f"postgresql://postgres:{password}@127.0.0.1/w")

    for shown in (
        repr(warehouse),
        repr(external),
        warehouse.public_url("warehouse_bi"),
        str(external),
    ):
        assert password not in shown
        assert warehouse.logins["warehouse_bi"].get_secret_value() not in shown


@pytest.mark.both_servers
def test_dagster_has_a_database_that_no_other_role_may_connect_to(
    warehouse_with_dagster: Warehouse,
) -> None:
    warehouse = warehouse_with_dagster
    with create_engine(warehouse.dagster_url()).begin() as connection:
        row = connection.execute(text("SELECT current_user, current_database()")).one()
        connection.execute(text("CREATE TABLE more_runs (x integer)"))
    assert tuple(row) == ("warehouse_dagster", f"{warehouse.database}_dagster")

    for role in ("warehouse_bi", "warehouse_bi_detail", "warehouse_bi_pii", "warehouse_app"):
        parameters = {
            **warehouse.place,
            "user": role,
            "password": warehouse.logins[role].get_secret_value(),
        }
        for database in (warehouse.dagster_database, "postgres", "template1"):
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(**{**parameters, "dbname": database})
        psycopg.connect(**parameters).close()


def test_dagsters_url_may_be_set(warehouse: Warehouse) -> None:
    own = SecretStr("postgresql://dagster@elsewhere/dagster")
    given = Warehouse.from_url("postgresql://u@127.0.0.1/w", own).dagster_url()
    assert given.startswith("postgresql+psycopg2://dagster@elsewhere/dagster?")
    assert "sslmode=verify-full" in given
    derived = Warehouse.from_url(
        "postgresql://u:p%40ss@127.0.0.1:5/w?sslmode=require"
    ).dagster_url()
    assert derived.startswith("postgresql+psycopg2://u:p%40ss@127.0.0.1:5/w_dagster?")
    assert "sslmode=require" in derived


@pytest.mark.both_servers
def test_pandas_reads_through_the_engine(warehouse: Warehouse) -> None:
    engine = warehouse.engine()
    frame = pd.read_sql("SELECT current_user AS who, 1 AS one", engine)
    assert frame.to_dict("records") == [{"who": "warehouse_loader", "one": 1}]
    with pytest.raises(DBAPIError) as caught, engine.connect() as connection:
        connection.execute(text("SELECT CAST(:n AS integer) / 0"), {"n": PHONE[:5]})
    assert PHONE[:5] not in str(caught.value)


def _password(warehouse: Warehouse) -> dict[str, str]:
    assert warehouse.admin.password is not None
    return {"password": warehouse.admin.password.get_secret_value()}


def _wait_for_waiter(connection: Connection) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    wait_until(lambda: connection.execute(query).fetchone() == (1,))


def test_a_patient_connection_is_made_once_the_server_is_back() -> None:
    """And without patience it is told at once that there is none."""
    port = free_port()
    found = Warehouse.from_url(f"postgresql://nobody@127.0.0.1:{port}/nothing")
    began = time.monotonic()
    with pytest.raises(TryLater):
        found.connect()
    assert time.monotonic() - began < 6
    asked: list[int] = []

    def greet() -> None:
        """Says no like a server that is up: the wait was for that, not for a right answer."""
        time.sleep(1)
        with socket.create_server(("127.0.0.1", port)) as server:
            client, _ = server.accept()
            with client:
                asked.append(len(client.recv(1024)))
                client.sendall(
                    b"E\x00\x00\x00\x32SFATAL\x00C28P01\x00Mpassword authentication failed\x00\x00"
                )

    thread = threading.Thread(target=greet)
    thread.start()
    with pytest.raises(WarehouseError):
        found.connect(patience=30)
    thread.join(timeout=60)
    assert asked
