"""What a login that reads bi may take of the server, tried by taking it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from dagster_project.warehouse.connection import BI_ROLES, DAGSTER, Warehouse
from dagster_project.warehouse.schema.migrate import migrate, secure, security_gaps
from tests.conftest import PostgresServer

pytestmark = pytest.mark.both_servers
FEW = {"max_connections": "60", "reserved_connections": "30"}


def signed_in(warehouse: Warehouse, login: str, **more: Any) -> psycopg.Connection[Any]:
    password = warehouse.logins[login].get_secret_value()
    place = {**warehouse.place, "user": login, "password": password, **more}
    return psycopg.connect(**place, autocommit=True)


def told(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


DEFAULTS = {
    "temp_file_limit": "512MB",
    "statement_timeout": "1min",
    "idle_in_transaction_session_timeout": "1min",
    "default_transaction_read_only": "on",
}
CLOSED = (
    "SELECT pg_notify('x', 'y')",
    "SELECT pg_export_snapshot()",
    "SELECT pg_current_xact_id()",
    "SELECT lo_open(1, 131072)",
)
PATHS = {
    "warehouse_bi": "bi",
    "warehouse_bi_detail": "bi, bi_detail",
    "warehouse_bi_pii": "bi, bi_detail, bi_pii",
}
VISIBLE = (
    " WHERE relkind = 'v' AND pg_table_is_visible(oid)"
    " AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')"
)
WRITING = "-c default_transaction_read_only=off"


def test_a_login_that_reads_bi_begins_with_these_limits(warehouse: Warehouse) -> None:
    for login in BI_ROLES:
        with signed_in(warehouse, login) as connection:
            assert {name: told(connection, f"SHOW {name}") for name in DEFAULTS} == DEFAULTS
            assert told(connection, "SHOW search_path") == PATHS[login]
            shown = "SELECT bool_and(has_table_privilege(oid, 'SELECT')) FROM pg_class" + VISIBLE
            assert told(connection, shown), "\\dv shows what it may not read"
            hidden = (
                "SELECT count(*) FROM pg_class WHERE relkind = 'v' AND relnamespace::regnamespace::text"
                " IN ('bi', 'bi_detail', 'bi_pii') AND has_schema_privilege(relnamespace, 'USAGE')"
                " AND has_table_privilege(oid, 'SELECT') AND NOT pg_table_is_visible(oid)"
            )
            assert told(connection, hidden) == 0, "\\dv does not show all that it may read"
            assert told(connection, "SELECT count(*) FROM sms_day") == 0
            limit = "SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user"
            assert told(connection, limit) == 20


def test_the_limits_of_connections_and_of_temporary_files_hold(warehouse: Warehouse) -> None:
    with signed_in(warehouse, "warehouse_bi", options=WRITING) as connection:
        for attempt in (
            "SET temp_file_limit = -1",
            "ALTER ROLE warehouse_bi SET temp_file_limit = -1",
            "ALTER ROLE warehouse_bi CONNECTION LIMIT -1",
            "RESET temp_file_limit",
        ):
            with suppress(pg.InsufficientPrivilege):
                connection.execute(attempt.encode())
        assert told(connection, "SHOW temp_file_limit") == "512MB"
        connection.execute("SET work_mem = '64kB'; SET statement_timeout = 0")
        with pytest.raises(pg.ConfigurationLimitExceeded, match="temporary file size exceeds"):
            connection.execute(
                "SELECT count(*) FROM (SELECT repeat('x', 1000) || n AS text"
                " FROM generate_series(1, 700000) n ORDER BY 1) sorted"
            )
    with ExitStack() as open_ones:
        for _ in range(20):
            open_ones.enter_context(signed_in(warehouse, "warehouse_bi"))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            signed_in(warehouse, "warehouse_bi")


def test_functions_that_write_for_who_may_not_write_are_closed(
    server: PostgresServer, warehouse: Warehouse
) -> None:
    emit = ("SELECT pg_logical_emit_message(false, 'x', 'y')",) if server.version == "18" else ()
    with signed_in(warehouse, "warehouse_bi", options=WRITING) as reader:
        for attempt in (*CLOSED, *emit):
            with pytest.raises(pg.InsufficientPrivilege):
                reader.execute(attempt.encode())


def test_a_login_that_came_later_is_a_gap_until_it_has_its_limits(warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute("CREATE ROLE bi_test_later LOGIN IN ROLE warehouse_bi_detail")
        try:
            gaps = dict(security_gaps(warehouse))
            unlimited = [gap for gap in gaps if "bi_test_later" in gap]
            assert len(unlimited) == 6
            assert gaps["the login bi_test_later reads bi without a limit: temp_file_limit"] == (
                "ALTER ROLE bi_test_later SET temp_file_limit = '512MB'"
            )
            assert any("too few for the pipeline" in gap for gap in gaps) is not is_reserved(
                warehouse
            )
            secure(warehouse)
            assert security_gaps(warehouse) == []
            connection.execute("ALTER ROLE bi_test_later CONNECTION LIMIT 50")
            secure(warehouse)
            limit = "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'bi_test_later'"
            assert told(connection, limit) == 50, "what an administrator chose stays"
        finally:
            connection.execute("DROP ROLE bi_test_later")


def is_reserved(warehouse: Warehouse) -> bool:
    with warehouse.connect_admin() as connection:
        return told(connection, "SELECT current_setting('reserved_connections', true)") is not None


@pytest.fixture
def small(server: PostgresServer, scratch: Path) -> Iterator[PostgresServer]:
    """A server with few connections, of which some are reserved where it can."""
    more = FEW if server.version == "18" else {"max_connections": "130"}
    another = type(server)(server.version, server.cluster.binaries, scratch, more)
    yield another
    another.close()


def test_two_hundred_connections_of_readers_leave_some_for_the_pipeline(
    small: PostgresServer,
) -> None:
    """On 16 and later whoever reads; on 15 as long as their limits add up to less."""
    warehouse = small.on("warehouse")
    migrate(warehouse, folder=small.sql)
    if small.version == "18":
        with warehouse.connect_admin() as connection:
            connection.execute("ALTER ROLE warehouse_bi CONNECTION LIMIT -1")
    with ExitStack() as open_ones:
        refused = 0
        for n in range(200):
            try:
                reader = signed_in(warehouse, BI_ROLES[n % 3])
                open_ones.enter_context(reader)
            except psycopg.OperationalError:
                refused += 1
        assert refused >= 140
        for _ in range(20):
            open_ones.enter_context(warehouse.connect())
        place = {**warehouse.place, "dbname": warehouse.dagster_database}
        password = warehouse.logins[DAGSTER].get_secret_value()
        open_ones.enter_context(psycopg.connect(**place, user=DAGSTER, password=password))
