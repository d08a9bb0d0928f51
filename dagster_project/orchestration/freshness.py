"""The check ``fresh``: whether a source's newest day that should be there is there.

Grain: a source. ``monitoring/lateness.py`` decides by the newest day that is due, never by when something
was last loaded: loading an old day again makes nothing fresh. Each run says how the source stands at its
end; a sensor says when that changes though no run began.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

import dagster as dg

from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed
from dagster_project.monitoring.lateness import DUE_AFTER, expect_askable, lateness
from dagster_project.pipeline import services
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.ledger import owed_days
from dagster_project.warehouse.vendor_store import OneLook

NAME: Final = "fresh"
DESCRIPTION: Final = (
    f"The newest ended day is loaded for every account, {DUE_AFTER // timedelta(hours=1)} hours after its end."
    " Loading an old day changes nothing here."
)
INTERVAL_SECONDS: Final = 300


@dataclass(frozen=True)
class Freshness:
    """The newest day that is due of a source, each account's newest day, and the accounts that are late."""

    day: date
    newest: dict[str, date | None]
    late: list[str]

    @property
    def passed(self) -> bool:
        return not self.late

    def metadata(self) -> dict[str, Any]:
        told: dict[str, Any] = {"newest day due": self.day.isoformat()}
        for account, last in sorted(self.newest.items()):
            told[f"last good day of {account}"] = str(last or "none")
        return told


def freshness(
    connection: Connection, warehouse: Warehouse, feed: Feed, settings: Settings
) -> Freshness | None:
    """How the source stands; None while nothing of it was ever loaded."""
    accounts = feed.accounts(settings)
    if not owed_days.first_days(connection, accounts):
        return None
    store = OneLook(warehouse, lambda: nullcontext(connection))
    expected = [expect_askable(feed, settings, store, one, DUE_AFTER) for one in accounts]
    # The zones of accounts differ: the source is as far as the one whose day ends last.
    day = min(one.due for one in expected)
    found = lateness(connection, [replace(one, due=day) for one in expected])
    return Freshness(
        day,
        {account: one.newest for (_, account), one in found.items()},
        sorted(account for (_, account), one in found.items() if one.is_late),
    )


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
    return f"{found.day} {'fresh' if found.passed else ' '.join(found.late)}"
