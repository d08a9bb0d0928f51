"""``warehouse rejects``: what could not be loaded is listed by reason, day and account."""

from __future__ import annotations

import json
from datetime import date

import dagster as dg
import pytest

from dagster_project.sandbox.server import Sandbox
from tests.support.erasing import command, sms
from tests.support.operating import SITE, House, days_back

PHONE = "79201234567"


@pytest.fixture
def days(house: House, sandbox: Sandbox) -> list[date]:
    """Two days: of each some records have no date that can be read."""
    found = days_back(2)
    for number, day in enumerate(found, start=1):
        good = [sms(day, f"7921000{n:04}", "Заказ готов", n) for n in range(40)]
        bad = [
            json.dumps({**json.loads(sms(day, PHONE, f"секрет {n}", n)), "smsMessage": n}).encode()
            for n in range(number)
        ]
        sandbox.world.calltouch.replace_day(int(SITE), day, [*good, *bad])
    assert house.refresh(found), house.failure()
    return found


def test_rejected_records_are_counted_by_reason_day_and_account(
    house: House, days: list[date]
) -> None:
    listed = json.loads(command("rejects", "--json").stdout)
    assert [(group["account"], group["day"], group["records"]) for group in listed] == [
        (SITE, str(days[1]), 2),
        (SITE, str(days[0]), 1),
    ]
    (reason,) = {group["reason"] for group in listed}
    shown = command("rejects").stdout
    assert "3 records rejected." in shown
    assert str(days[0]) in shown
    assert reason.split()[-1] in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert len(json.loads(command("rejects", "--from", str(days[1]), "--json").stdout)) == 1
    assert json.loads(command("rejects", "--account", "1", "--json").stdout) == []


def test_records_are_shown_on_demand_alone(house: House, days: list[date]) -> None:
    for options in ((), ("--json",)):
        shown = command("rejects", *options).stdout
        assert PHONE not in shown
        assert "секрет" not in shown
    lines = command("rejects", "--originals", "--to", str(days[0])).stdout.splitlines()
    (record,) = [json.loads(line) for line in lines]
    assert json.loads(record["original"])["phoneNumber"] == PHONE


def test_what_a_later_answer_no_longer_has_is_not_listed(
    house: House, sandbox: Sandbox, days: list[date]
) -> None:
    good = [sms(days[1], f"7921000{n:04}", "Заказ готов", n) for n in range(42)]
    sandbox.world.calltouch.replace_day(int(SITE), days[1], good)
    assert house.refresh(days[1:]), house.failure()
    (left,) = json.loads(command("rejects", "--json").stdout)
    assert left["day"] == str(days[0])


def test_a_backfill_says_why_records_were_rejected_and_which_command_shows_them(
    house: House, days: list[date]
) -> None:
    done = command("backfill", "--from", str(days[0]), "--to", str(days[1]))
    (why,) = [line for line in done.stdout.splitlines() if line.startswith("  3 rejected: 3 ")]
    assert "smsMessage" in why
    (look,) = [line for line in done.stdout.splitlines() if "look at them: " in line]
    arguments = look.split("look at them: warehouse ")[1].split()
    assert arguments == [
        *("rejects", "--source", "calltouch", "--from", str(days[0]), "--to", str(days[1]))
    ]
    assert "3 records rejected." in command(*arguments).stdout


def test_the_page_of_a_day_says_why_and_where_to_look(house: House, days: list[date]) -> None:
    key = dg.AssetKey(["calltouch", "sms"])
    wanted = dg.AssetRecordsFilter(key, asset_partitions=[str(days[1])])
    [record] = house.instance.fetch_materializations(wanted, limit=1).records
    assert record.asset_materialization is not None
    shown = str(record.asset_materialization.metadata["rejected because"].value)
    assert shown.startswith("2 ")
    assert f"warehouse rejects --source calltouch --account {SITE} --from {days[1]}" in shown
