"""A run of Dagster where both databases carry settings that sessions depend on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from psycopg import sql

from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.support.operating import calltouch_alone, days_back, operating

HOSTILE = {
    "DateStyle": "German, DMY",
    "TimeZone": "Pacific/Kiritimati",
    "client_encoding": "LATIN1",
    "search_path": "pg_catalog",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "1",
    "lock_timeout": "1",
    "idle_session_timeout": "20",
    "transaction_timeout": "20",
    "role": "warehouse_bi",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock=datetime.now(UTC)) as running:
        yield running


def test_a_day_is_loaded_and_shows_in_dagster(
    warehouse_with_dagster: Warehouse,
    sandbox: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warehouse = warehouse_with_dagster
    with warehouse.connect_admin() as admin:
        for database in (warehouse.database, warehouse.dagster_database):
            for name, value in HOSTILE.items():
                admin.execute(
                    sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                        sql.Identifier(database), sql.Identifier(name), sql.Literal(value)
                    )
                )
    given = calltouch_alone(sandbox, PGTZ="Pacific/Kiritimati")
    with operating(warehouse, scratch, monkeypatch, given) as house:
        [day] = days_back(1)
        assert house.refresh([day]), house.failure()
        [(rows,)] = house.rows("SELECT count(*) FROM warehouse.calltouch_sms")
        [record] = house.instance.get_run_records()
        key = dg.AssetKey(["calltouch", "sms"])
        materialized = house.instance.get_materialized_partitions(key)
    assert rows
    assert materialized == {day.isoformat()}
    assert abs(record.create_timestamp - datetime.now(UTC)) < timedelta(minutes=5)
