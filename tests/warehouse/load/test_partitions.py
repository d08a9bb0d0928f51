"""``ops.ensure_month``: a month comes to be without making readers or loaders wait, once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from dagster_project.warehouse.connection import Warehouse

Connection = psycopg.Connection[Any]
PARENT = "warehouse.measure"
PARTITION = "warehouse.measure_2024_02"
ENSURE = "SELECT ops.ensure_month('warehouse.measure', %s)::text"

REFUSALS = (pg.WrongObjectType, pg.InvalidObjectDefinition, pg.InsufficientPrivilege)

pytestmark = pytest.mark.both_servers


@pytest.fixture
def loader(warehouse: Warehouse) -> Iterator[Connection]:
    """A loader's session, beside a table with the month of January 2024."""
    with warehouse.connect_admin() as admin:
        admin.execute(
            "SET ROLE warehouse_owner;"
            " CREATE TABLE warehouse.measure (day date NOT NULL, account text NOT NULL CHECK (account <> ''),"
            " n bigint DEFAULT 7, id bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (day, account))"
            " PARTITION BY RANGE (day);"
            " CREATE INDEX measure_by_n ON warehouse.measure (n);"
            " COMMENT ON COLUMN warehouse.measure.n IS 'How many.';"
            " GRANT SELECT, INSERT, UPDATE, DELETE ON warehouse.measure TO warehouse_loader;"
            " INSERT INTO ops.partition_storage VALUES ('warehouse.measure', 'fillfactor = 90');"
        )
    with warehouse.connect(autocommit=True, lock_timeout=2) as connection:
        connection.execute(ENSURE, ("2024-01-31",))
        yield connection


def test_a_month_is_a_whole_partition(loader: Connection) -> None:
    assert loader.execute(ENSURE, ("2024-02-29",)).fetchone() == (PARTITION,)

    bound, storage, owner = _row(
        loader,
        "SELECT pg_get_expr(relpartbound, oid), reloptions, pg_get_userbyid(relowner)"
        " FROM pg_class WHERE oid = %s::regclass",
    )
    assert bound == "FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')"
    assert (storage, owner) == (["fillfactor=90"], "warehouse_owner")
    assert _row(loader, "SELECT obj_description(%s::regclass, 'pg_class')") == (
        "2024-02 of warehouse.measure.",
    )
    attached = "SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass AND indisvalid AND EXISTS (SELECT FROM pg_inherits WHERE inhrelid = indexrelid)"
    assert _row(loader, attached) == (2,)
    assert loader.execute(
        "INSERT INTO warehouse.measure (day, account) VALUES ('2024-02-29', 'a') RETURNING tableoid::regclass::text, n, id"
    ).fetchone() == (PARTITION, 7, 1)
    with pytest.raises(pg.CheckViolation):
        loader.execute("INSERT INTO warehouse.measure (day, account) VALUES ('2024-02-29', '')")


def test_asked_for_again_it_is_the_same_and_takes_no_lock(
    loader: Connection, warehouse: Warehouse
) -> None:
    with warehouse.connect_admin(autocommit=False) as holder:
        holder.execute(f"LOCK TABLE {PARENT} IN SHARE UPDATE EXCLUSIVE MODE".encode())
        loader.execute("SET lock_timeout = '100ms'")
        assert loader.execute(ENSURE, ("2024-01-01",)).fetchone() == ("warehouse.measure_2024_01",)


def test_readers_and_loaders_neither_wait_nor_are_waited_for(
    loader: Connection, warehouse: Warehouse
) -> None:
    count = f"SELECT count(*) FROM {PARENT}".encode()
    with (
        warehouse.connect() as long_reader,
        warehouse.connect() as loading,
        warehouse.connect(lock_timeout=2) as maker,
        warehouse.connect(lock_timeout=2) as newcomer,
    ):
        long_reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        long_reader.execute(count)
        loading.execute("INSERT INTO warehouse.measure VALUES ('2024-01-01', 'a')")

        maker.execute(ENSURE, ("2024-02-01",))

        assert newcomer.execute(count).fetchone() == (0,)
        newcomer.execute("INSERT INTO warehouse.measure VALUES ('2024-01-01', 'b')")
        maker.commit()
        loading.execute("INSERT INTO warehouse.measure VALUES ('2024-02-01', 'a')")
        loading.commit()
        assert long_reader.execute(count).fetchone() == (0,)


@pytest.mark.parametrize("first_one_ends_with", ["commit", "rollback"])
def test_two_that_make_the_same_month_make_it_once(
    loader: Connection, warehouse: Warehouse, first_one_ends_with: str
) -> None:
    answers: list[Any] = []

    def make_too() -> None:
        with warehouse.connect(autocommit=True) as second:
            answers.append(second.execute(ENSURE, ("2024-02-01",)).fetchone())

    with warehouse.connect() as first:
        first.execute(ENSURE, ("2024-02-01",))
        thread = threading.Thread(target=make_too)
        thread.start()
        _wait_for_waiter(loader)
        getattr(first, first_one_ends_with)()
        thread.join()

    assert answers == [(PARTITION,)]
    assert _row(loader, "SELECT relispartition FROM pg_class WHERE oid = %s::regclass") == (True,)


def test_two_that_make_it_in_frozen_snapshots_make_it_once(
    loader: Connection, warehouse: Warehouse
) -> None:
    with warehouse.connect() as late:
        late.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        late.execute(f"SELECT count(*) FROM {PARENT}".encode())
        loader.execute(ENSURE, ("2024-02-01",))

        assert late.execute(ENSURE, ("2024-02-01",)).fetchone() == (PARTITION,)


@pytest.mark.parametrize(("day", "name"), [("0001-01-05", "0001_01"), ("9999-12-31", "9999_12")])
def test_the_ends_of_time_have_months(loader: Connection, day: str, name: str) -> None:
    assert loader.execute(ENSURE, (day,)).fetchone() == (f"warehouse.measure_{name}",)


def test_months_of_instants_begin_at_midnight_utc_wherever_the_session_is(
    loader: Connection, warehouse: Warehouse
) -> None:
    with warehouse.connect_admin() as admin:
        admin.execute(
            "SET ROLE warehouse_owner; CREATE TABLE ops.event (at timestamptz) PARTITION BY RANGE (at)"
        )
    loader.execute("SET timezone = 'America/Santiago'")
    loader.execute("SELECT ops.ensure_month('ops.event', '2024-02-10')")
    loader.execute("SET timezone = 'UTC'")

    query = "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'event_2024_02'"
    assert loader.execute(query).fetchone() == (
        "FOR VALUES FROM ('2024-02-01 00:00:00+00') TO ('2024-03-01 00:00:00+00')",
    )


def test_a_name_that_is_taken_is_an_error(loader: Connection, warehouse: Warehouse) -> None:
    with warehouse.connect_admin() as admin:
        admin.execute(f"CREATE TABLE {PARTITION} (x integer)".encode())
    with pytest.raises(pg.DuplicateTable):
        loader.execute(ENSURE, ("2024-02-01",))


@pytest.mark.parametrize(
    "parent", ["ops.load_receipt", "pg_catalog.pg_class", "warehouse.measure_2024_01"]
)
def test_the_loader_makes_nothing_but_months_of_our_tables(loader: Connection, parent: str) -> None:
    with pytest.raises(REFUSALS):
        loader.execute("SELECT ops.ensure_month(%s::regclass, '2024-02-01')", (parent,))
    query = "SELECT count(*) FROM pg_class WHERE relname LIKE '%2024\\_02'"
    assert loader.execute(query).fetchone() == (0,)


def _row(connection: Connection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query.encode(), (PARTITION,)).fetchone()
    assert row is not None
    return tuple(row)


def _wait_for_waiter(connection: Connection) -> None:
    for _ in range(1000):
        query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'warehouse.measure'::regclass"
        if connection.execute(query).fetchone() == (1,):
            return
        connection.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("the second one did not wait for the first")
