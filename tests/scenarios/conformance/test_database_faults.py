"""The database goes away in the middle of a load, at its COPY or for good: old rows whole, or true.

Where a load is hit is told by the answer that is about to become rows. A full disk is both played
(a trigger that raises what Postgres raises, for every feed) and real (a tablespace on a small tmpfs).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dagster_project.errors import TryLater
from dagster_project.feeds import FEEDS
from dagster_project.model.batch import Batch, RowEncoder
from dagster_project.model.response import Response
from dagster_project.model.window import Window
from dagster_project.sandbox.server import Sandbox
from dagster_project.warehouse.server.cluster import bundled_binaries
from tests.conftest import PostgresServer, scratch_folder
from tests.scenarios.conformance.rig import Rig

pytestmark = pytest.mark.long

DISK_IS_FULL = """
    CREATE FUNCTION public.disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'could not extend file: No space left on device (row %)', NEW
            USING ERRCODE = 'disk_full';
    END $$;
    CREATE TRIGGER disk_is_full BEFORE INSERT OR UPDATE ON warehouse.{table}
        FOR EACH ROW EXECUTE FUNCTION public.disk_is_full();
"""


@pytest.fixture(scope="module")
def mortal_server() -> Iterator[PostgresServer]:
    """A server that may be stopped without anybody else minding."""
    server = PostgresServer("18", bundled_binaries(), scratch_folder())
    yield server
    server.close()


@pytest.fixture
def mortal_rig(rig: Rig, mortal_server: PostgresServer, played_world: Sandbox) -> Iterator[Rig]:
    """The rig's feed over a warehouse on the mortal server."""
    [feed] = [feed for feed in FEEDS if feed.source == rig.feed.source]
    mortal = Rig(feed, played_world, mortal_server.fresh())
    yield mortal
    mortal_server.drop(mortal.warehouse)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
@pytest.mark.parametrize("answer", [1, 2])
def test_the_server_restarts_in_the_middle_of_a_load(
    mortal_rig: Rig, mortal_server: PostgresServer, answer: int, mode: str
) -> None:
    def restart() -> None:
        mortal_server.cluster.stop(mode)
        mortal_server.cluster.start(mortal_server.port)

    with mortal_rig.trial() as old:
        done = mortal_rig.refresh(mortal_rig.before_batch(answer, restart))
        mortal_rig.check_outcome(done, old, knows_commits=False)
        assert done.problems
        assert all(isinstance(problem, TryLater) for problem in done.problems)
    mortal_rig.heals()


@pytest.mark.parametrize("lost", ["load", "ledger", "months", "%"])
def test_a_connection_is_lost_at_the_copy(rig: Rig, lost: str) -> None:
    """Rows of one answer stand in the COPY already, or are about to."""
    for answer in (1, 2, 3):
        with rig.trial() as old:
            done = rig.refresh(rig.before_batch(answer, lambda: end_backends(rig, lost)))
            rig.check_outcome(done, old, knows_commits=False)
            assert all(isinstance(problem, TryLater) for problem in done.problems)
            assert done.problems or lost in ("months", "ledger"), "a lost load was not noticed"
    rig.heals()


def end_backends(rig: Rig, what: str) -> None:
    with rig.warehouse.connect_admin(what="test") as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE %s"
            " AND pid <> pg_backend_pid()",
            (f"warehouse:{what}",),
        )


def test_the_disk_is_full_at_the_copy(rig: Rig) -> None:
    with rig.trial() as old:
        with rig.warehouse.connect_admin(what="test") as connection:
            connection.execute(DISK_IS_FULL.format(table=rig.feed.table.name).encode())
        try:
            done = rig.refresh()
            rig.check_outcome(done, old)
        finally:
            with rig.warehouse.connect_admin(what="test") as connection:
                connection.execute("DROP FUNCTION public.disk_is_full() CASCADE")
        assert done.problems
        assert all("SQLSTATE 53100 disk_full" in str(problem) for problem in done.problems)
    rig.heals()


@pytest.fixture
def server_with_small_disk() -> Iterator[tuple[PostgresServer, Path]]:
    """A server, and a folder of its own on a file system of 8 MB."""
    disk = scratch_folder()
    options = ["-o", "size=8m,mode=711", "tmpfs", str(disk)]
    mounted = subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True, check=False)
    if mounted.returncode:
        disk.rmdir()
        pytest.skip("mounting a small file system takes root")
    server = PostgresServer("18", bundled_binaries(), scratch_folder())
    try:
        space = disk / "space"
        space.mkdir(mode=0o700)
        os.chown(space, server.cluster.account.uid, server.cluster.account.gid)
        yield server, space
    finally:
        server.close()
        subprocess.run(["umount", str(disk)], check=True)
        disk.rmdir()


def test_a_disk_that_is_really_full(
    server_with_small_disk: tuple[PostgresServer, Path], played_world: Sandbox
) -> None:
    server, space = server_with_small_disk
    [feed] = [feed for feed in FEEDS if feed.source == "calltouch"]
    rig = Rig(feed, played_world, server.fresh())
    with rig.trial() as old, rig.warehouse.connect_admin(what="test") as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'".encode())
        for (partition,) in partitions(connection, rig.feed.table.name):
            connection.execute(f"ALTER TABLE {partition} SET TABLESPACE small".encode())
        connection.execute("CREATE TABLE public.ballast (x text) TABLESPACE small")
        connection.execute("ALTER TABLE public.ballast ALTER x SET STORAGE PLAIN")
        fill(connection)
        done = rig.refresh(many_rows(rig))
        rig.check_outcome(done, old)
        assert done.problems
        assert all("SQLSTATE 53100 disk_full" in str(problem) for problem in done.problems)
        assert all("the disk of Postgres is full" in problem.what for problem in done.problems)
        connection.execute("DROP TABLE public.ballast")
        rig.heals()


def partitions(connection: psycopg.Connection[Any], table: str) -> list[tuple[str]]:
    return connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
        (f"warehouse.{table}",),
    ).fetchall()


def fill(connection: psycopg.Connection[Any]) -> None:
    """Write until the disk takes no more."""
    for size in (7_000, 700):
        with pytest.raises(psycopg.errors.DiskFull):
            write_for_ever(connection, size)


def write_for_ever(connection: psycopg.Connection[Any], size: int) -> None:
    while True:
        connection.execute("INSERT INTO public.ballast VALUES (repeat('x', %s))", (size,))


def many_rows(rig: Rig) -> Any:
    """The feed, each of its rows a hundred times: more than fits into half-empty pages."""

    def encode(encoder: RowEncoder, response: Response, window: Window) -> Batch:
        batch = encoder(response, window)
        for name in ("days", "hashes"):
            setattr(batch, name, getattr(batch, name).repeat(100))
        batch.keys = b"".join(
            batch.keys[at : at + 16] * 100 for at in range(0, len(batch.keys), 16)
        )
        batch.records = [record for record in batch.records for _ in range(100)]
        batch.observed = [flag for flag in batch.observed or [] for _ in range(100)] or None
        return batch

    return replace(
        rig.feed, row_encoder=lambda secret: partial(encode, rig.feed.row_encoder(secret))
    )
