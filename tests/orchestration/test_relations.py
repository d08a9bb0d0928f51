"""Tables and views in Dagster: columns as the database has them, and where lineage ends."""

from __future__ import annotations

import dagster as dg
import pytest

from dagster_project.config.settings import load_settings
from dagster_project.errors import SettingsError
from dagster_project.feeds import FEEDS
from dagster_project.orchestration.build import definitions_of
from dagster_project.orchestration.relations import relations
from dagster_project.warehouse.connection import Warehouse

SETTINGS = load_settings({"WAREHOUSE_OWNERS": "data@example.com, team:marketing"}, dotenv=None)
GRAPH = definitions_of(SETTINGS).resolve_asset_graph()
VIEWS = {key for key in GRAPH.get_all_asset_keys() if key.path[0].partition("_")[0] == "bi"}


def columns(key: dg.AssetKey) -> list[tuple[str, str, str | None]]:
    schema = GRAPH.get(key).metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema | dg.TableSchemaMetadataValue)
    if isinstance(schema, dg.TableSchemaMetadataValue):
        schema = schema.schema
    return [(one.name, one.type, one.description) for one in schema.columns]


def test_every_table_and_view_shows_the_columns_of_the_database(warehouse: Warehouse) -> None:
    tables = {dg.AssetKey(feed.asset): f"warehouse.{feed.table.name}" for feed in FEEDS}
    tables |= {dg.AssetKey(feed.raw_asset): "raw.response" for feed in FEEDS}
    tables |= {key: ".".join(key.path) for key in VIEWS}
    with warehouse.connect_admin() as connection:
        for key, table in tables.items():
            there = connection.execute(
                "SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)"
                " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                " AND NOT attisdropped ORDER BY attnum",
                (table,),
            ).fetchall()
            assert there == columns(key), table
            assert all(says for _, _, says in there), table
        readable = connection.execute(
            "SELECT nspname || '.' || relname FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE nspname ~ '^bi(_|$)' AND relkind = 'v'"
        ).fetchall()
    assert {".".join(key.path) for key in VIEWS} == {name for (name,) in readable}


def test_lineage_ends_at_the_views_and_a_view_is_below_the_rows_that_it_shows() -> None:
    sms, activity, purchases, push = (dg.AssetKey(feed.asset) for feed in FEEDS)
    above = {".".join(key.path): GRAPH.get(key).parent_keys for key in VIEWS}
    assert above["bi.sms_day"] == above["bi_pii.sms"] == above["bi.sms_reach"] == {sms}
    assert above["bi.template"] == above["bi.sms_bad_numbers"] == {sms}
    assert above["bi.tellody_activity_day"] == {activity}
    assert above["bi.credit_purchase"] == {purchases}
    assert above["bi.trust_day"] == above["bi.trust_window"] == {push}
    assert above["bi.messaging_day"] == above["bi.sms_cost"] == {sms, activity, push}
    assert above["bi.data_until"] == above["bi.account"] == {sms, activity, purchases, push}
    assert [name for name, keys in above.items() if not keys] == ["bi.date_day"]
    assert not any(GRAPH.get(key).child_keys for key in VIEWS)


def test_a_view_cannot_be_materialized_and_its_comment_is_its_description() -> None:
    assert VIEWS
    assert not any(GRAPH.get(key).is_executable for key in VIEWS)
    for key in VIEWS:
        assert GRAPH.get(key).description == relations()[".".join(key.path)]["comment"]


def test_owners_are_named_on_every_asset_and_nobody_by_default() -> None:
    for key in GRAPH.get_all_asset_keys():
        assert list(GRAPH.get(key).owners) == ["data@example.com", "team:marketing"]
    unset = definitions_of(load_settings({}, dotenv=None)).resolve_asset_graph()
    assert not any(unset.get(key).owners for key in unset.get_all_asset_keys())


@pytest.mark.parametrize("owner", ["marketing", "team:", "data@example", "a b@example.com"])
def test_an_owner_that_dagster_does_not_take_is_refused_by_name(owner: str) -> None:
    with pytest.raises(SettingsError, match="WAREHOUSE_OWNERS names an owner"):
        load_settings({"WAREHOUSE_OWNERS": f"data@example.com,{owner}"}, dotenv=None)
