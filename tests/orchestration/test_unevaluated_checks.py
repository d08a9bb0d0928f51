"""What a run did not come to evaluate: no check is red, skipped or green for it."""

from __future__ import annotations

import asyncio
from datetime import date

import dagster as dg
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionResolvedStatus as Status,
)

from dagster_project.model.check_outcome import MONTH_ADDS_UP
from tests.support.nights import QUIET, Nights, days
from tests.support.reconciling import reconcile

SMS = dg.AssetKey(["calltouch", "sms"])


def shown(nights: Nights, day: date | None = None) -> dict[str, Status]:
    """How Dagster's UI shows the checks, of a day or of the source; those never evaluated are absent."""
    instance = nights.house.instance
    graph = nights.house.definitions.resolve_asset_graph()
    found = {}
    for key in graph.get_check_keys_for_assets({SMS}):
        records = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
        partition = str(day) if day else None
        latest = [one for one in records if one.partition == partition][:1]
        for record in latest:
            loading = LoadingContextForTest(instance)
            found[key.name] = asyncio.run(record.resolve_status(loading))
    return found


def said(nights: Nights) -> list[str]:
    [run] = nights.house.instance.get_runs(limit=1)
    return [entry.message for entry in nights.house.instance.all_logs(run.run_id)]


def spend_all_points(nights: Nights) -> None:
    nights.sandbox.world.faults.add("points_exhausted", match={"account": QUIET}, times=None)


def test_a_day_for_which_no_points_are_left_has_no_red_check(nights: Nights) -> None:
    spend_all_points(nights)
    assert not nights.house.refresh(days(1))
    assert shown(nights, days(1)[0]) == {}
    assert set(shown(nights).values()) <= {Status.SUCCEEDED}


def test_a_loaded_day_that_is_asked_for_in_vain_shows_what_was_evaluated_last(
    nights: Nights,
) -> None:
    assert nights.house.refresh(days(1))
    evaluated = shown(nights, days(1)[0])
    assert {"complete", "dates_inside", "not_shrunk"} <= evaluated.keys()
    assert set(evaluated.values()) == {Status.SUCCEEDED}
    assert "fresh" not in evaluated, "it is of the source, and no day's"
    spend_all_points(nights)
    assert not nights.house.refresh(days(1))
    assert shown(nights, days(1)[0]) == evaluated


def test_a_good_run_logs_no_message_that_outputs_are_absent(nights: Nights) -> None:
    assert nights.house.refresh(days(2))
    assert not [line for line in said(nights) if "did not yield" in line]
    assert nights.house.replay(days(2))
    assert not [line for line in said(nights) if "did not yield" in line]


def test_nothing_compared_yet_is_not_green(nights: Nights) -> None:
    assert nights.house.refresh(days(2))
    assert MONTH_ADDS_UP not in shown(nights), "no month has ended of which a day is loaded"
    assert nights.house.refresh([date(2024, 4, 30)])
    assert shown(nights)[MONTH_ADDS_UP] == Status.FAILED, "by a run that loads days, as a warning"
    evaluation, _ = reconcile(nights, "calltouch")
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert evaluation.description == "nothing compared yet; months that wait: 1"
