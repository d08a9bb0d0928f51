"""What the comparison of months may spend, and what it leaves for another night."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest

from dagster_project import clock
from dagster_project.model.window import Account, each_day
from dagster_project.pipeline.months import months_of
from dagster_project.warehouse import reconciliations
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.reconciliations import Comparison
from tests.support.ledger import load_days
from tests.support.nights import BUSY, MOSCOW, ONE_NIGHT, Nights
from tests.support.operating import feed_of
from tests.support.reconciling import (
    APRIL,
    MARCH,
    MORNING,
    load,
    points,
    reconcile,
    remembered,
    requests,
    tick,
)
from tests.support.statements import counted_statements


def assert_nothing_is_compared_yet(evaluation: dg.AssetCheckEvaluation) -> None:
    """Nothing is known to be wrong, or right."""
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert evaluation.description == "nothing compared yet; months that were not asked for: 1"


def test_what_the_days_questions_do_not_reach_for_is_said_and_done_the_next_night(
    mornings: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    mornings.settings(monkeypatch, WAREHOUSE_RECONCILE_MONTHS="1")
    load(mornings, "tellody_activity", MARCH, APRIL)
    for _ in range(2):
        evaluation, told = reconcile(mornings, "tellody_activity")
        assert evaluation.passed
        assert "not asked: the day's questions are spent" in told["months"]
        assert remembered(mornings) == [("main", "2024-04", "agrees")]
    mornings.go(MORNING + ONE_NIGHT)
    assert len(tick(mornings, "tellody_activity").run_requests) == 1
    reconcile(mornings, "tellody_activity")
    assert remembered(mornings)[1:] == [("main", "2024-03", "agrees")]


def test_points_that_days_which_are_due_will_take_are_left_to_them(
    mornings: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    mornings.settings(monkeypatch, CALLTOUCH_SITE_IDS=BUSY)
    load(mornings, "calltouch", APRIL)
    assert mornings.house.refresh([date(2024, 5, 8)])
    mornings.house.rows("DELETE FROM ops.point_ledger RETURNING 1")
    mornings.settings(monkeypatch, CALLTOUCH_DAILY_POINTS="3")
    mornings.go(MORNING + 2 * ONE_NIGHT)
    evaluation, told = reconcile(mornings, "calltouch")
    assert_nothing_is_compared_yet(evaluation)
    assert "the due days come first" in told["months"]
    assert points(mornings) == 0
    assert remembered(mornings) == []
    mornings.settings(monkeypatch, CALLTOUCH_DAILY_POINTS="100")
    mornings.pass_night()
    before = points(mornings)
    reconcile(mornings, "calltouch")
    assert remembered(mornings) == [(BUSY, "2024-04", "agrees")]
    assert points(mornings) - before == 2


def test_a_budget_of_none_asks_nobody(mornings: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    load(mornings, "calltouch", APRIL)
    mornings.settings(monkeypatch, WAREHOUSE_RECONCILE_MONTHS="0")
    assert not tick(mornings, "calltouch").run_requests
    asked = requests(mornings, "calltouch")
    reconcile(mornings, "calltouch")
    assert requests(mornings, "calltouch") == asked


def test_a_vendor_that_is_away_is_asked_again_the_next_night(mornings: Nights) -> None:
    load(mornings, "tellody_activity", APRIL)
    mornings.sandbox.world.faults.add("status", match={"vendor": "tellody"}, times=None, status=400)
    evaluation, told = reconcile(mornings, "tellody_activity")
    assert_nothing_is_compared_yet(evaluation)
    assert "not asked: RequestRefused" in told["months"]
    mornings.sandbox.world.faults.clear()
    mornings.go(MORNING + ONE_NIGHT)
    assert len(tick(mornings, "tellody_activity").run_requests) == 1
    reconcile(mornings, "tellody_activity")
    assert [outcome for *_, outcome in remembered(mornings)] == ["failed", "agrees"]


def test_the_months_of_thirty_accounts_take_no_more_statements_than_those_of_three(
    warehouse: Warehouse,
) -> None:
    """Each run tells how they stand: of 1,000 accounts it sent 30,000 statements. Each account by what is its own."""
    feed, accounts = feed_of("calltouch"), [Account("calltouch", str(n), MOSCOW) for n in range(30)]
    march, april = list(each_day(*MARCH)), list(each_day(*APRIL))
    missing, changing, held = april[4], april[5:7], april[9]
    ways = ("due", "not loaded", "not settled", "held", "agrees", "loaded again")
    with warehouse.connect_admin() as connection:
        for number, account in enumerate(accounts):
            way = ways[number % len(ways)]
            loaded = [day for day in april if day != missing or way != "not loaded"]
            load_days(warehouse, "calltouch", account.label, *march, *loaded, rows=5, settled=True)
            connection.execute(
                "UPDATE ops.day_state SET settled = settled AND NOT (%s AND day = ANY(%s)),"
                " held = CASE WHEN %s AND day = %s THEN 'lost rows' END WHERE account = %s",
                (way == "not settled", changing, way == "held", held, account.label),
            )
            if way in ("agrees", "loaded again"):
                newest = connection.execute(
                    "SELECT max(receipt_id) FROM ops.day_state WHERE account = %s", (account.label,)
                ).fetchone()[0]
                compared = Comparison(
                    april[0], newest - (way != "agrees"), "agrees", clock.now(), {"records": (5, 5)}
                )
                reconciliations.write_comparison(connection, account, None, compared)
            connection.commit()

    def look(some: list[Account]) -> tuple[dict[str, list[tuple[str, str, str]]], int]:
        with counted_statements() as sent, warehouse.connect(autocommit=True) as connection:
            found = months_of(connection, feed, some)
        told: dict[str, list[tuple[str, str, str]]] = {account.label: [] for account in some}
        for month in found:
            told[month.window.account.label].append((month.name, month.state, month.why))
        return told, len(sent)

    _, of_few = look(accounts[:3])
    told, of_many = look(accounts)
    assert of_many == of_few
    of_april = {
        "due": ("due", ""),
        "not loaded": ("waits", "1 day not loaded (2024-04-05)"),
        "not settled": ("waits", "2 days not settled (2024-04-06..2024-04-07)"),
        "held": ("waits", "1 day held back (2024-04-10)"),
        "agrees": ("agrees", ""),
        "loaded again": ("due", ""),
    }
    for number, account in enumerate(accounts):
        expected = [("2024-04", *of_april[ways[number % len(ways)]]), ("2024-03", "due", "")]
        assert told[account.label] == expected, ways[number % len(ways)]
