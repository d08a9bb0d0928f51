"""What the comparison of months may spend, and what it leaves for another night."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest

from tests.support.nights import BUSY, ONE_NIGHT, Nights
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
