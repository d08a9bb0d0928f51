"""A week of nights with one outage, told by webhook: a handful of alarms, each of whose commands mends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg
import pytest

from dagster_project.orchestration import alarms
from tests.support.erasing import command, sms
from tests.support.nights import NIGHT, ONE_NIGHT, QUIET, SANTIAGO_NIGHT, Nights, days
from tests.support.operating import WebhookReceiver

IN_EUROPE = ("calltouch", "tellody_activity", "tellody_purchases")
LARGEST_MESSAGE = 10_000


@pytest.fixture
def webhook() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    yield receiver
    receiver.close()


class Week:
    """Nights of every source, and the sensors of alarms after each, as the daemon evaluates them."""

    def __init__(self, nights: Nights, webhook: WebhookReceiver) -> None:
        self.nights = nights
        self.webhook = webhook
        self.cursors: dict[str, str | None] = {}

    def pass_night(self, number: int) -> None:
        for moment, sources in ((NIGHT, IN_EUROPE), (SANTIAGO_NIGHT, ("trust",))):
            self.nights.go(moment + number * ONE_NIGHT)
            for source in sources:
                self.nights.pass_night(source)
            self.look()

    def look(self) -> None:
        for sensor in alarms.sensors():
            context = dg.build_sensor_context(
                instance=self.nights.house.instance, cursor=self.cursors.get(sensor.name)
            )
            sensor.evaluate_tick(context)
            self.cursors[sensor.name] = context.cursor

    def told(self) -> list[dict[str, Any]]:
        """The messages since last asked."""
        found, self.webhook.bodies = self.webhook.bodies, []
        assert all(len(json.dumps(body)) < LARGEST_MESSAGE for body in found)
        return [body["alarm"] for body in found]

    def open_alarms(self) -> list[dict[str, Any]]:
        """What ``warehouse alarms`` lists, history aside."""
        return [alarm for alarm in listed() if not alarm["subject"].endswith("/history")]

    def mend(self, told: dict[str, Any]) -> None:
        """Run what the message offers, then what has come to it since; it is over then."""
        assert told["way_out"]
        run(told["way_out"])
        for alarm in self.open_alarms():
            assert alarm["id"] in told["ids"]
            run(alarm["way_out"])
        self.look()
        assert self.open_alarms() == []


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(command("alarms", "--json").stdout)
    return found


def run(lines: list[str]) -> None:
    """As a person would type them."""
    for line in lines:
        program, *arguments = line.split()
        assert program == "warehouse"
        done = command(*arguments)
        assert done.return_value == 0, done.output


def replace_day(nights: Nights, day: date, rejected: int = 0, good: int = 40) -> None:
    """What the vendor answers for the day from now on."""
    readable = [sms(day, f"7921000{n:04}", "Заказ готов", n) for n in range(good)]
    bad = [
        json.dumps({**json.loads(sms(day, "79201234567", "x", n)), "smsMessage": n}).encode()
        for n in range(rejected)
    ]
    nights.sandbox.world.calltouch.replace_day(int(QUIET), day, [*readable, *bad])


@pytest.mark.timeout(1800)
def test_a_week_with_one_outage_sends_a_handful_of_alarms_and_their_commands_mend(
    nights: Nights, webhook: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"ALARM_WEBHOOK_URL": webhook.url, "WAREHOUSE_HOLD_FROM_ROWS": "20"}
    nights.settings(monkeypatch, **given)
    week, world = Week(nights, webhook), nights.sandbox.world
    yesterday = [(NIGHT + n * ONE_NIGHT).date() - ONE_NIGHT for n in range(8)]

    # A first start loads history, of which some records cannot be read: nobody is told of it.
    replace_day(nights, days(9)[0], 3)
    assert nights.house.refresh(days(9)), nights.house.failure()
    week.pass_night(0)
    week.pass_night(1)
    assert week.told() == []

    # One outage of two nights is one alarm; nothing is overdue beside it.
    world.faults.add("outage", match={"vendor": "calltouch"}, times=None)
    week.pass_night(2)
    week.pass_night(3)
    [outage] = week.told()
    assert (outage["kind"], outage["source"]) == ("run_failed", "calltouch")
    world.faults.clear()
    week.mend(outage)
    assert set(yesterday[:4]) <= nights.settled(QUIET).keys()

    # Records that cannot be read, two nights for the same reason, are one alarm.
    replace_day(nights, yesterday[4], 2)
    replace_day(nights, yesterday[5], 2)
    week.pass_night(4)
    week.pass_night(5)
    [rejects] = week.told()
    assert (rejects["kind"], rejects["days"]) == ("check_failed", [str(yesterday[4])])
    for day in yesterday[4:6]:
        replace_day(nights, day)
    week.mend(rejects)

    # A day that lost its rows is held, and told once though the run failed for it, too.
    replace_day(nights, yesterday[5], good=5)
    week.pass_night(6)
    [held] = week.told()
    assert (held["kind"], held["days"]) == ("check_failed", [str(yesterday[5])])
    week.mend(held)
    week.pass_night(7)
    assert week.told() == []

    # What is left is history, which is red until somebody says that it is known.
    assert command("status").return_value == 1
    [history] = listed()
    assert command("alarms", "--acknowledge", str(history["id"])).return_value == 0
    left = command("status")
    assert left.return_value == 0, left.output
