"""Dagster's storage is made and upgraded by ``warehouse migrate`` alone, whoever comes first."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from dagster._core.storage.sql import run_alembic_downgrade
from dagster_postgres import storage as dagster_module
from dagster_postgres.utils import pg_alembic_config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from dagster_project.errors import SettingsError
from dagster_project.orchestration.instance import opened_instance
from dagster_project.orchestration.storage import check_storage, make_storage
from dagster_project.pipeline import services
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import migrate
from dagster_project.warehouse.server.embedded import stop
from tests.conftest import PostgresServer
from tests.support.operating import calltouch_alone, environment

PROGRAM = str(Path(sys.executable).with_name("warehouse"))
AT_ONCE = 4
OWNERS = """
SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
WHERE relnamespace = 'public'::regnamespace
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock=datetime.now(UTC)) as running:
        yield running


@pytest.fixture
def database(server: PostgresServer) -> Iterator[Callable[[], Warehouse]]:
    """Makes warehouses with a schema and no storage of Dagster's, as on a server of somebody else."""
    made: list[Warehouse] = []

    def make() -> Warehouse:
        made.append(server.fresh())
        return Warehouse.from_url(environment(made[-1], Path("/"))["WAREHOUSE_URL"])

    yield make
    for warehouse in made:
        server.drop(warehouse)


def ask(warehouse: Warehouse, query: str) -> list[Any]:
    with warehouse.connect_admin(database=warehouse.dagster_database) as connection:
        return [row[0] for row in connection.execute(query.encode())]


def first_start(url: str) -> int:
    """What the first command on a new server does, in a process of its own."""
    warehouse = Warehouse.from_url(url)
    migrate(warehouse, storage=make_storage)
    with opened_instance(services.settings(), warehouse) as instance:
        instance.run_storage.get_run_storage_id()
        instance.add_dynamic_partitions("processes", [str(os.getpid())])
    return os.getpid()


def test_several_that_begin_at_once_make_it_once_for_one_owner(
    database: Callable[[], Warehouse], scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(scratch))
    monkeypatch.setenv("WAREHOUSE_HOME", str(scratch))
    # Forked from a process that has imported Dagster once, and does nothing else.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    with processes.Pool(AT_ONCE) as pool:
        for _ in range(5):
            warehouse = database()
            url = environment(warehouse, scratch)["WAREHOUSE_URL"]
            beginners = set(pool.map(first_start, [url] * AT_ONCE, chunksize=1))
            assert ask(warehouse, OWNERS) == ["warehouse_dagster"]
            assert len(ask(warehouse, "SELECT run_storage_id FROM instance_info")) == 1
            known = ask(warehouse, "SELECT partition FROM dynamic_partitions")
            assert set(known) == {str(process) for process in beginners}


def test_four_backfills_at_once_on_a_fresh_home(
    sandbox: Sandbox, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = scratch / "home"
    for name in ("WAREHOUSE_URL", "DAGSTER_URL", "DAGSTER_HOME", "PII_HASH_KEY"):
        monkeypatch.delenv(name, raising=False)
    given = {**calltouch_alone(sandbox), "WAREHOUSE_HOME": str(home)}
    days = [str(date(2024, 4, day)) for day in range(1, AT_ONCE + 1)]
    try:
        processes = [
            subprocess.Popen(
                [PROGRAM, "backfill", "--from", day, "--to", day],
                env={**os.environ, **given},
                cwd=scratch,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for day in days
        ]
        for process in processes:
            said = process.communicate()[0]
            assert process.returncode == 0, said[-3000:]
            assert "Traceback" not in said
    finally:
        stop(home)


class TestStates:
    def test_without_it_a_sentence_names_migrate(
        self, database: Callable[[], Warehouse], scratch: Path
    ) -> None:
        warehouse = database()
        migrate(warehouse)
        given = environment(warehouse, scratch)
        for arguments in (
            ("exec", "--", "true"),
            ("backfill", "--source", "trust", "--from", "2024-04-01", "--to", "2024-04-01"),
        ):
            done = subprocess.run(
                [PROGRAM, *arguments],
                env={**os.environ, **given, "TRUST_CLIENT_ID": "x", "TRUST_CLIENT_SECRET": "x"}
                | {"TRUST_COMPANY_IDS": "1", "TRUST_BASE_URL": "http://127.0.0.1:1"},
                cwd=scratch,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 2, done.stderr
            [line] = [line for line in done.stderr.splitlines() if line.startswith("warehouse:")]
            assert "is not made yet. Way out: run `warehouse migrate`." in line
            assert "Traceback" not in done.stderr
        assert ask(warehouse, OWNERS) == [], "nothing but migrate makes any of it"

    def test_tables_that_somebody_else_made_get_the_right_owner(
        self, database: Callable[[], Warehouse]
    ) -> None:
        warehouse = database()
        migrate(warehouse, storage=make_storage)
        with warehouse.connect_admin(database=warehouse.dagster_database) as connection:
            connection.execute("ALTER TABLE runs OWNER TO postgres")
            connection.execute("ALTER TABLE alembic_version OWNER TO postgres")
        make_storage(warehouse)
        assert ask(warehouse, OWNERS) == ["warehouse_dagster"]

    def test_what_was_killed_half_way_is_ended(self, database: Callable[[], Warehouse]) -> None:
        warehouse = database()
        migrate(warehouse, storage=make_storage)
        with warehouse.connect_admin(database=warehouse.dagster_database) as connection:
            connection.execute("DROP TABLE job_ticks, asset_keys, instance_info")
            connection.execute("COMMENT ON TABLE alembic_version IS NULL")
        make_storage(warehouse)
        tables = ask(warehouse, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert {"job_ticks", "asset_keys", "instance_info", "runs"} <= set(tables)

    def test_an_older_dagsters_is_refused_until_migrate_has_upgraded_it(
        self, database: Callable[[], Warehouse]
    ) -> None:
        warehouse = database()
        migrate(warehouse, storage=make_storage)
        [head] = ask(warehouse, "SELECT version_num FROM alembic_version")
        engine = create_engine(warehouse.storage.url(), poolclass=NullPool)
        with engine.begin() as connection:
            config = pg_alembic_config(dagster_module.__file__)
            run_alembic_downgrade(config, connection, rev="16e3655b4d9b")
        with warehouse.connect_admin(database=warehouse.dagster_database) as connection:
            connection.execute("COMMENT ON TABLE alembic_version IS 'for Dagster 1.8'")
            with pytest.raises(SettingsError, match=r"of another version than Dagster.*migrate"):
                check_storage(connection)
        make_storage(warehouse)
        assert ask(warehouse, "SELECT version_num FROM alembic_version") == [head]
        ask(warehouse, "SELECT using_default_limit FROM concurrency_limits")
        with warehouse.storage.connect() as connection:
            check_storage(connection)

    def test_a_login_that_may_not_use_it_is_told_whose_it_is(
        self, database: Callable[[], Warehouse]
    ) -> None:
        warehouse = database()
        migrate(warehouse, storage=make_storage)
        with warehouse.connect_admin(database=warehouse.dagster_database) as connection:
            connection.execute("SET ROLE warehouse_bi")
            with pytest.raises(SettingsError, match="belongs to warehouse_dagster, and"):
                check_storage(connection)
