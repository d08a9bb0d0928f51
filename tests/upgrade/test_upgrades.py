"""A warehouse that holds rows is brought up to date from any earlier schema, and loses none.

``earlier/`` holds two warehouses that programs of their time filled, from the played vendors, by
``warehouse labels`` and ``warehouse forget``: of the schema that was last released (0038) and of the last one
before the baseline (0047).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dagster_project.errors import SettingsError
from dagster_project.warehouse import marts, restored
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import migrate, pending
from dagster_project.warehouse.schema.upgrade import LAYERS, layer_of
from tests.conftest import PostgresServer
from tests.support.catalog import catalog_of
from tests.upgrade.rows import census, columns_of
from tests.upgrade.snapshot import EARLIER, SNAPSHOTS, restore, restore_in_place, take

CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"
TODAY = "today"
RELEASES = sorted(path.name.removesuffix(".sql.gz") for path in SNAPSHOTS.glob("*.sql.gz"))
LAYERS_KEPT = sorted(path.name.removesuffix(".sql.gz") for path in EARLIER.glob("*.sql.gz"))
MAY_BE_EMPTY = {"ops.rekeyed_day", "ops.rekeyed_pseudonym", "ops.request_slot"}
# Set anew on the way: texts go through today's masking once more.
MASKED_ANEW = ("mart.template", "names_masked")
# Whose rows do not hang on the time of day.
VIEWS = (
    "sms_day",
    "sms_hour",
    "sms_reach",
    "sms_maturity",
    "template",
    "trust_day",
    "credit_purchase",
)


@pytest.mark.both_servers
@pytest.mark.parametrize("layer", LAYERS_KEPT)
def test_a_warehouse_of_an_earlier_schema_keeps_its_rows_and_becomes_what_a_fresh_one_is(
    server: PostgresServer, layer: str
) -> None:
    warehouse = server.on(f"upgrade_from_{layer}")
    try:
        restore_in_place(server, warehouse, EARLIER / f"{layer}.sql.gz")
        columns = columns_of(warehouse)
        columns[MASKED_ANEW[0]].remove(MASKED_ANEW[1])
        before, read = census(warehouse, columns), read_by_bi(warehouse)
        assert {table for table, (count, _) in before.items() if not count} <= MAY_BE_EMPTY
        assert pending(warehouse, server.sql) == [f"upgrade_from_{layer}"]

        assert migrate(warehouse, folder=server.sql) == [f"upgrade_from_{layer}"]

        after = {**census(warehouse, columns)}
        queued, earlier = after.pop("mart.stale"), before["mart.stale"]
        assert after == {name: of for name, of in before.items() if name != "mart.stale"}
        assert queued[0] == earlier[0] + counted_days(warehouse), (
            "all days are to be counted once more"
        )
        assert read_by_bi(warehouse) == read
        assert catalog_of(warehouse) == catalog_of(server.template)
        assert months_unlike_their_table(warehouse) == []
        assert recorded(warehouse) == recorded(server.template)
        assert migrate(warehouse, folder=server.sql) == []
        assert not is_restored(warehouse)
    finally:
        server.drop(warehouse)


def counted_days(warehouse: Warehouse) -> int:
    """Days of a site that the marts have, each of which the queue has."""
    with warehouse.connect_admin() as connection:
        row = connection.execute(
            "SELECT count(*), bool_and(EXISTS (SELECT FROM mart.stale s WHERE s.site_id = d.site_id"
            " AND s.day = d.sent_on AND s.month = date_trunc('month', d.sent_on)))"
            " FROM (SELECT DISTINCT site_id, sent_on FROM mart.sms_day) d"
        ).fetchone()
    assert row is not None
    assert row[1] is True
    return int(row[0])


def read_by_bi(warehouse: Warehouse) -> dict[str, Any]:
    """What a reader finds in ``bi``."""
    with warehouse.connect_admin() as connection:
        connection.execute("SET ROLE warehouse_bi")
        return {
            view: connection.execute(f"SELECT count(*) FROM bi.{view}".encode()).fetchone()
            for view in VIEWS
        }


def months_unlike_their_table(warehouse: Warehouse) -> list[Any]:
    query = """
        SELECT i.inhrelid::regclass, a.attname FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhparent AND c.relkind = 'p'
        JOIN pg_attribute a ON a.attrelid = i.inhparent AND a.attnum > 0
        LEFT JOIN pg_attribute m ON m.attrelid = i.inhrelid AND m.attname = a.attname
        WHERE (a.atttypid, a.attnotnull) IS DISTINCT FROM (m.atttypid, m.attnotnull)
    """
    with warehouse.connect_admin() as connection:
        return connection.execute(query).fetchall()


def recorded(warehouse: Warehouse) -> list[Any]:
    with warehouse.connect_admin() as connection:
        query = "SELECT revision, name, sha256 FROM ops.migration ORDER BY revision"
        return connection.execute(query).fetchall()


def is_restored(warehouse: Warehouse) -> bool:
    with warehouse.connect() as connection:
        return restored.is_restored(connection)


@pytest.mark.parametrize("layer", LAYERS_KEPT)
def test_a_dump_of_an_earlier_schema_is_known_as_restored_by_its_migration(
    server: PostgresServer, layer: str
) -> None:
    assert server.template
    warehouse = server.on(f"restored_from_{layer}")
    try:
        restore(server, warehouse, EARLIER / f"{layer}.sql.gz")
        told: list[str] = []
        migrate(warehouse, told.append, folder=server.sql)
        assert is_restored(warehouse)
        assert any("restored dump" in line for line in told)
    finally:
        server.drop(warehouse)


def test_a_schema_from_before_the_last_release_is_refused_and_left_as_it_is(
    server: PostgresServer,
) -> None:
    assert server.template
    warehouse = server.on("upgrade_from_too_early")
    try:
        restore_in_place(server, warehouse, EARLIER / "0038.sql.gz")
        with warehouse.connect_admin() as connection:
            connection.execute("DELETE FROM ops.migration WHERE revision > '0020'")
        before = recorded(warehouse)
        with pytest.raises(SettingsError, match=r"an earlier one, 0020.*migrate it to 0038"):
            migrate(warehouse, folder=server.sql)
        assert recorded(warehouse) == before
    finally:
        server.drop(warehouse)


def test_every_layer_from_the_last_release_on_leads_into_the_baseline() -> None:
    released = LAYERS.index("0038")
    for length in range(released + 1, len(LAYERS) + 1):
        assert layer_of(LAYERS[:length]) == LAYERS[length - 1]
    with pytest.raises(SettingsError, match="an earlier one, 0047"):
        layer_of({*LAYERS} - {"0045"})


NAMED = """
INSERT INTO mart.account VALUES ('calltouch', '909', 909, 'Europe/Moscow', NULL, '909');
INSERT INTO mart.template (site_id, template_id, masked_text, guessed_category, label, category,
    published_at)
SELECT 909, md5('name ' || n)::uuid, '{name}, заказ # собран', 'unlabelled',
    CASE WHEN n = 3 THEN 'Order' ELSE '{name}, заказ # собран' END,
    CASE WHEN n = 3 THEN 'service' ELSE 'unlabelled' END, '2024-04-01'::timestamptz + n * interval '1 day'
FROM generate_series(1, 5) n;
INSERT INTO mart.template_label VALUES (md5('name 3')::uuid, 'Order', 'service', NULL);
INSERT INTO mart.sms_day
SELECT '2024-04-20', 909, md5('name ' || n)::uuid, 'RU', 'delivered', 'none', 1, 2, 0
FROM generate_series(1, 5) n;
"""


def test_ids_that_each_name_had_become_one_with_the_next_load_and_the_label_moves_along(
    server: PostgresServer,
) -> None:
    assert server.template
    warehouse = server.on("upgrade_of_names")
    try:
        restore_in_place(server, warehouse, EARLIER / "0038.sql.gz")
        with warehouse.connect_admin() as connection:
            connection.execute(NAMED)
        migrate(warehouse, folder=server.sql)
        with warehouse.connect(autocommit=True) as connection:
            marts.refresh_stale(connection, lambda text: text)
        with warehouse.connect_admin() as connection:
            told = connection.execute(
                "SELECT t.template_text, t.template_label, t.category, d.messages, d.segments,"
                " d.template_label FROM bi.template t JOIN bi.sms_day d USING (site_id, template_id)"
                " WHERE t.site_id = 909"
            ).fetchall()
        assert told == [("{name}, заказ # собран", "Order", "service", 5, 10, "Order")]
    finally:
        server.drop(warehouse)


@pytest.mark.parametrize("version", [TODAY, *RELEASES])
def test_a_released_schema_is_migrated_with_its_rows(
    server: PostgresServer, scratch: Path, version: str
) -> None:
    assert server.template
    folder = SNAPSHOTS
    if version == TODAY:
        folder = scratch / "snapshots"
        take(server, folder, version)
    warehouse = server.on("upgrade_of_" + version.replace(".", "_"))
    try:
        restore(server, warehouse, folder / f"{version}.sql.gz")
        kept = json.loads((folder / f"{version}.json").read_text())
        columns = columns_of(warehouse)
        assert census(warehouse, columns) == kept
        migrate(warehouse, folder=server.sql)
        assert is_restored(warehouse)
        assert census(warehouse, columns) == kept
    finally:
        server.drop(warehouse)


def test_every_release_left_its_schema_behind() -> None:
    headings = re.findall(r"^## (\d+\.\d+\.\d+) — (.+)$", CHANGELOG.read_text(), re.M)
    assert headings
    released = {version for version, when in headings if when != "unreleased"}
    assert released <= set(RELEASES), "python -m tests.upgrade.snapshot VERSION was not run"
