"""Settings that a server, a database or a role may carry: whatever they are, the same rows are loaded.

Each is set for the database or for the pipeline's login in it, as an administrator does; then days
of a feed are loaded from nothing and compared with what the vendor has. The values are ones under
which a session that says nothing for itself loads other rows, none, or dies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dagster_project.feeds import FEEDS
from dagster_project.sandbox.server import Sandbox
from dagster_project.warehouse.connection import APP
from tests.conftest import PostgresServer
from tests.scenarios.conformance.entry import DAYS
from tests.scenarios.conformance.rig import Rig

HOSTILE = {
    "dates": {"DateStyle": "German, DMY", "IntervalStyle": "iso_8601"},
    "time zone": {"TimeZone": "Pacific/Kiritimati", "timezone_abbreviations": "Australia"},
    "encoding": {"client_encoding": "LATIN1"},
    "encoding of Cyrillic": {"client_encoding": "WIN1251"},
    "search path": {"search_path": "hostile, bi, warehouse, raw, ops"},
    "read only": {"default_transaction_read_only": "on"},
    "serializable": {
        "default_transaction_isolation": "serializable",
        "default_transaction_deferrable": "on",
    },
    "repeatable read": {"default_transaction_isolation": "repeatable read"},
    "statement timeout": {"statement_timeout": "1ms"},
    "lock timeout": {"lock_timeout": "1ms"},
    "idle timeouts": {
        "idle_session_timeout": "1ms",
        "idle_in_transaction_session_timeout": "1ms",
    },
    "transaction timeout": {"transaction_timeout": "50ms"},
    "texts of values": {
        "bytea_output": "escape",
        "extra_float_digits": "-15",
        "xmlbinary": "hex",
        "lc_numeric": "C.UTF-8",
        "lc_time": "C.UTF-8",
    },
    "strings": {
        "standard_conforming_strings": "off",
        "backslash_quote": "off",
        "escape_string_warning": "on",
        "quote_all_identifiers": "on",
    },
    "nulls": {"array_nulls": "off", "transform_null_equals": "on"},
    "row security": {"row_security": "off", "restrict_nonsystem_relation_kind": "view"},
    "triggers": {"session_replication_role": "replica"},
    "messages": {
        "lc_messages": "C.UTF-8",
        "client_min_messages": "debug5",
        "plpgsql.extra_errors": "all",
        "exit_on_error": "on",
    },
    "another role": {"role": "warehouse_bi"},
    "storage": {
        "default_table_access_method": "hostile",
        "default_toast_compression": "pglz",
        "check_function_bodies": "off",
        "createrole_self_grant": "set, inherit",
    },
    "durability": {"synchronous_commit": "off"},
    "plans": {
        **dict.fromkeys(
            (
                *("enable_seqscan", "enable_indexscan", "enable_indexonlyscan", "enable_sort"),
                *("enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_nestloop"),
                *("enable_hashagg", "enable_material", "enable_memoize", "enable_tidscan"),
                *("enable_partition_pruning", "enable_gathermerge", "enable_parallel_append"),
                *("enable_incremental_sort", "enable_presorted_aggregate", "geqo"),
            ),
            "off",
        ),
        "enable_partitionwise_join": "on",
        "enable_partitionwise_aggregate": "on",
        "plan_cache_mode": "force_generic_plan",
        "work_mem": "64kB",
        "maintenance_work_mem": "1MB",
        "cursor_tuple_fraction": "0",
        "join_collapse_limit": "1",
        "from_collapse_limit": "1",
        "constraint_exclusion": "on",
        "synchronize_seqscans": "off",
    },
    "parallel plans": {
        "force_parallel_mode": "on",
        "debug_parallel_query": "on",
        "parallel_setup_cost": "0",
        "parallel_tuple_cost": "0",
        "min_parallel_table_scan_size": "0",
    },
    "compiled plans": {
        "jit": "on",
        "jit_above_cost": "0",
        "jit_inline_above_cost": "0",
        "jit_optimize_above_cost": "0",
    },
}
FOR_THE_LOGIN = {"another role", "encoding", "triggers", "read only", "serializable"}
"""Set for the pipeline's login in the database; the others for the database."""
MAKE_HOSTILE_PLACES = (
    "CREATE SCHEMA hostile",
    "GRANT USAGE ON SCHEMA hostile TO PUBLIC",
    # What an unqualified name would find instead.
    "CREATE TABLE hostile.calltouch_sms (nothing integer)",
    "CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql RETURN 'epoch'::timestamptz",
    "CREATE ACCESS METHOD hostile TYPE TABLE HANDLER heap_tableam_handler",
)


@pytest.fixture(scope="module")
def hostile_rigs(server: PostgresServer, played_world: Sandbox) -> Iterator[dict[str, Rig]]:
    """Two days of each feed, all over one warehouse."""
    warehouse = server.fresh()
    with warehouse.connect_admin(what="test") as connection:
        for statement in MAKE_HOSTILE_PLACES:
            connection.execute(statement.encode())
    yield {feed.source: Rig(feed, played_world, warehouse, DAYS[-2:]) for feed in FEEDS}
    server.drop(warehouse)


@pytest.fixture
def carry(hostile_rigs: dict[str, Rig]) -> Iterator[Callable[[str], None]]:
    """Makes the database, or the pipeline's login in it, carry hostile values; undone afterwards."""
    warehouse = hostile_rigs["calltouch"].warehouse
    with warehouse.connect_admin(what="test") as connection:
        yield partial(bear, connection, warehouse.database)
        for bearer in bearers(warehouse.database):
            connection.execute(sql.SQL("ALTER {} RESET ALL").format(bearer))


def bearers(database: str) -> list[sql.Composed]:
    """Where a setting is kept: for the database, and for the pipeline's login in it."""
    of_database = sql.SQL("DATABASE {}").format(sql.Identifier(database))
    return [of_database, sql.SQL("ROLE {} IN {}").format(sql.Identifier(APP), of_database)]


def bear(connection: psycopg.Connection[Any], database: str, name: str) -> None:
    connection.execute("LOAD 'plpgsql'")
    known = {row[0].lower() for row in connection.execute("SELECT name FROM pg_settings")}
    for setting, value in HOSTILE[name].items():
        if setting.lower() in known:
            # A list stays one: a quoted list would be one name.
            given = value if setting == "search_path" else f"'{value}'"
            bearer = bearers(database)[name in FOR_THE_LOGIN]
            connection.execute(
                sql.SQL("ALTER {} SET {} = {}").format(bearer, sql.SQL(setting), sql.SQL(given))
            )


def load_anew(rig: Rig) -> None:
    rig.restore_truth()
    with rig.warehouse.connect_admin(what="test") as connection:
        connection.execute(
            "TRUNCATE raw.response, ops.extraction, ops.load_receipt, ops.day_state,"
            f" warehouse.{rig.feed.table.name} CASCADE".encode()
        )
    done = rig.refresh()
    assert not done.problems, done.problems
    assert done.written
    assert rig.is_true()


@pytest.mark.both_servers
@pytest.mark.parametrize("name", HOSTILE)
def test_the_same_rows_are_loaded(
    hostile_rigs: dict[str, Rig], carry: Callable[[str], None], name: str
) -> None:
    """Of Calltouch: its rows have times, texts, bytes and numbers, and marts are kept with them."""
    carry(name)
    load_anew(hostile_rigs["calltouch"])


@pytest.mark.both_servers
@pytest.mark.parametrize("source", [feed.source for feed in FEEDS])
def test_every_feed_is_loaded_under_all_of_them_at_once(
    hostile_rigs: dict[str, Rig], carry: Callable[[str], None], source: str
) -> None:
    for name in HOSTILE:
        carry(name)
    load_anew(hostile_rigs[source])
    assert hostile_rigs[source].refresh().written == 0
