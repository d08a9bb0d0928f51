"""The commands that load days again, as the ledger says that they have to be loaded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from dagster_project.config.settings import load_settings
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed
from dagster_project.model.window import Account
from dagster_project.monitoring.mending import mending_commands
from dagster_project.text.remedies import Verb, load_command
from dagster_project.warehouse.connection import Warehouse
from tests.support.ledger import load_days

DAYS = [date(2024, 5, 1) + timedelta(days=n) for n in range(4)]
ACCOUNT = Account("calltouch", "101", ZoneInfo("Europe/Moscow"))
SMS = next(feed for feed in FEEDS if feed.source == "calltouch")


def commands(warehouse: Warehouse, feed: Feed = SMS, verb: Verb = "backfill") -> list[str]:
    settings = load_settings({}, dotenv=None)
    with warehouse.connect(autocommit=True) as connection:
        return mending_commands(connection, warehouse, settings, feed, ACCOUNT, DAYS, verb=verb)


def test_neighbouring_days_share_a_command(warehouse: Warehouse) -> None:
    assert commands(warehouse) == [load_command("calltouch", "101", DAYS[0], DAYS[-1])]
    assert commands(warehouse, verb="replay") == [
        load_command("calltouch", "101", DAYS[0], DAYS[-1], verb="replay")
    ]


def test_a_held_day_is_loaded_with_the_option_that_takes_it(warehouse: Warehouse) -> None:
    load_days(warehouse, "calltouch", "101", *DAYS)
    with warehouse.connect_admin() as connection:
        connection.execute(
            "UPDATE ops.day_state SET held = 'it shrank', held_kinds = '{shrink}' WHERE day = %s",
            (DAYS[1],),
        )
    assert set(commands(warehouse)) == {
        load_command("calltouch", "101", DAYS[0], DAYS[0]),
        load_command("calltouch", "101", DAYS[1], DAYS[1], accept=["shrink"]),
        load_command("calltouch", "101", DAYS[2], DAYS[3]),
    }


def test_no_command_asks_for_a_day_that_the_vendor_cannot_be_asked_for(
    warehouse: Warehouse,
) -> None:
    def today_alone(
        settings: object, warehouse: object, today: date, days: Collection[date]
    ) -> list[date]:
        return [today]

    feed = replace(SMS, by_night=today_alone)
    assert commands(warehouse, feed) == []
    assert commands(warehouse, feed, verb="replay") != [], "what is stored can be read anew"
