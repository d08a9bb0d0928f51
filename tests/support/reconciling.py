"""Months held against played vendors: loading them, changing them, and runs of the check."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from dagster_project.model.check_outcome import MONTH_ADDS_UP
from dagster_project.model.window import each_day
from dagster_project.orchestration.names import reconcile_job_name
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.runner import RunScope, refresh_days
from tests.support.nights import QUIET, Nights
from tests.support.operating import KEY, feed_of

APRIL = date(2024, 4, 1), date(2024, 4, 30)
MARCH = date(2024, 3, 1), date(2024, 3, 31)
SOURCES = ("calltouch", "tellody_activity", "trust")
MORNING = datetime(2024, 5, 10, 6, 10, tzinfo=ZoneInfo("Europe/Moscow"))


def load(nights: Nights, source: str, *months: tuple[date, date]) -> None:
    for month in months:
        assert nights.house.refresh(list(each_day(*month)), source)


def load_without_dagster(nights: Nights, source: str, day: date) -> None:
    """What a run of Dagster would load, at a quarter of its cost."""
    house = nights.house
    with FeedRun(feed_of(source), house.settings, house.warehouse, KEY) as run:
        [done] = refresh_days(run, RunScope([day]))
    assert not done.problems, done.problems
    assert {receipt.day for receipt in done.receipts} == {day}


def reconcile(nights: Nights, source: str) -> tuple[dg.AssetCheckEvaluation, dict[str, Any]]:
    """Run the job as the schedule does; answers its one evaluation and what that tells."""
    house = nights.house
    job = house.definitions.resolve_job_def(reconcile_job_name(feed_of(source)))
    done = job.execute_in_process(instance=house.instance, raise_on_error=False)
    assert done.success
    [evaluation] = done.get_asset_check_evaluations()
    assert evaluation.check_name == MONTH_ADDS_UP
    assert evaluation.asset_key == dg.AssetKey(feed_of(source).asset)
    return evaluation, {name: value.value for name, value in evaluation.metadata.items()}


def tick(nights: Nights, source: str) -> dg.ScheduleExecutionData | Any:
    definitions = nights.house.definitions
    schedule = definitions.resolve_schedule_def(reconcile_job_name(feed_of(source)))
    with dg.build_schedule_context(
        nights.house.instance,
        scheduled_execution_time=nights.sandbox.world.clock.now(),
        repository_def=definitions.get_repository_def(),
    ) as context:
        return schedule.evaluate_tick(context)


def remembered(nights: Nights) -> list[tuple[Any, ...]]:
    return nights.house.rows(
        "SELECT account, to_char(month, 'YYYY-MM'), outcome FROM ops.reconciliation"
        " ORDER BY reconciliation_id"
    )


def requests(nights: Nights, source: str) -> int:
    return nights.sandbox.world.stats.requests(source.partition("_")[0])


def points(nights: Nights) -> int:
    return sum(row[0] for row in nights.house.rows("SELECT points FROM ops.point_ledger"))


def change_april(nights: Nights, source: str) -> None:
    """Let April differ from what is loaded of it: rows come late, or a day was told otherwise."""
    world = nights.sandbox.world
    if source == "calltouch":
        load(nights, source, APRIL)
        [row, *_] = world.calltouch.rows(int(QUIET), APRIL[1], APRIL[1])
        world.calltouch.insert_rows(int(QUIET), APRIL[1], [row, row, row], second=77)
        return
    if source == "tellody_activity":
        world.faults.add("odd_total", match={"path": "*/UniqueCode"}, value=1)
        load(nights, source, APRIL)
        return
    nights.go(datetime(2024, 5, 2, 23, 30, tzinfo=ZoneInfo("America/Santiago")))
    load(nights, source, APRIL)
    nights.house.rows("UPDATE ops.day_state SET settled = true RETURNING day")
    nights.go(MORNING)
