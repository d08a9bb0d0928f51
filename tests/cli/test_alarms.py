"""``warehouse alarms``: what is wrong, each cause once; acknowledged or muted, it is red no more."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import click
import pytest

from dagster_project import clock
from dagster_project.sandbox.server import Sandbox
from tests.support.erasing import command, sms
from tests.support.operating import SITE, House, days_back


@pytest.fixture
def day(house: House, sandbox: Sandbox) -> date:
    """Yesterday, of which a few records cannot be read."""
    [yesterday] = days_back(1)
    reject(sandbox, yesterday, 2)
    assert house.refresh([yesterday]), house.failure()
    return yesterday


def reject(sandbox: Sandbox, day: date, records: int) -> None:
    good = [sms(day, f"7921000{n:04}", "Заказ готов", n) for n in range(40)]
    bad = [
        json.dumps({**json.loads(sms(day, "79201234567", "x", n)), "smsMessage": n}).encode()
        for n in range(records)
    ]
    sandbox.world.calltouch.replace_day(int(SITE), day, [*good, *bad])


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(command("alarms", "--json").stdout)
    return found


def test_a_cause_is_listed_with_what_it_concerns_and_the_commands(house: House, day: date) -> None:
    [alarm] = listed()
    assert (alarm["source"], alarm["accounts"], alarm["days"]) == ("calltouch", [SITE], [str(day)])
    assert alarm["red"] is True
    assert alarm["way_out"] == [
        f"warehouse backfill --source calltouch --account {SITE} --from {day} --to {day}"
    ]
    shown = command("alarms").stdout
    assert f"warehouse rejects --source calltouch --account {SITE} --from {day}" in shown
    assert "1 alarm open." in shown
    assert "79201234567" not in shown


def test_what_is_acknowledged_is_not_red_until_it_changes(
    house: House, sandbox: Sandbox, day: date
) -> None:
    assert command("status").return_value == 1
    [alarm] = listed()
    done = command("alarms", "--acknowledge", str(alarm["id"]), "--by", "ann")
    assert done.return_value == 0
    [known] = listed()
    assert (known["acknowledged_by"], known["red"]) == ("ann", False)
    good = command("status")
    assert good.return_value == 0, good.stdout
    assert "1 alarm acknowledged or muted" in good.stdout
    house.rows(
        "UPDATE ops.account_start SET first_observed_at = now() - interval '9 days' RETURNING 1"
    )
    [before] = days_back(2, 2)
    reject(sandbox, before, 1)
    assert house.refresh([before]), house.failure()
    [changed] = listed()
    assert (changed["acknowledged_by"], changed["red"]) == (None, True)
    assert command("status").return_value == 1


def test_what_is_muted_says_until_when_and_by_whom(house: House, day: date) -> None:
    [alarm] = listed()
    until = str(clock.now().date() + timedelta(days=2))
    number = str(alarm["id"])
    assert command("alarms", "--mute", number, "--until", until, "--by", "ann").return_value == 0
    assert f"(muted until {until} by ann)" in command("alarms").stdout
    assert command("status").return_value == 0
    assert command("alarms", "--unmute", number).return_value == 0
    assert command("status").return_value == 1


def test_it_is_over_once_the_vendor_has_mended_it_and_the_command_was_run(
    house: House, sandbox: Sandbox, day: date
) -> None:
    [alarm] = listed()
    reject(sandbox, day, 0)
    [line] = alarm["way_out"]
    assert command(*line.split()[1:]).return_value == 0
    assert listed() == []


@pytest.mark.parametrize(
    "options",
    [("--mute", "1"), ("--until", "2100-01-01"), ("--mute", "1", "--until", "2020-01-01")],
)
def test_muting_takes_a_day_to_come(house: House, options: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError):
        command("alarms", *options)


def test_an_alarm_that_is_not_open_is_named(house: House) -> None:
    done = command("alarms", "--acknowledge", "99")
    assert done.return_value == 1
    assert "alarm 99 is not open" in done.output
