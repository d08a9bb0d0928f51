"""The check ``fresh``: whether a source's newest day that should be there is there.

Grain: a source. It is judged by its newest ended day (today, where the vendor tells nothing else), never
by when something was last loaded: rerunning an old day makes nothing look fresh. Each run says how the
source stands at its end; a sensor says when that changes though no run began.

A day is given until ``FRESH_BY`` o'clock of the next morning, local time, before it is missed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import dagster as dg

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed
from dagster_project.model.window import ONE_DAY, Account
from dagster_project.orchestration import services
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.ledger import owed_days

NAME: Final = "fresh"
FRESH_BY: Final = 6
DESCRIPTION: Final = (
    f"The newest ended day is loaded for every account, by {FRESH_BY} o'clock of the next morning."
    " Loading an old day changes nothing here."
)
INTERVAL_SECONDS: Final = 300


@dataclass(frozen=True)
class Freshness:
    """How a source stands: the day that should be there by now, and who is ``behind`` it.

    ``last`` has the last good day of every account.
    """

    day: date
    last: dict[str, date | None]

    @property
    def behind(self) -> list[str]:
        return sorted(a for a, last in self.last.items() if last is None or last < self.day)

    @property
    def passed(self) -> bool:
        return not self.behind

    def metadata(self) -> dict[str, Any]:
        told: dict[str, Any] = {"newest day due": self.day.isoformat()}
        for account, last in sorted(self.last.items()):
            told[f"last good day of {account}"] = str(last or "none")
        return told


def freshness(
    connection: Connection, warehouse: Warehouse, feed: Feed, settings: Settings
) -> Freshness | None:
    """How the source stands; None while nothing of it was ever loaded."""
    accounts = feed.accounts(settings)
    if not any(owed_days.started_on(connection, account) for account in accounts):
        return None
    due = [_newest_due(warehouse, feed, settings, account) for account in accounts]
    last = {account.label: _last_day(connection, account) for account in accounts}
    return Freshness(min(due), last)


def _newest_due(warehouse: Warehouse, feed: Feed, settings: Settings, account: Account) -> date:
    """The newest day that should be there; the older one where either would do."""
    morning = clock.now() - timedelta(hours=FRESH_BY)
    today = morning.astimezone(account.time_zone).date()
    return min(feed.night_days(settings, warehouse, today, [today - ONE_DAY]))


def _last_day(connection: Connection, account: Account) -> date | None:
    row = connection.execute(
        "SELECT max(day) FROM ops.day_state WHERE source = %s AND account = %s",
        (account.source, account.label),
    ).fetchone()
    return None if row is None else row[0]


def evaluation(feed: Feed, found: Freshness) -> dg.AssetCheckEvaluation:
    """What is told of it: of the source, not of a partition."""
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(feed.asset),
        check_name=NAME,
        passed=found.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata=found.metadata(),
    )


@dg.sensor(
    name="freshness",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Says of each source whether its newest day is loaded: once a day, and when that changes.",
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
            if found is not None and told.get(feed.source) != _mark(found):
                news.append((feed, found))
    return news


def _mark(found: Freshness) -> str:
    return f"{found.day} {'fresh' if found.passed else ' '.join(found.behind)}"
