"""The check ``fresh``: whether a source's newest day that should be there is there.

Grain: a source and its newest ended day (today, where the vendor tells nothing else). It speaks of
that day's partition alone, so rerunning an old day makes nothing look fresh. A run that finishes the
newest day says so; a sensor says that nobody did, also when no run ever started.

A day is given until ``FRESH_BY`` o'clock of the next morning, local time, before it is missed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import dagster as dg

from dagster_project import clock
from dagster_project.feed import Feed
from dagster_project.feeds import FEEDS
from dagster_project.model import ONE_DAY
from dagster_project.orchestration import services
from dagster_project.settings import Settings
from dagster_project.warehouse import debts
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import Connection

NAME: Final = "fresh"
DESCRIPTION: Final = (
    "The newest ended day is loaded for every account by the morning; told of that day alone."
)
FRESH_BY: Final = 6
INTERVAL_SECONDS: Final = 300


@dataclass(frozen=True)
class Freshness:
    """How a source stands with its newest day: ``behind`` has accounts and their last good day."""

    day: date
    behind: dict[str, str]

    @property
    def passed(self) -> bool:
        return not self.behind

    def metadata(self) -> dict[str, Any]:
        told: dict[str, Any] = {"newest day": self.day.isoformat()}
        for account, last in sorted(self.behind.items()):
            told[f"account {account}"] = f"last good day: {last}"
        return told


def newest_days(feed: Feed, settings: Settings, warehouse: Warehouse) -> list[date]:
    """The days of which one should be there by now, newest first; two where the vendor's ways are unknown."""
    today = clock.today(feed.time_zone(settings))
    return sorted(feed.night_days(settings, warehouse, today, [today - ONE_DAY]), reverse=True)


def freshness(
    connection: Connection, warehouse: Warehouse, feed: Feed, settings: Settings
) -> Freshness | None:
    """How the source stands; None while nothing of it was ever loaded."""
    days = newest_days(feed, settings, warehouse)
    behind, known = {}, False
    for account in feed.accounts(settings):
        today = clock.today(account.time_zone)
        expected = feed.night_days(settings, warehouse, today, [today - ONE_DAY])
        known |= debts.started_on(connection, account) is not None
        last = _last_day(connection, feed.source, account.label)
        if last is None or last < min(expected):
            behind[account.label] = str(last or "none")
    return Freshness(days[-1], behind) if known and days else None


def _last_day(connection: Connection, source: str, account: str) -> date | None:
    row = connection.execute(
        "SELECT max(day) FROM ops.day_state WHERE source = %s AND account = %s", (source, account)
    ).fetchone()
    return None if row is None else row[0]


def evaluation(feed: Feed, found: Freshness) -> dg.AssetCheckEvaluation:
    """What the sensor tells."""
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(feed.asset),
        check_name=NAME,
        passed=found.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata=found.metadata(),
        partition=found.day.isoformat(),
    )


@dg.sensor(
    name="freshness",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Says of each source's newest day whether it is loaded, once a day and when that changes.",
)
def freshness_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    told: dict[str, str] = json.loads(context.cursor or "{}")
    news = news_since(told, services.settings(), services.warehouse())
    if not news:
        return dg.SkipReason("nothing new")
    for feed, found in news:
        told[feed.source] = _mark(found)
    return dg.SensorResult(
        cursor=json.dumps(told), asset_events=[evaluation(feed, found) for feed, found in news]
    )


def news_since(
    told: dict[str, str], settings: Settings, warehouse: Warehouse
) -> Sequence[tuple[Feed, Freshness]]:
    """What is to be told of each source, but for what was told already."""
    news = []
    with warehouse.connect(what="freshness", autocommit=True) as connection:
        for feed in FEEDS:
            if not feed.accounts(settings):
                continue
            found = freshness(connection, warehouse, feed, settings)
            if found is None or told.get(feed.source) == _mark(found):
                continue
            hour = clock.now().astimezone(feed.time_zone(settings)).hour
            if found.passed or hour >= FRESH_BY:
                news.append((feed, found))
    return news


def _mark(found: Freshness) -> str:
    return f"{found.day} {'fresh' if found.passed else ' '.join(sorted(found.behind))}"
