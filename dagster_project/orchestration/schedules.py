"""A nightly schedule for each source that has credentials, in the source's time zone.

It ticks after the day has ended, asks the ledger what is due, and requests range runs of it. Nights
that were missed need nothing special: Dagster makes up for the latest missed tick, and whatever has no
good receipt is still due. A tick that is repeated requests the same runs, which Dagster knows by their
keys and does not start twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed
from dagster_project.orchestration import names
from dagster_project.orchestration.nights import Night, plan_night
from dagster_project.pipeline import services

HOUR: Final = 2
"""Of the source's own day: no clock change of midnight reaches it."""
NIGHT_TAG: Final = "night"
CRASH_RETRIES: Final = "2"


def schedules_of(settings: Settings) -> list[dg.ScheduleDefinition]:
    """One for each source with credentials; running from the start."""
    return [_schedule(feed, settings) for feed in FEEDS if feed.accounts(settings)]


def _schedule(feed: Feed, settings: Settings) -> dg.ScheduleDefinition:
    zone = feed.time_zone(settings)

    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        night = context.scheduled_execution_time.astimezone(zone).date()
        plan = plan_night(feed, services.settings(), services.warehouse())
        context.log.info(_in_words(plan))
        if not plan.ranges:
            yield dg.SkipReason("nothing is due: every day is settled, or was read tonight")
        for first, last in plan.ranges:
            yield _request(feed, night, first, last)

    return dg.ScheduleDefinition(
        name=f"nightly_{feed.source}",
        job_name=names.job_name(feed),
        cron_schedule=f"{feed.minute} {HOUR} * * *",  # not all sources at once
        execution_timezone=str(zone),
        execution_fn=tick,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"{feed.title}: yesterday, every day that is not settled, and days that were missed or"
            " asked for, as many as the budget suffices for."
        ),
    )


def _request(feed: Feed, night: date, first: date, last: date) -> dg.RunRequest:
    # By its first day: newest days are done first, so that is what a repeated tick still finds due.
    return dg.RunRequest(
        run_key=f"{feed.source}/{night}/{first}",
        asset_selection=[dg.AssetKey(feed.raw_asset), dg.AssetKey(feed.asset)],
        tags={
            "source": feed.source,
            NIGHT_TAG: night.isoformat(),
            ASSET_PARTITION_RANGE_START_TAG: first.isoformat(),
            ASSET_PARTITION_RANGE_END_TAG: last.isoformat(),
            # Dagster's own repetition, of runs whose process died: not of those that ended failed.
            "dagster/max_retries": CRASH_RETRIES,
            "dagster/retry_strategy": "ALL_STEPS",
        },
        run_config={"ops": {names.op_name(feed): {"config": {"only_due": True}}}},
    )


def _in_words(plan: Night) -> str:
    lines = [f"{first}..{last}" for first, last in plan.ranges]
    counts: dict[str, int] = {}
    for reason in plan.reasons.values():
        counts[reason] = counts.get(reason, 0) + 1
    why = ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "nothing"
    waiting = "".join(
        f"; account {label}: {days} days wait for another night's budget"
        for label, days in plan.left.items()
    )
    return f"due: {why}; runs over {', '.join(lines) or 'no days'}{waiting}"
