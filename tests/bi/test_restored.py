"""Readers of a restored dump get an error from the database itself, before any program has looked at it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from psycopg import errors as pg
from psycopg import sql

from dagster_project.warehouse.connection import BI_ROLES, Warehouse
from dagster_project.warehouse.schema.migrate import migrate
from tests.bi.conftest import DAY, Loads, sms
from tests.conftest import PostgresServer

WIDEST = BI_ROLES[-1]
COLLIDE = "UPDATE ops.suppression_applied SET written_by = pg_current_xact_id()::text::bigint"


@pytest.fixture
def filled(loads: Loads) -> Warehouse:
    fill(loads)
    return loads.warehouse


def fill(loads: Loads) -> None:
    """Rows behind every view of schemas bi, bi_detail and bi_pii."""
    people = [sms(f"+7916{n:07}", outcome=("failed", "delivered")[n % 2]) for n in range(30)]
    for day in (DAY, DAY + timedelta(days=1)):
        loads.sms(day, [*people, sms("+79160000001", outcome="failed", reason="absent")])
    names = ("sms_sent", "email_sent", "downloads", "optouts", "url_clicks", "vouchers_viewed")
    loads.rows("tellody_activity", "main", DAY, [dict.fromkeys(names, 1)])
    purchase = {"payment_id": 1, "purchased_at": f"{DAY} 12:00+00", "time_zone": "Europe/Athens"}
    loads.rows("tellody_purchases", "main", DAY, [{**purchase, "amount": 5, "credits": 100}])
    for offset, is_daily in ((0, True), (1, False)):
        day = DAY + timedelta(days=offset)
        counts = dict.fromkeys(("total", "sent", "pending", "failed", "received", "pressed"), 1)
        counts |= dict.fromkeys(("closed", "unknown", "campaigns"), 1)
        window = {"window_from": day - timedelta(days=0 if is_daily else 6), "window_to": day}
        loads.rows(
            "trust",
            "7",
            day,
            [{**window, **counts, "is_daily": is_daily, "asked_at": f"{day} 12:00+00"}],
        )
    for rows in (people, people[1:]):
        loads.sms(DAY, rows, settled=True)
    with loads.warehouse.connect_admin() as connection:
        connection.execute(
            "INSERT INTO ops.reconciliation (source, account, month, asked_at, asked_on,"
            " newest_receipt_id, outcome, figures, requests, points, code_version)"
            " VALUES ('calltouch', '101', '2024-04-01', now(), current_date, 1, 'agrees',"
            """ '{"records": [1, 1]}', 1, 1, 't')"""
        )
    loads.count_months()


@contextmanager
def restored(source: PostgresServer, of: Warehouse, on: PostgresServer) -> Iterator[Warehouse]:
    """What ``pg_dump`` and ``pg_restore`` make of it in another database, by themselves."""
    copy = on.on("restored_by_hand")
    dump = _run(source, "pg_dump", "--format=custom", of.database)
    _run(on, "createdb", copy.database)
    try:
        _run(on, "pg_restore", "--exit-on-error", f"--dbname={copy.database}", given=dump)
        yield copy
    finally:
        on.drop(copy)


def _run(server: PostgresServer, program: str, *words: str, given: bytes = b"") -> bytes:
    place = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres"}
    password = server.passwords["postgres"].get_secret_value()
    return subprocess.run(
        [str(server.cluster.binaries / program), *words],
        env={"PATH": os.environ["PATH"], "PGPASSWORD": password, **place},
        input=given,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout


def refused(warehouse: Warehouse) -> dict[str, bool]:
    """Whether the widest reader is refused, of each view that refuses or has rows."""
    found = {}
    with warehouse.connect_admin() as connection:
        views = connection.execute(
            "SELECT format('%I.%I', schemaname, viewname) FROM pg_views"
            " WHERE schemaname ~ '^bi(_|$)' AND viewname <> 'date_day'"
        ).fetchall()
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(WIDEST)))
        for (view,) in views:
            try:
                if (
                    connection.execute(f"SELECT FROM {view} LIMIT 1".encode()).fetchone()
                    is not None
                ):
                    found[view] = False
            except pg.InsufficientPrivilege:
                found[view] = True
    return found


def collide(warehouse: Warehouse, column: str, value: str) -> None:
    """The mark names the transaction that wrote it, as on two young servers; and one thing more is equal."""
    with warehouse.connect_admin() as connection:
        connection.execute(f"{COLLIDE}, {column} = {value}".encode())


@pytest.mark.both_servers
def test_a_dump_in_another_database_answers_no_reader_although_transaction_numbers_collide(
    server: PostgresServer, filled: Warehouse
) -> None:
    answered = refused(filled)
    assert len(answered) > 15
    assert not any(answered.values())
    with restored(server, filled, server) as copy:
        with copy.connect_admin() as connection:
            connection.execute("SET ROLE warehouse_bi")
            with pytest.raises(pg.InsufficientPrivilege, match="is a restored dump"):
                connection.execute("SELECT FROM bi.sms_day")
        assert refused(copy) == dict.fromkeys(answered, True)
        collide(copy, "system_identifier", "ops.system_identifier()")
        assert refused(copy) == dict.fromkeys(answered, True)
        migrate(copy, folder=server.sql)
        assert refused(copy) == dict.fromkeys(answered, True)
        with copy.connect_admin() as connection:
            connection.execute("SELECT ops.suppression_was_applied()")
        assert refused(copy) == answered
    assert refused(filled) == answered, "the original serves all the while"


def test_a_dump_on_another_server_answers_no_reader_although_all_numbers_collide(
    server: PostgresServer,
    _servers: Callable[[str], PostgresServer],  # noqa: PT019 - a value, not a fixture without one
) -> None:
    earlier = _servers("15")
    assert server.template, "it has the roles"
    source = earlier.fresh()
    try:
        fill(Loads(source))
        answered = refused(source)
        with restored(earlier, source, server) as copy:
            collide(copy, "database_oid", "ops.database_oid()")
            assert refused(copy) == dict.fromkeys(answered, True)
    finally:
        earlier.drop(source)
