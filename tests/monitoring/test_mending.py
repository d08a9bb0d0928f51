"""The commands that load days again, as the ledger says that they have to be loaded."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from dagster_project import clock
from dagster_project.config.settings import load_settings
from dagster_project.feeds import FEEDS
from dagster_project.model.window import Account
from dagster_project.monitoring.mending import Ledger, mending_commands
from dagster_project.text.remedies import Verb, load_command
from dagster_project.warehouse.connection import Warehouse
from tests.support.ledger import load_days
from tests.support.trust_alone import (
    COMPANY,
    TRUST,
    learn_that_ranges_are_ignored,
    trust_settings,
)

DAYS = [date(2024, 5, 1) + timedelta(days=n) for n in range(4)]
ACCOUNT = Account("calltouch", "101", ZoneInfo("Europe/Moscow"))
SMS = next(feed for feed in FEEDS if feed.source == "calltouch")


def commands(warehouse: Warehouse, verb: Verb = "backfill") -> list[str]:
    settings = load_settings({}, dotenv=None)
    with warehouse.connect(autocommit=True) as connection:
        ledger = Ledger(settings, warehouse, connection)
        return mending_commands(ledger, SMS, {ACCOUNT: DAYS}, verb)[ACCOUNT]


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
    learn_that_ranges_are_ignored(warehouse)
    today = clock.today(COMPANY.time_zone)
    with warehouse.connect(autocommit=True) as connection:
        ledger = Ledger(trust_settings(), warehouse, connection)
        found = [
            mending_commands(ledger, TRUST, {COMPANY: days}, verb)[COMPANY]
            for days, verb in ((DAYS, "backfill"), ([*DAYS, today], "backfill"), (DAYS, "replay"))
        ]
    assert found == [
        [],
        [load_command("trust", "7", today, today)],
        [load_command("trust", "7", DAYS[0], DAYS[-1], verb="replay")],
    ]
