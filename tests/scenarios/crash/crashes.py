"""A feed, a warehouse of its own, and what must hold whenever a run in it is killed.

The played vendor goes forth and back between two moments, so that each run comes upon rows to insert,
to change and to delete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from uuid import uuid4

from dagster_project.model.feed import QueryScope
from dagster_project.model.window import Window
from dagster_project.orchestration import liveness
from dagster_project.sandbox.server import Sandbox
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.load.day_counts import checksum_of
from dagster_project.warehouse.load.existing_rows import read_existing_rows
from tests.conftest import PostgresServer
from tests.scenarios.conformance.rig import Rig, Rows
from tests.scenarios.crash.conftest import DAYS, EARLIER, NOW
from tests.scenarios.crash.scene import Scene, place_of
from tests.scenarios.crash.warm import Ended, Warm
from tests.support.nights import PlayedClock
from tests.support.operating import environment, feed_of

Standing = Mapping[str, Mapping[date, Rows]]
"""By account and day."""

MART_SUMS = """
SELECT coalesce(sum(difference), 0)::int FROM (
    SELECT sent_on, site_id, outcome, abs(sum(n)) AS difference FROM (
        SELECT sent_on, site_id, outcome, messages AS n FROM mart.sms_day
        UNION ALL SELECT sent_on, site_id, outcome, -1 FROM warehouse.calltouch_sms) both_sides
    GROUP BY 1, 2, 3) by_outcome
"""
POINTS_HELD = """
SELECT coalesce(sum(ops.points_held(source, account, spent_on, NULL)), 0)::int
FROM ops.point_reservation
"""
REACH = """
SELECT coalesce(sum(abs(n)), 0)::int FROM (
    SELECT month, site_id, sum(n) AS n FROM (
        SELECT period_start AS month, site_id, recipients AS n FROM mart.sms_reach
        WHERE category = 'all' AND period = 'month'
        UNION ALL SELECT date_trunc('month', sent_on)::date, site_id, -count(DISTINCT recipient)
        FROM warehouse.calltouch_sms GROUP BY 1, 2) both_sides
    GROUP BY 1, 2) by_month
"""


class Crashes:
    """A feed, a warehouse of its own, and runs in it that are killed."""

    def __init__(self, source: str, vendors: Sandbox, server: PostgresServer, home: Path) -> None:
        self.server = server
        self.warehouse = server.fresh()
        self.rig = Rig(feed_of(source), vendors, self.warehouse, DAYS)
        self.vendors = vendors
        clock = PlayedClock(home)
        clock.go(NOW)
        given = {
            **vendors.settings_env(),
            **clock.setting,
            "WAREHOUSE_START_DATE": str(DAYS[0]),
            "CALLTOUCH_REQUESTS_PER_SECOND": "1000",
            "PII_RETENTION_DAYS": "100000",
            "WAREHOUSE_HOLD_BELOW_SHARE": "0",
        }
        self.env = {**environment(self.warehouse, home), **given}
        self.scene = Scene(self.warehouse)
        self.stands: Standing = {account.label: {} for account in self.rig.accounts}
        self._truths: dict[datetime, Standing] = {}
        self.turn()

    def turn(self) -> None:
        """The vendor at its other moment."""
        clock = self.vendors.world.clock
        clock.set(EARLIER if clock.now() == NOW else NOW)

    def run(self, warm: Warm) -> Ended:
        return warm.run("refresh", self.rig.feed.source, DAYS, str(uuid4()), env=self.env)

    def kill(self, warm: Warm, instant: Mapping[str, float]) -> tuple[str, bool] | None:
        """Where a run was killed, and whether a transaction was open; None: its end came first."""
        ended = warm.begin(
            "refresh", self.rig.feed.source, DAYS, str(uuid4()), env=self.env, instant=instant
        )
        if ended is not None:
            assert ended.status == 0, warm.log.read_text()[-4000:]
            self.check_outcome()
            return None
        place = place_of(self.scene.sessions())
        warm.kill()
        self.check_outcome()
        return place

    def truth(self) -> Standing:
        """What the vendor holds at its moment."""
        moment = self.vendors.world.clock.now()
        if moment not in self._truths:
            self._truths[moment] = {a.label: self.rig.truth(a) for a in self.rig.accounts}
        return self._truths[moment]

    def check_outcome(self) -> None:
        """Each day is old or new, whole; receipts and marts tell of the rows that stand."""
        self.scene.assert_nothing_is_left()
        old, self.stands = self.stands, {a.label: self.rig.standing(a) for a in self.rig.accounts}
        for label, now in self.stands.items():
            was, true = old[label], self.truth()[label]
            for day in {*was, *now, *true}:
                either = (was.get(day, Counter()), true.get(day, Counter()))
                assert now.get(day, Counter()) in either, f"{label} {day} is neither old nor new"
            if self.rig.feed.query_scope is QueryScope.HISTORY:
                assert now in (was, true), f"{label}: a history was loaded in part"
        assert self.scene.value(POINTS_HELD) == 0, "the dead keep points from the living"
        assert self.scene.value(MART_SUMS) == 0, "marts and rows are of two commits"
        self.judge_receipts()

    def judge_receipts(self) -> None:
        table = self.rig.feed.table
        with self.warehouse.connect(what="test") as connection:
            for account in self.rig.accounts:
                states = load_receipts.day_states(connection, account.source, account.label, DAYS)
                for day in DAYS:
                    rows = read_existing_rows(connection, table, Window(day, day, account), ())
                    state = states.get(day)
                    assert (state.checksum if state else "0:" + "0" * 16) == checksum_of(rows)

    def heals(self, warm: Warm) -> None:
        """The next run makes every day true; what the dead had open is closed beside it."""
        self.run(warm)
        with self.warehouse.connect(what="test", autocommit=True) as connection:
            liveness.abandon_dead_extractions(connection)
        self.judge_end()

    def judge_end(self) -> None:
        """Every day is true, and the books and marts are closed."""
        self.check_outcome()
        assert self.stands == self.truth()
        assert self.scene.value(REACH) == 0
        assert self.scene.value("SELECT count(*) FROM mart.stale") == 0
        started = "SELECT count(*) FROM ops.extraction WHERE outcome = 'started'"
        assert self.scene.value(started) == 0

    def close(self) -> None:
        self.scene.close()
        self.server.drop(self.warehouse)
