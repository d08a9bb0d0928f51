"""The nightly retention killed at random steps: the next one ends in the state of one that nobody killed.

Grain: copies of one warehouse whose oldest days have to be reduced, one window of which lies across the
limit, and whose older responses and receipts have to go.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from psycopg import sql

from dagster_project.sandbox.server import Sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.conftest import PostgresServer
from tests.scenarios.crash.conftest import DAYS, NOW
from tests.scenarios.crash.crashes import Crashes
from tests.scenarios.crash.scene import Scene, place_of
from tests.scenarios.crash.warm import Warm, at_step
from tests.support.nights import PlayedClock
from tests.support.operating import environment

A_FEW, MANY = 5, 100
LATER = NOW + timedelta(days=88)
LIMITS = {"PII_RETENTION_DAYS": "90", "RAW_RETENTION_DAYS": "30", "RECEIPT_RETENTION_DAYS": "60"}
"""``LATER`` the first two of the four days are old."""

STATE = {
    "warehouse.calltouch_sms": "sent_on, site_id, sms_key, occurrence, sent_at, phone, phone_e164,"
    " recipient, status, message, template_id, content_hash",
    "raw.response": "extraction_id, attempt, sequence, redacted_at IS NULL, sha256(body)",
    "ops.extraction": "extraction_id, outcome, reduced_before",
    "ops.load_receipt": "receipt_id, day, checksum",
    "ops.day_state": "source, account, day, rows, checksum, receipt_id, reduced_at IS NULL",
    "ops.rejected_record": "source, account, record_sha256, reason, original, redacted_at IS NULL",
    "ops.point_ledger": "source, account, spent_on, points",
    "mart.sms_day": "*",
    "mart.sms_reach": "*",
    "mart.stale": "site_id, month, day",
}
MIXED_DAYS = """
SELECT count(*) FROM (
    SELECT count(*) FILTER (WHERE message = '(reduced)') AS reduced, count(message) AS rows
    FROM warehouse.calltouch_sms GROUP BY site_id, sent_on) day
WHERE reduced NOT IN (0, rows)
"""
UNMARKED_DAYS = """
SELECT count(*) FROM ops.day_state d WHERE (reduced_at IS NOT NULL) <> EXISTS (
    SELECT FROM warehouse.calltouch_sms s
    WHERE s.site_id::text = d.account AND s.sent_on = d.day AND s.message = '(reduced)')
"""


class Aged:
    """The warehouse as it is before retention, and as it should be after it."""

    def __init__(self, vendors: Sandbox, server: PostgresServer, warm: Warm, home: Path) -> None:
        self.server = server
        self.home = home
        self._numbers = count(1)
        crashes = Crashes("calltouch", vendors, server, home)
        try:
            unreadable = {"phoneNumber": None, "dateSent": f"{DAYS[0]:%d-%m-%Y} 10:00:00"}
            vendors.world.calltouch.insert_rows(502, DAYS[0], [json.dumps(unreadable).encode()])
            for _ in range(3):
                crashes.run(warm)
                crashes.turn()
        finally:
            vendors.world.calltouch.redraw(undo_changes=True)
        crashes.scene.close()
        self.before = crashes.warehouse
        server.add_dagster(self.before)
        self.env = {**crashes.env, **LIMITS, "DAGSTER_URL": self.before.dagster_url()}
        PlayedClock(home).go(LATER)
        whole = self.copy()
        self.steps = warm.run("retention", env=self.env_of(whole)).steps
        self.after = state(whole)
        assert self.after != state(self.before)
        warm.run("retention", env=self.env_of(whole))
        assert state(whole) == self.after
        server.drop(whole)

    def env_of(self, warehouse: Warehouse) -> dict[str, str]:
        own = environment(warehouse, self.home)
        return {**self.env, "WAREHOUSE_URL": own["WAREHOUSE_URL"]}

    def copy(self) -> Warehouse:
        warehouse = self.server.on(f"crash_aged_{next(self._numbers)}")
        with self.server.template.connect_admin(database="postgres") as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(warehouse.database), sql.Identifier(self.before.database)
                )
            )
        with warehouse.connect_admin() as connection:
            # A copy of a database stands elsewhere, like a restored dump.
            connection.execute("SELECT ops.suppression_was_applied()")
        return warehouse

    def kill(self, warm: Warm, warehouse: Warehouse, draw: Random) -> str | None:
        """Where retention was killed; what it leaves are whole days. None: its end came first."""
        scene = Scene(warehouse)
        try:
            instant = at_step(draw.randint(1, self.steps), draw.choice((0, 0.002, 0.02)))
            ended = warm.begin("retention", env=self.env_of(warehouse), instant=instant)
            if ended is None:
                place, _ = place_of(scene.sessions())
                warm.kill()
            scene.assert_nothing_is_left()
            assert scene.value(MIXED_DAYS) == 0
            assert scene.value(UNMARKED_DAYS) == 0
            return None if ended is not None else place
        finally:
            scene.close()


def state(warehouse: Warehouse) -> dict[str, Any]:
    """Rows and a checksum of each table, but for the times at which things were written."""
    with warehouse.connect_admin() as connection:
        return {
            table: connection.execute(
                f"SELECT count(*), md5(string_agg(md5(one::text), '' ORDER BY md5(one::text)))"
                f" FROM (SELECT {columns} FROM {table}) one".encode()
            ).fetchone()
            for table, columns in STATE.items()
        }


@pytest.fixture
def aged(vendors: Sandbox, server: PostgresServer, warm: Warm, scratch: Path) -> Iterator[Aged]:
    made = Aged(vendors, server, warm, scratch)
    yield made
    server.drop(made.before)


def play(aged: Aged, warm: Warm, kills: int, seed: int) -> None:
    draw = Random(f"retention {seed}")
    places: Counter[str] = Counter()
    while places.total() < kills:
        warehouse = aged.copy()
        try:
            place = aged.kill(warm, warehouse, draw)
            if place is not None:
                places[place] += 1
            warm.run("retention", env=aged.env_of(warehouse))
            assert state(warehouse) == aged.after
        finally:
            aged.server.drop(warehouse)
    print(f"CRASH_SEED={seed} retention: {places}")


def test_a_killed_retention_is_ended_by_the_next_one(aged: Aged, warm: Warm, seed: int) -> None:
    play(aged, warm, A_FEW, seed)


@pytest.mark.soak
def test_retention_killed_many_times(aged: Aged, warm: Warm, seed: int) -> None:
    play(aged, warm, MANY, seed)
