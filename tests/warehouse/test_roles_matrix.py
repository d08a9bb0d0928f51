"""Who may do what: one table of role, thing and allowed, tried as the real roles.

Each thing is tried in a transaction that is rolled back. Refused means that Postgres says
"permission denied", or does not let the role in; any other error is a mistake of the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import errors as pg
from psycopg import sql

from dagster_project.warehouse.connection import APP, DAGSTER, LOADER, Warehouse
from tests.conftest import PostgresServer

pytestmark = pytest.mark.both_servers

STRANGER, HELD = "matrix_stranger", "matrix_held"
ROLES = {
    "stranger": STRANGER,  # signs in, and is a member of nothing
    "bi": "warehouse_bi",
    "held": HELD,  # a member of warehouse_bi_pii that ops.bi_grant names
    "detail": "warehouse_bi_detail",
    "pii": "warehouse_bi_pii",
    "app": APP,  # the pipeline's login, before it works as the loader
    "loader": LOADER,
    "dagster": DAGSTER,
    "owner": "warehouse_owner",
}
READERS = "bi held detail pii"
OURS = "loader owner"
NOBODY = ""
EVERYBODY = " ".join(ROLES)

# Of a schema: the statement is tried on each of its tables and views, and the answer is one for all.
# A thing in Dagster's database begins with its name.
MATRIX: dict[str, str] = {
    # reading
    "each of bi: SELECT FROM {} LIMIT 1": f"{READERS} owner",
    "each of bi_detail: SELECT FROM {} LIMIT 1": "held detail pii owner",
    "each of bi_pii: SELECT FROM {} LIMIT 1": "held pii owner",
    "each of warehouse: SELECT FROM {} LIMIT 1": OURS,
    "each of raw: SELECT FROM {} LIMIT 1": OURS,
    "each of mart: SELECT FROM {} LIMIT 1": "owner",
    "SELECT FROM ops.load_receipt": OURS,
    "SELECT FROM ops.rejected_record": OURS,
    "SELECT FROM ops.suppressed_number": OURS,
    "SELECT FROM ops.privacy": OURS,
    "SELECT FROM ops.bi_grant": "owner",
    "SELECT FROM ops.security_gap": OURS,
    "SELECT FROM pg_authid": NOBODY,
    # writing
    "each of bi: DELETE FROM {}": "owner",
    "each of bi_detail: DELETE FROM {}": "owner",
    "each of bi_pii: DELETE FROM {}": "owner",
    "UPDATE bi.date_day SET year = year": "owner",
    "each table of mart: DELETE FROM {} WHERE false": "owner",
    "DELETE FROM warehouse.calltouch_sms WHERE false": OURS,
    "TRUNCATE warehouse.calltouch_sms": "owner",
    "INSERT INTO ops.bi_grant VALUES ('warehouse_bi', 'calltouch', NULL)": "owner",
    "UPDATE ops.load_receipt SET run_id = NULL WHERE false": OURS,
    "UPDATE ops.migration SET name = name": "owner",
    # functions of ours
    "SELECT ops.ensure_month('warehouse.calltouch_sms', '2024-04-01')": OURS,
    "SELECT mart.refresh_month(1, '2024-04-01')": OURS,
    "SELECT mart.renew_statistics()": OURS,
    "SELECT FROM mart.remove_account('trust', 'trust', 'nobody', false)": OURS,
    "SELECT FROM ops.remove_account('trust', 'nobody', false)": OURS,
    "SELECT FROM mart.own_sms(current_user, '2024-04-01')": "owner",
    "SELECT FROM mart.own_sms_detail(current_user, '2024-04-01')": "owner",
    "SELECT FROM mart.own_account(current_user)": "owner",
    "SELECT mart.sees_all()": "owner",
    "SELECT ops.secure_database()": "owner",
    # what would stop a load, or fill the disk
    "SELECT pg_advisory_xact_lock(1)": OURS,
    "LOCK TABLE warehouse.calltouch_sms IN ACCESS SHARE MODE": OURS,
    "CREATE TEMP TABLE mine (x integer)": "loader",
    "SELECT lo_create(0)": NOBODY,
    "SELECT pg_logical_emit_message(false, 'x', 'y')": NOBODY,
    "SELECT pg_notify('x', 'y')": NOBODY,
    "SELECT pg_export_snapshot()": NOBODY,
    "SELECT txid_current()": NOBODY,
    "SET temp_file_limit = -1": NOBODY,
    "COPY (SELECT 1) TO PROGRAM 'true'": NOBODY,
    "COPY (SELECT 1) TO '/tmp/mine'": NOBODY,
    "SELECT pg_read_file('/etc/hostname')": NOBODY,
    # becoming more
    "CREATE TABLE bi.mine (x integer)": "owner",
    "CREATE TABLE public.mine (x integer)": NOBODY,
    "CREATE SCHEMA mine": "owner",
    "CREATE ROLE mine": NOBODY,
    "COMMENT ON TABLE warehouse.calltouch_sms IS NULL": "owner",
    "DROP VIEW bi.data_until": "owner",
    "ALTER TABLE warehouse.calltouch_sms DISABLE ROW LEVEL SECURITY": "owner",
    "SET ROLE warehouse_owner": "owner",
    "SET ROLE warehouse_loader": "app loader",
    "SET ROLE warehouse_bi_pii": "held pii",
    "SET SESSION AUTHORIZATION warehouse_owner": "owner",
    "ALTER ROLE warehouse_bi CONNECTION LIMIT -1": NOBODY,
    # what Postgres cannot refuse (docs/security.md)
    "NOTIFY noise": f"{READERS} app {OURS}",
    "LISTEN noise": f"{READERS} app {OURS}",
    "SET statement_timeout = 0": f"{READERS} app {OURS}",
    "ALTER ROLE CURRENT_USER PASSWORD 'another'": f"{READERS} app {OURS}",
    # Dagster's own database
    "dagster: SELECT 1": "dagster",
    "dagster: CREATE TABLE mine (x integer)": "dagster",
}  # fmt: skip

ON_15 = {"SELECT pg_logical_emit_message(false, 'x', 'y')": f"{READERS} app {OURS}"}
"""Closed from 17 on (docs/security.md)."""


@contextmanager
def working_as(warehouse: Warehouse, role: str, database: str) -> Iterator[psycopg.Connection]:
    """A session of the role: signed in where it can, else as who became it for good."""
    place = {**warehouse.place, "dbname": database}
    options = "-c default_transaction_read_only=off"
    if role in warehouse.logins:
        password = warehouse.logins[role].get_secret_value()
        with psycopg.connect(**place, user=role, password=password, options=options) as session:
            yield session
    elif role in (STRANGER, HELD):
        with psycopg.connect(**place, user=role, password="m", options=options) as session:
            yield session
    else:
        login = APP if role == LOADER else warehouse.admin.user
        secret = warehouse.pipeline.secret if role == LOADER else warehouse.admin.secret
        with psycopg.connect(**place, user=login, password=secret, options=options) as session:
            become = "SET ROLE {}" if role == LOADER else "SET SESSION AUTHORIZATION {}"
            session.execute(sql.SQL(become).format(sql.Identifier(role)))
            session.commit()
            yield session


@pytest.fixture
def peopled(warehouse_with_dagster: Warehouse) -> Iterator[Warehouse]:
    """Two logins more: one of nothing, one that is held to a grant."""
    with warehouse_with_dagster.connect_admin() as connection:
        connection.execute(f"CREATE ROLE {STRANGER} LOGIN PASSWORD 'm'")
        connection.execute(f"CREATE ROLE {HELD} LOGIN PASSWORD 'm' IN ROLE warehouse_bi_pii")
        connection.execute(f"INSERT INTO ops.bi_grant VALUES ('{HELD}', 'calltouch', '101')")
        yield warehouse_with_dagster
        connection.execute("DELETE FROM ops.bi_grant")
        connection.execute(f"DROP ROLE {STRANGER}, {HELD}")


def test_each_role_may_do_what_the_table_says_and_nothing_else(
    server: PostgresServer, peopled: Warehouse
) -> None:
    matrix = MATRIX | (ON_15 if server.version == "15" else {})
    found = {thing: [] for thing in MATRIX}
    for name, role in ROLES.items():
        for thing in allowed_things(peopled, role):
            found[thing].append(name)
    told = {thing: " ".join(names) for thing, names in found.items()}
    wanted = {
        thing: " ".join(name for name in ROLES if name in who.split())
        for thing, who in matrix.items()
    }
    differing = {
        thing: (told[thing], wanted[thing]) for thing in MATRIX if told[thing] != wanted[thing]
    }
    assert differing == {}


def allowed_things(warehouse: Warehouse, role: str) -> Iterator[str]:
    for database, things in (
        (warehouse.database, [thing for thing in MATRIX if not thing.startswith("dagster: ")]),
        (warehouse.dagster_database, [thing for thing in MATRIX if thing.startswith("dagster: ")]),
    ):
        if role == "warehouse_owner" and database != warehouse.database:
            continue  # it signs in nowhere
        try:
            with working_as(warehouse, role, database) as session:
                for thing in things:
                    if is_allowed(warehouse, session, thing.removeprefix("dagster: ")):
                        yield thing
        except psycopg.OperationalError as error:
            assert "permission denied for database" in str(error)  # noqa: PT017 - the way it is refused


def is_allowed(warehouse: Warehouse, session: psycopg.Connection, thing: str) -> bool:
    answers = {tried(session, statement) for statement in statements(warehouse, thing)}
    assert len(answers) == 1, f"{thing}: not the same for all"
    return answers.pop()


def statements(warehouse: Warehouse, thing: str) -> list[str]:
    kind, of, statement = thing.partition(": ")
    if not of or not kind.startswith("each "):
        return [thing]
    relkinds = ["r", "p"] if " table of " in kind else ["r", "p", "v"]
    with warehouse.connect_admin() as connection:
        rows = connection.execute(
            "SELECT oid::regclass::text FROM pg_class"
            " WHERE relnamespace = %s::regnamespace AND relkind::text = ANY(%s)"
            " AND relname <> 'date_day'",
            (kind.rpartition(" ")[2], relkinds),
        ).fetchall()
    assert rows, thing
    return [statement.format(name) for (name,) in rows]


def tried(session: psycopg.Connection, statement: str) -> bool:
    try:
        session.execute(statement.encode())
    except pg.InsufficientPrivilege:
        return False
    else:
        return True
    finally:
        session.rollback()


def test_the_roles_that_nobody_signs_in_as_have_no_login(peopled: Warehouse) -> None:
    with peopled.connect_admin() as connection:
        rows = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname ~ '^warehouse_' AND NOT rolcanlogin"
        ).fetchall()
    assert {name for (name,) in rows} == {"warehouse_owner", LOADER}
