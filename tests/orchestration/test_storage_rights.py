"""A login that lacks a right in Dagster's storage is told which, on which database, before anything begins."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql
from pydantic import SecretStr

from dagster_project.errors import SettingsError
from dagster_project.orchestration.storage import check_storage, make_storage
from dagster_project.orchestration.storage_rights import TABLES, missing_tables
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.postgres_url import write_url
from tests.conftest import PostgresServer
from tests.support.operating import environment

PROGRAM = str(Path(sys.executable).with_name("warehouse"))
LOGIN = "storage_reader"
PASSWORD = "hZ7-storage-reader-0x5b"
ALL = (
    "GRANT USAGE, CREATE ON SCHEMA public TO storage_reader",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO storage_reader",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO storage_reader",
)


class Storage:
    """Dagster's storage, and a login that has only the rights that a test gives it."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.database = warehouse.dagster_database
        place = {name: warehouse.place[name] for name in ("host", "port")}
        self.url = write_url("postgresql+psycopg2", place, LOGIN, PASSWORD, self.database)
        self.by_login = replace(warehouse, dagster=SecretStr(self.url))

    def give(self, *statements: str) -> None:
        with self.warehouse.connect_admin(database=self.database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def refusal(self) -> SettingsError:
        with self.by_login.storage.connect() as connection, pytest.raises(SettingsError) as refused:
            check_storage(connection)
        return refused.value


@pytest.fixture
def storage(server: PostgresServer) -> Iterator[Storage]:
    warehouse = server.fresh()
    server.add_dagster(warehouse)
    found = Storage(warehouse)
    found.give(f"CREATE ROLE {LOGIN} LOGIN PASSWORD '{PASSWORD}'")
    found.give(f'GRANT CONNECT ON DATABASE "{found.database}" TO {LOGIN}')
    found.give("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    yield found
    server.drop(warehouse)
    with server.on("postgres").connect_admin() as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(LOGIN)))


@pytest.mark.both_servers
def test_each_right_that_lacks_is_named_with_database_login_and_the_grant(storage: Storage) -> None:
    lacking: dict[str, str] = {}
    for statement in ALL:
        what = storage.refusal()
        lacking[statement] = what.what
        assert LOGIN in what.what
        assert storage.database in what.what
        assert statement.split(" TO ")[0] in str(what), "the way out holds what is lacking"
        storage.give(statement)
    assert "USAGE on schema public" in lacking[ALL[0]]
    assert "SELECT, INSERT, UPDATE, DELETE on asset_check_executions" in lacking[ALL[1]]
    assert "USAGE on " in lacking[ALL[2]]
    assert "_seq" in lacking[ALL[2]]
    with storage.by_login.storage.connect() as connection:
        check_storage(connection)


@pytest.mark.parametrize("right", ["INSERT", "UPDATE", "DELETE"])
def test_one_table_that_may_only_be_read_is_enough(storage: Storage, right: str) -> None:
    storage.give(*ALL, f"REVOKE {right} ON event_logs FROM {LOGIN}")
    assert f": {right} on event_logs." in storage.refusal().what


def test_a_program_that_makes_tables_of_its_own_needs_create(storage: Storage) -> None:
    storage.give(*ALL, f"REVOKE CREATE ON SCHEMA public FROM {LOGIN}")
    with storage.by_login.storage.connect() as connection:
        check_storage(connection)
        with pytest.raises(SettingsError, match="CREATE on schema public, for celery_taskmeta"):
            check_storage(connection, ["celery_taskmeta"])
    storage.give("CREATE TABLE celery_taskmeta (id integer)")
    with storage.by_login.storage.connect() as connection:
        check_storage(connection, ["celery_taskmeta"])


def test_a_table_that_is_missing_is_named_and_migrate_makes_it(storage: Storage) -> None:
    storage.give(*ALL, "DROP TABLE job_ticks")
    refused = storage.refusal()
    assert "1 table (job_ticks)" in refused.what
    assert "`warehouse migrate`" in str(refused)
    make_storage(storage.warehouse)
    with storage.warehouse.storage.connect() as connection:
        assert missing_tables(connection) == []
        check_storage(connection)


class TestMigrate:
    def test_a_login_that_may_make_no_tables_is_told_so(self, storage: Storage) -> None:
        storage.give(*ALL, *(f"DROP TABLE {name} CASCADE" for name in dict.fromkeys(TABLES)))
        storage.give(f"REVOKE CREATE ON SCHEMA public FROM {LOGIN}")
        with pytest.raises(SettingsError, match=rf"{LOGIN} lacks .* CREATE on schema public"):
            make_storage(storage.by_login)

    def test_a_login_that_does_not_own_the_tables_is_told_whose_they_are(
        self, storage: Storage
    ) -> None:
        storage.give(*ALL, "DROP TABLE job_ticks")
        with pytest.raises(SettingsError, match="belongs to warehouse_dagster"):
            make_storage(storage.by_login)


def test_commands_and_doctor_say_it_in_one_sentence(storage: Storage, scratch: Path) -> None:
    storage.give(ALL[0], f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {LOGIN}")
    given = environment(storage.warehouse, scratch, DAGSTER_URL=storage.url, TRUST_COMPANY_IDS="1")
    given |= {"TRUST_CLIENT_ID": "x", "TRUST_CLIENT_SECRET": "x"}
    given |= {"TRUST_BASE_URL": "http://127.0.0.1:1"}
    for arguments in (
        ("exec", "--", "true"),
        ("backfill", "--source", "trust", "--from", "2024-04-01", "--to", "2024-04-01"),
        ("doctor",),
    ):
        done = subprocess.run(
            [PROGRAM, *arguments],
            env={**os.environ, **given},
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == (1 if arguments == ("doctor",) else 2), said
        [line] = [line for line in said.splitlines() if "lacks a right" in line]
        assert f"login {LOGIN}" in line
        assert "INSERT, UPDATE, DELETE on " in line
        assert f'TO "{LOGIN}"' in line
        assert "Traceback" not in said
        assert "too many retries" not in said
        assert PASSWORD not in said


def test_without_dagster_url_a_login_that_may_not_in_is_told_to_set_it(
    storage: Storage,
) -> None:
    place = {name: storage.warehouse.place[name] for name in ("host", "port")}
    app = storage.warehouse.pipeline
    url = write_url("postgresql", place, app.user, app.secret, storage.warehouse.database)
    with pytest.raises(SettingsError) as refused:
        Warehouse.from_url(url).storage.connect()
    assert "DAGSTER_URL is not set" in refused.value.what
    assert storage.database in refused.value.what
    assert "name Dagster's own database and login in DAGSTER_URL" in str(refused.value)
    storage.give(f'REVOKE CONNECT ON DATABASE "{storage.database}" FROM {LOGIN}')
    with pytest.raises(SettingsError, match=r"lacks the right CONNECT.*GRANT CONNECT ON DATABASE"):
        storage.by_login.storage.connect()
