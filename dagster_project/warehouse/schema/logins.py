"""Databases and logins: all of them on the embedded server, databases alone on any other.

Passwords are sent to the server as SCRAM verifiers: it never sees the text, so it cannot log it. What is
right already is not changed. One process at a time does this, since logins belong to the whole server.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg import sql
from psycopg.errors import DuplicateDatabase, InsufficientPrivilege, UniqueViolation
from pydantic import SecretStr

from dagster_project.errors import NoSuchDatabase, SettingsError
from dagster_project.text import remedies
from dagster_project.warehouse.connection import APP, DAGSTER, LOADER, Connection, Report, Warehouse
from dagster_project.warehouse.fitness import refuse_unfit
from dagster_project.warehouse.pg_errors import describe
from dagster_project.warehouse.queries import fetch_value
from dagster_project.warehouse.session import ENCODING

MAINTENANCE = "postgres"
LOCK_KEY = int.from_bytes(hashlib.sha256(b"warehouse logins").digest()[:8], signed=True)


def make_databases(warehouse: Warehouse, report: Report) -> None:
    """The warehouse's database and Dagster's, where absent, closed to PUBLIC.

    Raises:
        SettingsError: the warehouse's database is absent, and this login may not create it.
    """
    if not warehouse.is_embedded:
        _make_where_absent(warehouse, report)
    with _connect_server(warehouse) as connection:
        refuse_unfit(connection)
        if warehouse.is_embedded:
            _make_database(connection, warehouse.database, report)
            for shared in (MAINTENANCE, "template1"):
                _revoke_public(connection, shared)
        if warehouse.dagster is None:
            _make_database(connection, warehouse.dagster_database, report)


def make_logins(warehouse: Warehouse, report: Report, database: str = MAINTENANCE) -> None:
    """Let the logins in, each with its password: all of them, or none where something is refused.

    ``database`` is where to sign in for it: a server of somebody else need not have another than its own.

    Raises:
        SettingsError: this login may not make logins.
    """
    if not warehouse.is_embedded:
        return
    with _connect_server(warehouse, database) as connection:
        try:
            with connection.transaction():
                _make_each(connection, warehouse, report)
        except InsufficientPrivilege as error:
            raise SettingsError(
                f"{connection.info.user} may not make logins, and none was made ({describe(error)}).",
                hint=remedies.MAKE_LOGINS_AS_ADMINISTRATOR,
            ) from None


def _make_each(connection: Connection, warehouse: Warehouse, report: Report) -> None:
    for name, password in warehouse.logins.items():
        if not _may_sign_in(connection, name, password):
            report(f"making login {name}")
            _set_password(connection, name, password)
    _grant_roles(connection, warehouse)


def _make_where_absent(warehouse: Warehouse, report: Report) -> None:
    """The database that WAREHOUSE_URL names, as its login."""
    try:
        warehouse.connect_admin(what="migrate").close()
        return
    except NoSuchDatabase:
        pass
    try:
        with warehouse.connect_admin(database=MAINTENANCE, what="migrate") as connection:
            refuse_unfit(connection)
            _make_database(connection, warehouse.database, report, must=True)
    except (SettingsError, InsufficientPrivilege):
        raise SettingsError(
            f"database {warehouse.database} does not exist, and this login may not create it.",
            hint=f"as an administrator: {_create_statement(warehouse)}",
        ) from None


def _create_statement(warehouse: Warehouse) -> str:
    owner = f' OWNER "{warehouse.admin.user}"' if warehouse.admin.user else ""
    return (
        f"CREATE DATABASE \"{warehouse.database}\"{owner} ENCODING '{ENCODING}' TEMPLATE template0;"
    )


@contextmanager
def _connect_server(warehouse: Warehouse, database: str = MAINTENANCE) -> Iterator[Connection]:
    if not warehouse.is_embedded:
        with warehouse.connect_admin(what="migrate") as connection:
            yield connection
        return
    with warehouse.connect_admin(database=database, what="migrate") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
        yield connection


def _make_database(
    connection: Connection, name: str, report: Report, *, must: bool = False
) -> None:
    query = "SELECT FROM pg_database WHERE datname = %s"
    if connection.execute(query, (name,)).fetchone() is None:
        try:
            connection.execute(_create_database(connection, name))
        except (DuplicateDatabase, UniqueViolation):
            return
        except InsufficientPrivilege:
            if must:
                raise
            report(
                f"database {name} is absent, and this login may not create it: "
                "have it created, or set DAGSTER_URL"
            )
            return
        report(f"created database {name}")
    _revoke_public(connection, name)


def _create_database(connection: Connection, name: str) -> sql.Composed:
    """In UTF-8, also on a server whose own template is not."""
    query = "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'template1'"
    is_usual = fetch_value(connection, query) == ENCODING
    other = f" TEMPLATE template0 ENCODING '{ENCODING}' LOCALE 'C'"
    return sql.SQL("CREATE DATABASE {}" + ("" if is_usual else other)).format(sql.Identifier(name))


def _revoke_public(connection: Connection, database: str) -> None:
    """Only the owner and who is granted it may connect; left as it is where we may not say so."""
    query = "SELECT has_database_privilege('public', %s, 'CONNECT, TEMPORARY')"
    if not fetch_value(connection, query, (database,)):
        return
    revoke = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database))
    try:
        connection.execute(revoke)
    except InsufficientPrivilege:
        return


def _may_sign_in(connection: Connection, name: str, password: SecretStr) -> bool:
    """Whether this password is set already; unknown, and so no, where only a superuser may look."""
    if not fetch_value(connection, "SELECT has_table_privilege('pg_authid', 'SELECT')"):
        return False
    query = "SELECT rolpassword FROM pg_authid WHERE rolname = %s AND rolcanlogin"
    verifier = fetch_value(connection, query, (name,))
    return verifier is not None and _matches_verifier(password.get_secret_value(), str(verifier))


def _set_password(connection: Connection, name: str, password: SecretStr) -> None:
    exists = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
    verifier = connection.pgconn.encrypt_password(
        password.get_secret_value().encode(), name.encode(), b"scram-sha-256"
    )
    statement = sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
        sql.SQL("CREATE" if exists is None else "ALTER"),
        sql.Identifier(name),
        sql.Literal(verifier.decode()),
    )
    connection.execute(statement)


def _matches_verifier(password: str, verifier: str) -> bool:
    """Whether ``SCRAM-SHA-256$rounds:salt$stored:server`` was made from this password (RFC 5802)."""
    try:
        method, rounds_and_salt, keys = verifier.split("$")
        rounds, salt = rounds_and_salt.split(":")
        stored = base64.b64decode(keys.split(":")[0])
        salted = hashlib.pbkdf2_hmac(
            "sha256", password.encode(), base64.b64decode(salt), int(rounds)
        )
    except ValueError:
        return False
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return method == "SCRAM-SHA-256" and hmac.compare_digest(
        hashlib.sha256(client_key).digest(), stored
    )


def _grant_roles(connection: Connection, warehouse: Warehouse) -> None:
    """The pipeline's login inherits nothing: what it may do, it does as ``warehouse_loader``."""
    names = {
        "app": APP,
        "loader": LOADER,
        "dagster": DAGSTER,
        "database": warehouse.database,
        "storage": warehouse.dagster_database,
    }
    for wanting, statement in (
        ("SELECT rolinherit FROM pg_roles WHERE rolname = %(app)s", "ALTER ROLE {app} NOINHERIT"),
        ("SELECT NOT pg_has_role(%(app)s, %(loader)s, 'MEMBER')", "GRANT {loader} TO {app}"),
        (
            "SELECT NOT has_database_privilege(%(app)s, %(database)s, 'CONNECT')",
            "GRANT CONNECT ON DATABASE {database} TO {app}",
        ),
        (
            "SELECT pg_get_userbyid(datdba) <> %(dagster)s FROM pg_database WHERE datname = %(storage)s",
            "ALTER DATABASE {storage} OWNER TO {dagster}",
        ),
    ):
        if fetch_value(connection, wanting.encode(), names):
            identifiers = {key: sql.Identifier(name) for key, name in names.items()}
            connection.execute(sql.SQL(statement).format(**identifiers))
    for name in (APP, DAGSTER):
        _let_use_reserved(connection, name)


def _let_use_reserved(connection: Connection, name: str) -> None:
    """Connections that readers cannot take (PostgreSQL 16 and later); what may not be given is left."""
    wanting = "SELECT NOT pg_has_role(%s, to_regrole('pg_use_reserved_connections'), 'USAGE')"
    if fetch_value(connection, wanting, (name,)):
        grant = sql.SQL("GRANT pg_use_reserved_connections TO {} WITH INHERIT TRUE")
        with suppress(InsufficientPrivilege), connection.transaction():
            connection.execute(grant.format(sql.Identifier(name)))
