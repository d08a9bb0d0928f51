"""An erasure killed at random steps: days are erased or not, whole; marts follow; the next one ends it.

Grain: copies of one warehouse with a person in the rows, texts, responses and rejects of every day of two
sites and two months.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from psycopg import sql

from dagster_project.sandbox.server import Sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.conftest import PostgresServer
from tests.scenarios.crash.conftest import DAYS
from tests.scenarios.crash.crashes import REACH, Crashes
from tests.scenarios.crash.scene import Scene, place_of
from tests.scenarios.crash.warm import Warm, at_step
from tests.support.operating import environment

WAYS = ("refresh", "status", "forget")
"""What comes after a kill: a run, a look, another erasure."""
NUMBER, TAIL = "+7 916 123-45-67", "9161234567"
SITES = (501, 502)

PEOPLE_LEFT = f"""
SELECT count(*) FROM warehouse.calltouch_sms
WHERE regexp_replace(concat(phone, message), '[^0-9]', '', 'g') LIKE '%{TAIL}%'
"""
MIXED_DAYS = f"""
SELECT count(*) FROM (
    SELECT count(*) FILTER (
        WHERE regexp_replace(concat(phone, message), '[^0-9]', '', 'g') LIKE '%{TAIL}%') AS people
    FROM warehouse.calltouch_sms GROUP BY site_id, sent_on) day
WHERE people NOT IN (0, 3)
"""
DIFFERENT_DAYS = """
SELECT DISTINCT site_id, sent_on FROM (
    SELECT site_id, sent_on, country, outcome, sum(n) AS difference FROM (
        SELECT site_id, sent_on, country, outcome, messages AS n FROM mart.sms_day
        UNION ALL
        SELECT site_id, sent_on, mart.country_of(country, recipient), outcome, -1
        FROM warehouse.calltouch_sms) both_sides
    GROUP BY 1, 2, 3, 4) by_cell
WHERE difference <> 0
"""
UNNOTED_DAYS = f"""
SELECT count(*) FROM ({DIFFERENT_DAYS}) d
WHERE NOT EXISTS (SELECT FROM mart.stale s WHERE s.site_id = d.site_id AND s.day = d.sent_on)
"""
FINISHED = "SELECT count(*) FROM ops.erasure WHERE finished_at IS NOT NULL"
UNFINISHED = "SELECT count(*) FROM ops.erasure WHERE finished_at IS NULL"
STATE = {
    "warehouse.calltouch_sms": "sent_on, site_id, sms_key, occurrence, sent_at, phone, recipient,"
    " status, message, template_id, content_hash",
    "raw.response": "extraction_id, attempt, sequence, redacted_at IS NULL, sha256(body)",
    "ops.day_state": "source, account, day, rows, checksum, receipt_id",
    "ops.rejected_record": "source, account, record_sha256, reason, original",
    "mart.sms_day": "*",
    "mart.sms_reach": "*",
    "mart.stale": "site_id, month, day",
    "mart.rare_template": "site_id, template_id, recipients",
}


def person(day: Any) -> list[bytes]:
    """The person's own SMS, one to somebody else that names them, and a record that cannot be read."""
    at = {"dateSent": f"{day:%d-%m-%Y} 11:22:33", "smsStatusDetail": "Доставлено"}
    return [
        json.dumps({**at, "smsStatus": "delivered", **more}).encode()
        for more in (
            {"phoneNumber": "79161234567", "smsMessage": "Код 4411"},
            {"phoneNumber": "8 (916) 123-45-67", "smsMessage": "Редкий текст для одного"},
            {"phoneNumber": "79210000001", "smsMessage": "Перезвоните: 8 916 123-45-67"},
            {"phoneNumber": 79161234567, "smsMessage": "Код 4412"},
        )
    ]


class Peopled:
    """The warehouse before the erasure, and as it should be after it."""

    def __init__(self, vendors: Sandbox, server: PostgresServer, warm: Warm, home: Path) -> None:
        self.server, self.home = server, home
        self._numbers = count(1)
        crashes = Crashes("calltouch", vendors, server, home)
        for site in SITES:
            for day in DAYS:
                vendors.world.calltouch.insert_rows(site, day, person(day))
        crashes.turn()
        crashes.run(warm)
        crashes.scene.close()
        self.before, self.env = crashes.warehouse, crashes.env
        whole = self.copy()
        self.steps = warm.run("forget", [NUMBER], env=self.env_of(whole)).steps
        self.after = state(whole)
        assert self.after != state(self.before)
        server.drop(whole)

    def env_of(self, warehouse: Warehouse) -> dict[str, str]:
        """With a home of its own, which has seen no other copy's erasures."""
        home = self.home / warehouse.database
        home.mkdir(mode=0o700)
        own = environment(warehouse, home)
        return {**self.env, **{name: own[name] for name in ("WAREHOUSE_URL", "WAREHOUSE_HOME")}}

    def copy(self) -> Warehouse:
        warehouse = self.server.on(f"crash_peopled_{next(self._numbers)}")
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

    def kill(self, warm: Warm, step: int, later: float, then: str) -> str | None:
        """Kill an erasure at this step, see what it left, and let it be ended. None: its end came first."""
        warehouse = self.copy()
        env = self.env_of(warehouse)
        scene = Scene(warehouse)
        try:
            ended = warm.begin("forget", [NUMBER], env=env, instant=at_step(step, later))
            place = None
            if ended is None:
                place, _ = place_of(scene.sessions())
                warm.kill()
            scene.assert_nothing_is_left()
            assert scene.value(MIXED_DAYS) == 0, "a day is erased in part"
            assert scene.value(UNNOTED_DAYS) == 0, (
                "nothing says that a rewritten day is to be counted"
            )
            if scene.value(FINISHED):
                assert scene.value(PEOPLE_LEFT) == 0
                assert scene.value("SELECT count(*) FROM mart.stale") == 0
            self._heal(warm, env, scene, then)
            assert scene.value(UNFINISHED) == 0
            if then != "refresh":
                assert state(warehouse) == self.after
            assert scene.value(PEOPLE_LEFT) == 0
            return place
        finally:
            scene.close()
            self.server.drop(warehouse)

    def _heal(self, warm: Warm, env: dict[str, str], scene: Scene, then: str) -> None:
        """What comes next makes the marts equal to the rows, whatever it is; a ``forget`` ends all of it."""
        if then == "refresh":
            warm.run("refresh", "calltouch", DAYS, str(uuid4()), env=env)
        elif then == "status":
            warm.run("status", env=env)
        else:
            warm.run("forget", [NUMBER], env=env)
        assert scene.value(f"SELECT count(*) FROM ({DIFFERENT_DAYS}) d") == 0
        assert scene.value(REACH) == 0
        warm.run("forget", [NUMBER], env=env)


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
def peopled(
    vendors: Sandbox, server: PostgresServer, warm: Warm, scratch: Path
) -> Iterator[Peopled]:
    try:
        made = Peopled(vendors, server, warm, scratch)
        yield made
        server.drop(made.before)
    finally:
        vendors.world.calltouch.redraw(undo_changes=True)


def test_a_killed_erasure_leaves_whole_days_and_marts_that_follow_them(
    peopled: Peopled, warm: Warm, seed: int
) -> None:
    draw = Random(f"forget {seed}")
    places: Counter[str] = Counter()
    for then in WAYS:
        step = draw.randint(1, peopled.steps)
        places[peopled.kill(warm, step, draw.choice((0, 0.002)), then) or "ended"] += 1
    print(f"CRASH_SEED={seed} forget: {places}")


@pytest.mark.soak
def test_an_erasure_killed_at_every_step(peopled: Peopled, warm: Warm) -> None:
    places: Counter[str] = Counter()
    for step in range(1, peopled.steps + 1):
        places[peopled.kill(warm, step, 0, WAYS[step % len(WAYS)]) or "ended"] += 1
    print(f"forget: {places}")
