"""What sessions set for themselves; and servers that no warehouse can be on, each told in a sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from dagster_project.cli.main import warehouse as command
from dagster_project.errors import SettingsError, TryLater, WarehouseError
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.postgres_url import write_url
from dagster_project.warehouse.schema.migrate import migrate
from tests.conftest import DEBIAN_15, PostgresServer, scratch_folder
from tests.support.operating import KEY, again
from tests.support.ports import free_port
from tests.support.programs import POSTGRES_15, need

HOSTILE = {
    "DateStyle": "'German, DMY'",
    "TimeZone": "'Pacific/Kiritimati'",
    "client_encoding": "'LATIN1'",
    "search_path": "pg_catalog",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "1",
    "idle_session_timeout": "1",
    "role": "warehouse_bi",
}


class TestSessions:
    def test_the_environment_does_not_reach_into_them(
        self, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PGTZ", "Pacific/Kiritimati")
        monkeypatch.setenv("PGDATESTYLE", "German, DMY")
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
        monkeypatch.setenv(
            "PGOPTIONS", "-c search_path=hostile -c default_transaction_read_only=on"
        )
        with warehouse.connect(autocommit=True) as connection:
            row = connection.execute(
                "SELECT '2024-04-01 12:00+00'::timestamptz::text, 'Ж', current_setting('search_path'),"
                " current_setting('default_transaction_read_only')"
            ).fetchone()
        assert row == ("2024-04-01 12:00:00+00", "Ж", "public", "off")

    @pytest.mark.both_servers
    def test_dagsters_sessions_say_what_they_depend_on(
        self, warehouse_with_dagster: Warehouse
    ) -> None:
        warehouse = warehouse_with_dagster
        late = {"transaction_timeout": "100"} if warehouse_version(warehouse) >= 170000 else {}
        with warehouse.connect_admin() as admin:
            for name, value in {**HOSTILE, **late}.items():
                admin.execute(
                    sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                        sql.Identifier(warehouse.dagster_database), sql.SQL(name), sql.SQL(value)
                    )
                )
        with warehouse.storage.connect() as connection:
            url = warehouse.storage.url(connection.info.server_version)
        engine = create_engine(url, poolclass=NullPool)
        with engine.begin() as storage:
            time.sleep(0.15)
            told = {
                name: storage.execute(text(f"SHOW {name}")).scalar() for name in (*HOSTILE, *late)
            }
            storage.execute(text("CREATE TABLE kept (word text, at timestamp DEFAULT now())"))
            storage.execute(text("INSERT INTO kept VALUES ('Ж')"))
            utc = "now() AT TIME ZONE 'UTC' = at"
            kept = storage.execute(text(f"SELECT word, {utc} FROM public.kept")).all()
        assert told == {
            "DateStyle": "ISO, YMD",
            "TimeZone": "UTC",
            "client_encoding": "UTF8",
            "search_path": "public",
            "default_transaction_read_only": "off",
            "default_transaction_isolation": "read committed",
            "statement_timeout": "0",
            "idle_session_timeout": "0",
            "role": "none",
            **dict.fromkeys(late, "0"),
        }
        assert kept == [("Ж", True)]

    @pytest.mark.both_servers
    def test_a_schema_is_made_the_same_under_hostile_settings(
        self, server: PostgresServer, warehouse: Warehouse
    ) -> None:
        other = server.on(f"{warehouse.database}_hostile")
        try:
            with warehouse.connect_admin(database="postgres") as admin:
                name = sql.Identifier(other.database)
                admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
                for setting, value in {**HOSTILE, "check_function_bodies": "off"}.items():
                    admin.execute(
                        sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                            name, sql.SQL(setting), sql.SQL(value)
                        )
                    )
            migrate(other, folder=server.sql)
            assert objects(other) == objects(warehouse)
        finally:
            server.drop(other)


def warehouse_version(warehouse: Warehouse) -> int:
    with warehouse.connect_admin() as connection:
        return connection.info.server_version


def objects(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Every relation and function outside of the catalogue, with its owner and its text."""
    with warehouse.connect_admin() as connection:
        return connection.execute(
            "SELECT n.nspname, c.relname, c.relkind::text, pg_get_userbyid(c.relowner),"
            " CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid) END FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^(pg_|information)'"
            " UNION ALL SELECT n.nspname, p.proname, 'function', pg_get_userbyid(p.proowner),"
            " p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE n.nspname !~ '^(pg_|information)' ORDER BY 1, 2, 3, 4, 5"
        ).fetchall()


@pytest.fixture(scope="module")
def german() -> Iterator[PostgresServer]:
    """PostgreSQL 15, which speaks German, and which a standby may follow.

    The locale C.UTF-8 takes its words from LANGUAGE, so that no other one need be installed.
    """
    need(POSTGRES_15)
    server = PostgresServer("15", DEBIAN_15, scratch_folder())
    server.cluster.stop()
    with (server.cluster.data / "pg_hba.conf").open("a") as file:
        file.write("host replication all 127.0.0.1/32 scram-sha-256\n")
    run_as_server(
        server,
        *("pg_ctl", "start", "--wait", "--silent", f"--pgdata={server.cluster.data}"),
        *(f"--log={server.cluster.log_file}", "--options=-c lc_messages=C.UTF-8"),
        LC_ALL="C.UTF-8",
        LANGUAGE="de",
    )
    yield server
    server.close()


def run_as_server(
    server: PostgresServer, program: str, *arguments: str, **environment: str
) -> None:
    account = server.cluster.account
    switch: dict[str, Any] = (
        {} if account.is_us else {"user": account.uid, "group": account.gid, "extra_groups": []}
    )
    subprocess.run(
        [str(DEBIAN_15 / program), *arguments],
        env={"PATH": os.defpath, **environment},
        check=True,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        **switch,
    )


def url_of(server: PostgresServer, database: str, **place: str) -> str:
    password = server.passwords["postgres"].get_secret_value()
    where = {"host": "127.0.0.1", "port": str(server.port), **place}
    return write_url("postgresql", where, "postgres", password, database)


@pytest.fixture
def made(german: PostgresServer) -> Iterator[Callable[[str], str]]:
    """Makes a database, as the rest of CREATE DATABASE says; it is dropped after the test."""
    admin = german.on("postgres")
    names: list[str] = []

    def make(rest: str = "") -> str:
        names.append(f"made_{len(names)}")
        with admin.connect_admin() as connection:
            connection.execute(f"CREATE DATABASE {names[-1]} {rest}".encode())
        return names[-1]

    yield make
    for name in names:
        german.drop(german.on(name))


class TestRefusals:
    """By SQLSTATE: the server says them in German."""

    def test_the_server_does_speak_german(self, german: PostgresServer) -> None:
        with pytest.raises(psycopg.OperationalError, match="Datenbank »nirgends« existiert nicht"):
            psycopg.connect(url_of(german, "nirgends"))

    @pytest.mark.parametrize(
        ("change", "expected", "said"),
        [
            ({"password": "wrong-password"}, SettingsError, "password is not accepted"),
            ({"user": "nobody_known"}, SettingsError, "password is not accepted"),
            ({"password": ""}, SettingsError, "no password is set"),
            ({"dbname": "no_such_database"}, SettingsError, "there is no such database"),
            ({"port": "1"}, TryLater, "no connection"),
            ({"sslmode": "verify-full"}, SettingsError, "the server does not encrypt"),
            ({"user": "not_allowed"}, SettingsError, "the server lets no such user in"),
        ],
    )
    def test_a_refused_connection_names_the_way_out(
        self,
        german: PostgresServer,
        change: dict[str, str],
        expected: type[WarehouseError],
        said: str,
    ) -> None:
        password = german.passwords["postgres"].get_secret_value()
        with psycopg.connect(url_of(german, "postgres"), autocommit=True) as admin:
            admin.execute("DROP ROLE IF EXISTS not_allowed")
            admin.execute(f"CREATE ROLE not_allowed NOLOGIN PASSWORD '{password}'".encode())
        given = {"user": "postgres", "password": password, "dbname": "postgres", **change}
        place = {"host": "127.0.0.1", "port": str(german.port)} | {
            name: change[name] for name in ("port", "sslmode") if name in change
        }
        url = write_url("postgresql", place, given["user"], given["password"], given["dbname"])
        with pytest.raises(expected, match=f"{said}.*Way out"):
            Warehouse.from_url(url).connect_admin()

    def test_a_role_that_is_absent_or_not_ours_says_to_migrate(
        self, german: PostgresServer
    ) -> None:
        with pytest.raises(SettingsError, match="warehouse migrate"):
            Warehouse.from_url(url_of(german, "postgres")).connect(role="no_such_role")
        with psycopg.connect(url_of(german, "postgres"), autocommit=True) as admin:
            admin.execute("DROP ROLE IF EXISTS plain")
            admin.execute("CREATE ROLE plain LOGIN PASSWORD 'pl4in-4711'")
        url = write_url(
            "postgresql",
            {"host": "127.0.0.1", "port": str(german.port)},
            "plain",
            "pl4in-4711",
            "postgres",
        )
        with pytest.raises(SettingsError, match="may not connect, or not work as"):
            Warehouse.from_url(url).connect(role="postgres")

    def test_a_certificate_that_is_not_trusted_is_told_from_no_encryption(
        self, german: PostgresServer, tmp_path: Path
    ) -> None:
        data, account = german.cluster.data, german.cluster.account
        make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x"]
        files = ["-keyout", str(data / "server.key"), "-out", str(data / "server.crt")]
        need("openssl")
        subprocess.run(["openssl", *make, *files], check=True, capture_output=True)
        for name in ("server.key", "server.crt"):
            os.chown(data / name, account.uid, account.gid)
            (data / name).chmod(0o600)
        with psycopg.connect(url_of(german, "postgres"), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET ssl = on")
            admin.execute("SELECT pg_reload_conf()")
        try:
            trusting = url_of(german, "postgres", sslmode="verify-ca", sslrootcert="system")
            trusting = trusting.replace("verify-ca", "verify-full")
            with pytest.raises(SettingsError, match="certificate is not trusted"):
                Warehouse.from_url(trusting).connect_admin()
        finally:
            with psycopg.connect(url_of(german, "postgres"), autocommit=True) as admin:
                admin.execute("ALTER SYSTEM RESET ssl")
                admin.execute("SELECT pg_reload_conf()")


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP", "WIN1251"])
    def test_a_database_that_is_not_utf8_is_refused(
        self, german: PostgresServer, made: Callable[[str], str], encoding: str
    ) -> None:
        name = made(f"ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'")
        with pytest.raises(SettingsError, match=f"encoding {encoding}, and texts need UTF8"):
            migrate(Warehouse.from_url(url_of(german, name)))
        with german.on(name).connect_admin() as connection:
            schemas = connection.execute("SELECT to_regnamespace('ops')").fetchone()
            databases = connection.execute(
                "SELECT FROM pg_database WHERE datname = %s", (f"{name}_dagster",)
            ).fetchall()
        assert schemas == (None,)
        assert databases == [], "nothing was made"

    def test_dagsters_database_is_utf8_also_where_the_servers_template_is_not(
        self, german: PostgresServer, made: Callable[[str], str]
    ) -> None:
        name = made("ENCODING 'UTF8' TEMPLATE template0 LOCALE 'C'")
        found = Warehouse.from_url(url_of(german, name))
        replace_template(german, "LATIN1")
        try:
            migrate(found)
        finally:
            replace_template(german, "UTF8")
        with found.storage.connect() as connection:
            assert connection.info.parameter_status("server_encoding") == "UTF8"


def replace_template(server: PostgresServer, encoding: str) -> None:
    """Make ``template1``, which new databases are copied from, one of this encoding."""
    with server.on("postgres").connect_admin() as admin:
        for statement in (
            "ALTER DATABASE template1 IS_TEMPLATE false",
            "DROP DATABASE template1",
            f"CREATE DATABASE template1 TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'",
            "ALTER DATABASE template1 IS_TEMPLATE true",
        ):
            admin.execute(statement.encode())


VERBS = {
    "doctor": ["doctor"],
    "migrate": ["migrate"],
    "a load": ["backfill", "--from", "2024-04-01", "--to", "2024-04-01"],
}


@pytest.fixture
def told(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """What a verb says, on the server of this URL, of what keeps it from working."""
    for name, value in {
        "WAREHOUSE_HOME": str(scratch),
        "PII_HASH_KEY": KEY,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(scratch)

    def said(verb: str, url: str) -> str:
        site = "1" if verb == "a load" else ""
        again(
            monkeypatch,
            WAREHOUSE_URL=url,
            CALLTOUCH_SITE_IDS=site,
            CALLTOUCH_ACCESS_TOKEN=site and "a token",
        )
        done = CliRunner().invoke(command, VERBS[verb], standalone_mode=False)
        if verb == "doctor":
            assert done.return_value == 1
            lines = [line for line in done.stdout.splitlines() if line.startswith("wrong Postgres")]
            return "\n".join(lines)
        assert isinstance(done.exception, WarehouseError), done.exception
        return str(done.exception)

    yield said
    monkeypatch.undo()
    again(monkeypatch)


@contextmanager
def pooler(server: PostgresServer, mode: str, ignored: str) -> Iterator[int]:
    """PgBouncer before the server; answers its port."""
    (program,) = need("pgbouncer")
    folder, port, account = scratch_folder(), free_port(), server.cluster.account
    password = server.passwords["postgres"].get_secret_value()
    (folder / "users").write_text(f'"postgres" "{password}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = plain\nauth_file = {folder / 'users'}\npool_mode = {mode}\n"
        f"ignore_startup_parameters = {ignored}\n"
    )
    switch: dict[str, Any] = (
        {} if account.is_us else {"user": account.uid, "group": account.gid, "extra_groups": []}
    )
    process = subprocess.Popen(
        [program, "--quiet", str(folder / "pgbouncer.ini")], stderr=subprocess.DEVNULL, **switch
    )
    try:
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            with suppress(psycopg.Error):
                psycopg.connect(url_of(server, "postgres", port=str(port))).close()
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


class TestServers:
    """Each fault is one sentence with a way out, in ``doctor``, ``migrate`` and a load."""

    @pytest.mark.parametrize("mode", ["session", "transaction"])
    @pytest.mark.parametrize("ignored", ["options", "extra_float_digits"])
    def test_a_pooler_between(
        self,
        german: PostgresServer,
        made: Callable[[str], str],
        told: Callable[[str, str], str],
        mode: str,
        ignored: str,
    ) -> None:
        name = made("ENCODING 'UTF8' TEMPLATE template0")
        with pooler(german, mode, ignored) as port:
            for verb in VERBS:
                said = told(verb, url_of(german, name, port=str(port)))
                assert "a connection pooler answers there" in said
                assert said.count("Way out: ") == 1

    def test_a_standby(
        self,
        german: PostgresServer,
        made: Callable[[str], str],
        told: Callable[[str, str], str],
    ) -> None:
        name = made("ENCODING 'UTF8' TEMPLATE template0")
        migrate(Warehouse.from_url(url_of(german, name)))
        with standby(german) as port:
            for verb in VERBS:
                said = told(verb, url_of(german, name, port=str(port)))
                assert "is a standby: it takes no writes" in said
                assert said.count("Way out: ") == 1

    def test_a_statement_that_a_standby_refuses(
        self, german: PostgresServer, made: Callable[[str], str]
    ) -> None:
        name = made("ENCODING 'UTF8' TEMPLATE template0")
        with (
            pytest.raises(TryLater, match="takes no writes: it is a standby") as caught,
            safe_errors("loading"),
            german.on(name).connect_admin() as connection,
        ):
            connection.execute("SET transaction_read_only = on; CREATE TABLE x (x integer)")
        assert caught.value.hint

    def test_a_full_disk(self, german: PostgresServer, told: Callable[[str, str], str]) -> None:
        with small_disk(german) as disk, german.on("postgres").connect_admin() as admin:
            admin.execute(f"CREATE TABLESPACE small LOCATION '{disk / 'space'}'".encode())
            for name in ("filled", "bare", "unopened"):
                utf8 = "ENCODING 'UTF8' TEMPLATE template0"
                admin.execute(f"CREATE DATABASE {name} {utf8} TABLESPACE small".encode())
            migrate(Warehouse.from_url(url_of(german, "filled")))
            german.on("bare").connect_admin().close()
            ballast = disk / "ballast"
            with suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            try:
                full = "SQLSTATE 53100 disk_full (the disk of Postgres is full)"
                for verb, name, what in (
                    ("doctor", "filled", full),
                    ("migrate", "bare", full),
                    # The first session of a database writes a file, or does not begin.
                    ("migrate", "unopened", "cannot begin a session, its disk may be full"),
                ):
                    said = told(verb, url_of(german, name))
                    assert what in said
                    assert said.count("Way out: ") == 1
            finally:
                ballast.unlink()
                for name in ("filled", "filled_dagster", "bare", "bare_dagster", "unopened"):
                    admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
                admin.execute("DROP TABLESPACE small")


@contextmanager
def standby(server: PostgresServer) -> Iterator[int]:
    """A real one, which follows the server; answers its port."""
    folder, port = scratch_folder(), free_port()
    os.chown(folder, server.cluster.account.uid, server.cluster.account.gid)
    data = folder / "data"
    password = server.passwords["postgres"].get_secret_value()
    run_as_server(
        server,
        *("pg_basebackup", "--checkpoint=fast", "--write-recovery-conf", "--wal-method=stream"),
        *("--host=127.0.0.1", f"--port={server.port}", "--username=postgres"),
        f"--pgdata={data}",
        PGPASSWORD=password,
    )
    control = (f"--pgdata={data}", "--silent")
    run_as_server(
        server,
        *("pg_ctl", "start", "--wait", *control, f"--log={folder / 'log'}"),
        f"--options=-c port={port}",
        LC_ALL="C",
    )
    try:
        yield port
    finally:
        run_as_server(server, "pg_ctl", "stop", "--mode=immediate", *control)
        shutil.rmtree(folder)


@contextmanager
def small_disk(server: PostgresServer) -> Iterator[Path]:
    """A file system of 60 MB, with a folder ``space`` for the server."""
    disk = scratch_folder()
    options = ["-o", "size=60m,mode=711", "tmpfs", str(disk)]
    mounted = subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True, check=False)
    if mounted.returncode:
        disk.rmdir()
        pytest.skip("mounting a small file system takes root")
    try:
        space = disk / "space"
        space.mkdir(mode=0o700)
        os.chown(space, server.cluster.account.uid, server.cluster.account.gid)
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)
        disk.rmdir()
