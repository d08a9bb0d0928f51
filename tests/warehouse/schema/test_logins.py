"""Who owns what, what is closed to everybody, and that everything says what it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from dagster_project.orchestration.storage import make_storage
from dagster_project.warehouse.connection import APP, BI_ROLES, DAGSTER, Warehouse
from dagster_project.warehouse.schema.logins import make_logins
from dagster_project.warehouse.schema.migrate import migrate, security_gaps

SCHEMAS = ["raw", "warehouse", "ops", "bi", "bi_detail", "bi_pii"]


@pytest.mark.both_servers
def test_everything_belongs_to_an_owner_who_cannot_sign_in(warehouse: Warehouse) -> None:
    strangers = """
        SELECT 'schema ' || nspname FROM pg_namespace
        WHERE nspname = ANY(%(schemas)s) AND pg_get_userbyid(nspowner) <> 'warehouse_owner'
        UNION ALL
        SELECT 'relation ' || c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = ANY(%(schemas)s) AND pg_get_userbyid(relowner) <> 'warehouse_owner'
        UNION ALL
        SELECT 'function ' || p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
        WHERE nspname = ANY(%(schemas)s) AND pg_get_userbyid(proowner) <> 'warehouse_owner'
    """
    assert _all(warehouse, strangers) == []
    logins = "SELECT rolname FROM pg_roles WHERE rolname IN ('warehouse_owner', 'warehouse_loader') AND rolcanlogin"
    assert _all(warehouse, logins) == []
    powers = """
        SELECT rolname FROM pg_roles WHERE rolname LIKE 'warehouse%%'
        AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
    """
    assert _all(warehouse, powers) == []


@pytest.mark.both_servers
def test_nothing_of_ours_is_open_to_everybody(warehouse: Warehouse) -> None:
    open_functions = """
        SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
        WHERE nspname = ANY(%(schemas)s) AND has_function_privilege('public', p.oid, 'EXECUTE')
    """
    open_relations = """
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname = ANY(%(schemas)s) AND relkind IN ('r', 'p', 'v', 'm')
        AND has_table_privilege('public', c.oid, 'SELECT, INSERT, UPDATE, DELETE')
    """
    assert _all(warehouse, open_functions) == []
    assert _all(warehouse, open_relations) == []
    assert security_gaps(warehouse) == []


@pytest.mark.both_servers
def test_every_table_column_and_schema_has_a_comment(warehouse: Warehouse) -> None:
    bare = """
        SELECT c.oid::regclass || coalesce('.' || attname, '')
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        JOIN LATERAL (
            SELECT NULL::name AS attname, 0 AS attnum
            UNION ALL SELECT a.attname, a.attnum FROM pg_attribute a
            WHERE attrelid = c.oid AND a.attnum > 0 AND NOT attisdropped
        ) a ON true
        WHERE nspname = ANY(%(schemas)s) AND relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition
        AND col_description(c.oid, a.attnum) IS NULL AND (a.attnum > 0 OR obj_description(c.oid, 'pg_class') IS NULL)
        UNION ALL
        SELECT nspname FROM pg_namespace n
        WHERE nspname = ANY(%(schemas)s) AND obj_description(n.oid, 'pg_namespace') IS NULL
    """
    assert _all(warehouse, bare) == []


@pytest.mark.both_servers
@pytest.mark.parametrize("role", ["warehouse_bi", "warehouse_bi_detail", "warehouse_bi_pii"])
def test_a_bi_login_can_neither_write_nor_read_elsewhere_nor_stop_the_loader(
    warehouse_with_dagster: Warehouse, role: str
) -> None:
    warehouse = warehouse_with_dagster
    forbidden = [
        "SELECT * FROM warehouse.calltouch_sms",
        "SELECT * FROM raw.response",
        "SELECT * FROM ops.load_receipt",
        "SELECT ops.ensure_month('warehouse.calltouch_sms', '2024-04-01')",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_xact_lock_shared(1, 2)",
        "SELECT lo_from_bytea(0, 'x')",
        "CREATE TEMP TABLE mine (x integer)",
        "CREATE TABLE public.mine (x integer)",
        "CREATE TABLE bi.mine (x integer)",
        "CREATE SCHEMA mine",
        "SET ROLE warehouse_loader",
        "COPY (SELECT 1) TO '/tmp/mine'",
    ]
    with psycopg.connect(
        **{
            **warehouse.place,
            "user": role,
            "password": warehouse.logins[role].get_secret_value(),
            "options": "-c default_transaction_read_only=off",  # a default, not a privilege
        },
        autocommit=True,
    ) as connection:
        for statement in forbidden:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
        schemas = {
            schema
            for schema in SCHEMAS
            if connection.execute("SELECT has_schema_privilege(%s, 'USAGE')", (schema,)).fetchone()
            == (True,)
        }
    assert schemas == {
        "warehouse_bi": {"bi"},
        "warehouse_bi_detail": {"bi", "bi_detail"},
        "warehouse_bi_pii": {"bi", "bi_detail", "bi_pii"},
    }.get(role)


@pytest.mark.both_servers
def test_an_administrator_who_is_no_superuser_migrates_a_database_of_his_own(
    server: Any, scratch: Path
) -> None:
    server = type(server)(server.version, server.cluster.binaries, scratch)
    password = "only-for-this-test"
    with server.on("postgres").connect_admin() as connection:
        connection.execute(f"CREATE ROLE keeper LOGIN CREATEROLE CREATEDB PASSWORD '{password}'")
        connection.execute("CREATE DATABASE theirs OWNER keeper")
    theirs = Warehouse.from_url(f"postgresql://keeper:{password}@127.0.0.1:{server.port}/theirs")
    try:
        assert migrate(theirs, folder=server.sql, storage=make_storage) != []
        assert migrate(theirs, folder=server.sql, storage=make_storage) == []

        with theirs.connect() as connection:
            row = connection.execute("SELECT session_user, current_user").fetchone()
            assert row == ("keeper", "warehouse_loader")
            connection.execute("SELECT ops.ensure_month('warehouse.calltouch_sms', '2024-04-01')")
            connection.execute("SELECT pg_advisory_xact_lock(1)")
        with create_engine(theirs.dagster_url()).connect() as storage:
            assert storage.execute(text("SELECT current_database()")).scalar() == "theirs_dagster"
            assert storage.execute(text("SELECT count(*) FROM runs")).scalar() == 0
            owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
            assert storage.execute(text(owners)).all() == [("warehouse_dagster",)]
        gaps = security_gaps(theirs)
        assert gaps
        assert all("may call" in gap for gap, _ in gaps), "only a superuser closes built-ins"
        with server.on("theirs").connect_admin() as connection:
            for _, mend in gaps:
                connection.execute(mend.encode())
        assert security_gaps(theirs) == []

        passwords = {name: SecretStr(f"{name}, of this test") for name in (APP, DAGSTER, *BI_ROLES)}
        for _ in range(2):
            make_logins(replace(theirs, logins=passwords), lambda line: None)
        for name, database in {
            APP: "theirs",
            DAGSTER: "theirs_dagster",
            "warehouse_bi": "theirs",
        }.items():
            place = {**theirs.place, "user": name, "dbname": database}
            with psycopg.connect(
                **place, password=passwords[name].get_secret_value()
            ) as connection:
                assert connection.execute("SELECT session_user").fetchone() == (name,)
    finally:
        server.close()


def _all(warehouse: Warehouse, query: str) -> list[Any]:
    with warehouse.connect_admin() as connection:
        return [row[0] for row in connection.execute(query.encode(), {"schemas": SCHEMAS})]
