"""What a message of alarms says, to people and to programs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

from dagster_project.monitoring.alarm import Alarm
from dagster_project.monitoring.alarm_delivery import (
    LONGEST_BODY,
    fields_of,
    text_of,
    title_of,
)
from dagster_project.text.remedies import load_command

DAY, NEXT = date(2024, 5, 1), date(2024, 5, 2)
FIRST = Alarm(
    subject="check/calltouch/sms/not_shrunk/ERROR/2024-05-01",
    kind="check_failed",
    severity="error",
    source="calltouch",
    accounts=["101"],
    days=[DAY],
    what="check not_shrunk of 2024-05-01: it lost rows.",
    hint=[load_command("calltouch", "101", DAY, DAY, accept=["shrink"])],
    message_group="check",
    run_id="abc",
    alarm_id=1,
)
SECOND = replace(
    FIRST,
    days=[NEXT],
    hint=[load_command("calltouch", "101", NEXT, NEXT, accept=["shrink"])],
    alarm_id=2,
)


def test_a_message_names_source_account_and_days_once() -> None:
    title = title_of([FIRST, SECOND])
    assert title.startswith("calltouch: ")
    assert title.endswith("account 101, 2024-05-01..2024-05-02")
    text = text_of([FIRST, SECOND])
    assert text.count("check not_shrunk") == 1
    assert text.endswith("Run abc")


def test_commands_of_held_days_keep_the_option_that_takes_them_when_they_are_joined() -> None:
    joined = load_command("calltouch", "101", DAY, NEXT, accept=["shrink"])
    assert fields_of([FIRST, SECOND])["way_out"] == [joined]
    assert joined in text_of([FIRST, SECOND])


def test_a_program_reads_the_same_and_knows_a_repetition_by_its_ids() -> None:
    fields = fields_of([FIRST, SECOND])
    assert fields["ids"] == [1, 2]
    assert fields["days"] == ["2024-05-01", "2024-05-02"]
    assert (fields["kind"], fields["severity"], fields["run_id"]) == (
        "check_failed",
        "error",
        "abc",
    )


def test_a_message_is_bounded_whatever_it_tells_of() -> None:
    days = [DAY + timedelta(days=2 * n) for n in range(400)]
    many = [
        replace(
            FIRST,
            accounts=[f"{n:09}" for n in range(200)],
            days=days,
            what=f"{number} " + "it lost rows, " * 400,
            hint=[load_command("calltouch", "101", day, day) for day in days],
            alarm_id=number,
        )
        for number in range(1, 200)
    ]
    body = json.dumps({"text": text_of(many), "alarm": fields_of(many)})
    assert len(body) < LONGEST_BODY
    assert "and 180 more" in title_of(many)
    assert fields_of(many)["days_count"] == 400
    assert fields_of(many)["days"][-1] == days[-1].isoformat()


def test_a_message_says_how_to_leave_it_as_it_is() -> None:
    assert "warehouse alarms --acknowledge 1 --acknowledge 2" in text_of([FIRST, SECOND])
