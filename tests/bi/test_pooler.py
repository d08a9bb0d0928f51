"""Readers behind PgBouncer in transaction mode, set as docs/bi.md says."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from tests.bi.conftest import DAY, Loads, Readers, sms
from tests.conftest import PostgresServer
from tests.docs.pages import DOCS
from tests.support.ports import free_port
from tests.support.programs import need
from tests.warehouse.test_session import scratch_folder

USER = "bi_test_pooled"


def settings_of_the_page() -> str:
    match = re.search(r"```ini\n(\[pgbouncer\]\n.*?)```", (DOCS / "bi.md").read_text(), re.DOTALL)
    assert match is not None
    return match[1]


@pytest.fixture
def pooled(server: PostgresServer, loads: Loads, readers: Readers) -> Iterator[dict[str, Any]]:
    """Where readers connect to: the pooler before a warehouse of two sites."""
    for site in (101, 202):
        loads.sms(DAY, [sms("+79160000001")], site)
    (program,) = need("pgbouncer")
    folder, port, account = scratch_folder(), free_port(), server.cluster.account
    readers.user(USER, "warehouse_bi")
    users = "".join(f'"{name}" "{readers.password(name)}"\n' for name in ("warehouse_bi", USER))
    (folder / "users").write_text(users)
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n{settings_of_the_page()}"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_file = {folder / 'users'}\ndefault_pool_size = 1\n"
    )
    switch: dict[str, Any] = (
        {} if account.is_us else {"user": account.uid, "group": account.gid, "extra_groups": []}
    )
    process = subprocess.Popen([program, "--quiet", str(folder / "pgbouncer.ini")], **switch)
    place = {"host": "127.0.0.1", "port": port, "dbname": loads.warehouse.database}
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(psycopg.Error):
                sign_in(place, readers, "warehouse_bi").close()
                break
            time.sleep(0.1)
        yield place
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def sign_in(place: dict[str, Any], readers: Readers, user: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        **place, user=user, password=readers.password(user), autocommit=True, prepare_threshold=None
    )


def test_several_clients_share_one_server_session(pooled: dict[str, Any], readers: Readers) -> None:
    clients = [sign_in(pooled, readers, "warehouse_bi") for _ in range(3)]
    for _ in range(7):  # psycopg would prepare from the sixth time on
        for client in clients:
            row = client.execute("SELECT sum(messages) FROM sms_day WHERE day = %s", (DAY,))
            assert row.fetchone() == (2,)
    pids = {client.execute("SELECT pg_backend_pid()").fetchone() for client in clients}
    assert len(pids) == 1
    for client in clients:
        client.close()


def test_what_one_client_sets_does_not_reach_the_next(
    pooled: dict[str, Any], readers: Readers
) -> None:
    one, other = (sign_in(pooled, readers, "warehouse_bi") for _ in range(2))
    one.execute("SET statement_timeout = 0")
    one.execute("SET search_path = pg_catalog")
    assert other.execute("SHOW statement_timeout").fetchone() == ("1min",)
    assert other.execute("SELECT count(*) FROM sms_day").fetchone() == (2,)
    with one.transaction():
        one.execute("SET LOCAL statement_timeout = '5s'")
        assert one.execute("SHOW statement_timeout").fetchone() == ("5s",)
    one.close()
    other.close()


def test_a_reader_that_is_held_to_an_account_sees_it_alone(
    pooled: dict[str, Any], readers: Readers
) -> None:
    with readers.warehouse.connect_admin() as connection:
        connection.execute(
            "INSERT INTO ops.bi_grant VALUES (%s::text::regrole, 'calltouch', '101')", (USER,)
        )
    held, free = sign_in(pooled, readers, USER), sign_in(pooled, readers, "warehouse_bi")
    for _ in range(2):
        sites = "SELECT array_agg(DISTINCT site_id ORDER BY site_id) FROM bi.sms_day"
        assert held.execute(sites).fetchone() == ([101],)
        assert free.execute(sites).fetchone() == ([101, 202],)
    held.close()
    free.close()
