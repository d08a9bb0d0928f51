"""``warehouse migrate`` killed at random instants, over rows: the next one ends where it would have ended.

What a kill leaves is an earlier schema, whole: of a new database some files applied, the next one not at all;
of a warehouse from before the baseline (``tests/upgrade/earlier``) either that or the baseline.
"""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from random import Random
from typing import Any

import pytest
from psycopg import sql

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import migrate, pending
from dagster_project.warehouse.schema.migration_files import read_files
from dagster_project.warehouse.server.cluster import bundled_binaries
from tests.conftest import PostgresServer
from tests.scenarios.crash.scene import PATIENCE, Scene
from tests.scenarios.crash.warm import Warm, at_seconds, at_step
from tests.upgrade.rows import census, columns_of
from tests.upgrade.snapshot import EARLIER, environment, restore_in_place
from tests.upgrade.test_upgrades import MASKED_ANEW, counted_days

A_FEW, MANY = 5, 60
BUSY = (
    "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    " AND (datname = %s OR application_name IN ('warehouse:admin', 'warehouse:migrate'))"
)


class Migrations:
    """A warehouse of an earlier schema, of which each kill gets a copy; and what a migration makes of it."""

    def __init__(self, server: PostgresServer, layer: str) -> None:
        assert server.template
        self.server = server
        self.earlier = server.on(f"crash_earlier_{layer}")
        self.before = f"upgrade_from_{layer}"
        self._numbers = count(1)
        restore_in_place(server, self.earlier, EARLIER / f"{layer}.sql.gz")
        self.columns = columns_of(self.earlier)
        self.columns[MASKED_ANEW[0]].remove(MASKED_ANEW[1])
        del self.columns["mart.stale"]  # all days are to be counted once more
        self.rows = census(self.earlier, self.columns)
        files = read_files(server.sql)
        self.names = [str(file) for file in (*files.migrations, *files.definitions)]
        self.numbered = [str(file) for file in files.migrations]
        whole = self.copy()
        began = time.monotonic()
        migrate(whole, folder=server.sql)
        self.seconds = time.monotonic() - began
        self.schema = schema_of(server, whole)
        self.schema_from_nothing = schema_of(server, server.template)
        server.drop(whole)

    def copy(self) -> Warehouse:
        warehouse = self.nowhere()
        with self.server.template.connect_admin(database="postgres") as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(warehouse.database), sql.Identifier(self.earlier.database)
                )
            )
        return warehouse

    def nowhere(self) -> Warehouse:
        """A database that does not exist yet."""
        return self.server.on(f"crash_migrated_{next(self._numbers)}")

    def waiting(self, warehouse: Warehouse) -> list[str]:
        """What is not applied: the upgrade, or numbered files from one on, and functions and views."""
        waiting = pending(warehouse, self.server.sql)
        if waiting == [self.before]:
            return waiting
        numbered = [name for name in waiting if name in self.numbered]
        assert numbered == self.numbered[len(self.numbered) - len(numbered) :]
        assert waiting == [name for name in self.names if name in waiting]
        return waiting

    def wait_until_gone(self, warehouse: Warehouse) -> None:
        give_up = time.monotonic() + PATIENCE
        with self.server.template.connect_admin(database="postgres", what="scene") as connection:
            while connection.execute(BUSY.encode(), (warehouse.database,)).fetchone() != (0,):
                assert time.monotonic() < give_up, "a dead process is still connected"
                time.sleep(0.01)

    def kill(self, warm: Warm, warehouse: Warehouse, instant: Mapping[str, float]) -> str:
        """How far a killed migration has come; nothing of it is under way any more."""
        ended = warm.begin("migrate", warehouse, self.server.sql, env={}, instant=instant)
        if ended is None:
            warm.kill()
        self.wait_until_gone(warehouse)
        waiting = self.waiting(warehouse)
        if exists(self.server, warehouse):
            scene = Scene(warehouse)
            scene.assert_nothing_is_left()
            scene.close()
        return (
            "at the end" if ended is not None else f"before {waiting[0] if waiting else 'the end'}"
        )

    def close(self) -> None:
        self.server.drop(self.earlier)


def exists(server: PostgresServer, warehouse: Warehouse) -> bool:
    with server.template.connect_admin(database="postgres") as connection:
        found = connection.execute(
            "SELECT FROM pg_database WHERE datname = %s", (warehouse.database,)
        )
        return found.fetchone() is not None


def schema_of(server: PostgresServer, warehouse: Warehouse) -> tuple[Any, list[str]]:
    """The database's privileges, and all of its objects with theirs, as pg_dump writes them."""
    dump = subprocess.run(
        [str(bundled_binaries() / "pg_dump"), "--schema-only", warehouse.database],
        env=environment(server),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    with warehouse.connect_admin() as connection:
        privileges = connection.execute(
            "SELECT datacl::text FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    random_lines = ("\\restrict", "\\unrestrict")
    return privileges, [line for line in dump.splitlines() if not line.startswith(random_lines)]


@pytest.fixture(params=["0038", "0047"])
def migrations(server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[Migrations]:
    made = Migrations(server, request.param)
    yield made
    made.close()


def play(migrations: Migrations, warm: Warm, kills: int, seed: int) -> None:
    draw = Random(f"migrations {seed}")
    server, places = migrations.server, Counter[str]()
    for number in range(kills):
        from_nothing = number % 5 == 4
        warehouse = migrations.nowhere() if from_nothing else migrations.copy()
        try:
            for _ in range(2):
                instant = (
                    at_seconds(draw.uniform(0, migrations.seconds))
                    if draw.random() < 0.7
                    else at_step(draw.randint(1, 60), draw.uniform(0, 0.02))
                )
                places[migrations.kill(warm, warehouse, instant)] += 1
                if not from_nothing:
                    assert census(warehouse, migrations.columns) == migrations.rows
            migrate(warehouse, folder=server.sql)
            assert migrations.waiting(warehouse) == []
            schema = migrations.schema_from_nothing if from_nothing else migrations.schema
            assert schema_of(server, warehouse) == schema
            if not from_nothing:
                assert census(warehouse, migrations.columns) == migrations.rows
                assert counted_days(warehouse) > 0
            assert migrate(warehouse, folder=server.sql) == []
        finally:
            server.drop(warehouse)
    print(f"CRASH_SEED={seed} warehouse migrate: {dict(sorted(places.items()))}")


@pytest.mark.both_servers
def test_a_killed_migration_leaves_an_earlier_schema_with_its_rows_and_the_next_one_ends_it(
    migrations: Migrations, warm: Warm, seed: int
) -> None:
    play(migrations, warm, A_FEW, seed)


@pytest.mark.soak
@pytest.mark.both_servers
def test_migrations_killed_many_times(migrations: Migrations, warm: Warm, seed: int) -> None:
    play(migrations, warm, MANY, seed)
