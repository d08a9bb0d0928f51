"""Dagster's storage on a server of its own, whose queue of notifications is full, and which goes away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dagster_postgres.utils import retry_pg_connection_fn
from psycopg import errors as pg
from pydantic import SecretStr
from sqlalchemy import Engine, event

from dagster_project.errors import TryLater
from dagster_project.orchestration import report
from dagster_project.orchestration.storage import make_storage
from dagster_project.sandbox.server import Sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.conftest import PostgresServer
from tests.orchestration.test_reporter import ROWS, SOURCE, loaded, materialized
from tests.support.operating import House, operating

DAYS = [date(2024, 5, day) for day in range(1, 11)]
LATER = date(2024, 5, 11)


@pytest.fixture
def elsewhere(server: PostgresServer, scratch: Path) -> Iterator[PostgresServer]:
    """A server with the smallest queue, and an empty database for Dagster."""
    folder = scratch / "elsewhere"
    folder.mkdir(mode=0o711)
    smallest = {"max_notify_queue_pages": "64"}
    another = type(server)("18", server.cluster.binaries, folder, smallest)
    with another.on("postgres").connect_admin() as connection:
        connection.execute("CREATE ROLE keeper LOGIN PASSWORD 'k33per-4711'")
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'str4nger-4711'")
        connection.execute("CREATE DATABASE events OWNER keeper ENCODING 'UTF8'")
    yield another
    another.close()


@pytest.fixture
def house(
    warehouse: Warehouse,
    elsewhere: PostgresServer,
    vendors: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    url = f"postgresql://keeper:k33per-4711@127.0.0.1:{elsewhere.port}/events"
    given = {**vendors.settings_env(), "DAGSTER_URL": url}
    theirs = replace(warehouse, dagster=SecretStr(url))
    make_storage(theirs)
    with operating(theirs, scratch, monkeypatch, given) as running:
        yield running


def test_runs_go_on_while_the_queue_is_full_and_rows_are_loaded_while_the_server_is_away(
    house: House, elsewhere: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = f"postgresql://stranger:str4nger-4711@127.0.0.1:{elsewhere.port}/postgres"
    with psycopg.connect(stranger) as deaf, psycopg.connect(stranger, autocommit=True) as loud:
        deaf.execute("LISTEN noise")
        deaf.commit()
        deaf.execute("SELECT 1")
        fill_queue(loud)
        assert house.refresh(DAYS[:3], SOURCE)
    assert [len(materialized(house, ROWS, day)) for day in DAYS[:3]] == [1, 1, 1]

    # Dagster gives up at once: that rows are loaded does not hang on its retries.
    monkeypatch.setattr(retry_pg_connection_fn, "__defaults__", (0, 0.01))

    def go_away(chunk: object) -> None:
        elsewhere.cluster.stop("immediate")

    with report.listen(go_away), pytest.raises(TryLater, match="Dagster's storage"):
        house.refresh(DAYS[3:], SOURCE)
    assert loaded(house) == DAYS

    elsewhere.cluster.start(elsewhere.port)
    assert house.refresh([LATER], SOURCE)
    assert [len(materialized(house, ROWS, day)) for day in (*DAYS, LATER)] == [1] * 11
    late = [day for day in DAYS if "committed by run" in materialized(house, ROWS, day)[0]]
    assert len(late) >= 5


def test_columns_and_tables_are_looked_for_once(house: House) -> None:
    """By itself Dagster asks Postgres' catalog for them eleven times a run."""
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert house.refresh(DAYS[:1], SOURCE)
        first = [one for one in asked if "pg_catalog.pg_" in one]
        asked.clear()
        assert house.refresh(DAYS[1:2], SOURCE)
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert 0 < len(first) <= 4
    assert asked
    assert not [one for one in asked if "pg_catalog.pg_" in one]


def test_a_run_keeps_one_connection_for_its_events_and_one_for_runs(house: House) -> None:
    opened: list[object] = []

    def note(connection: object, _: object) -> None:
        opened.append(connection)

    event.listen(Engine, "connect", note)
    try:
        assert house.refresh(DAYS[:1], SOURCE)
        assert house.refresh(DAYS[1:2], SOURCE)
    finally:
        event.remove(Engine, "connect", note)

    assert len(opened) == 2


def fill_queue(connection: psycopg.Connection[Any]) -> None:
    """Notify until the server takes no more; it keeps what one session does not read."""
    with pytest.raises(pg.ProgramLimitExceeded, match="too many notifications"):
        connection.execute(
            "DO $$ BEGIN FOR n IN 1..10000 LOOP PERFORM pg_notify('noise', repeat('x', 7900) || n);"
            " COMMIT; END LOOP; END $$"
        )
