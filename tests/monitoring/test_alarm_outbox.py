"""Alarms: raised once, delivered once on each channel, over when their subject is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from dagster_project.monitoring import alarm_outbox
from dagster_project.monitoring.alarm_outbox import Alarm, NotDelivered
from dagster_project.warehouse.connection import Warehouse

ALARM = Alarm(
    subject="run/1",
    kind="run_failed",
    severity="error",
    source="calltouch",
    accounts=["101"],
    days=[date(2024, 5, 1)],
    what="it failed for +79261234567",
    hint=["warehouse backfill"],
    message_group="run/1",
)


@pytest.fixture
def delivered() -> list[list[str]]:
    return []


def test_a_subject_is_raised_once_while_it_is_open(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        assert alarm_outbox.raise_alarms(connection, [ALARM, ALARM], ["email"]) == 1
        assert alarm_outbox.raise_alarms(connection, [ALARM], ["email"]) == 0
        [stored] = alarm_outbox.open_alarms(connection)
        assert "9261234567" not in stored.what
        assert alarm_outbox.resolve(connection, ["run/1"]) == 1
        assert alarm_outbox.open_alarms(connection) == []
        assert alarm_outbox.raise_alarms(connection, [ALARM], ["email"]) == 1, "it came again"


def test_alarms_of_one_group_are_one_message_on_each_channel(
    warehouse: Warehouse, delivered: list[list[str]]
) -> None:
    def deliver(alarms: Sequence[Alarm]) -> None:
        delivered.append([alarm.subject for alarm in alarms])

    other = replace(ALARM, subject="run/2", message_group="run/2")
    same = replace(ALARM, subject="run/1/again")
    with warehouse.connect(autocommit=True) as connection:
        alarm_outbox.raise_alarms(connection, [ALARM, other, same], ["email", "webhook"])
        assert alarm_outbox.deliver_waiting(connection, "email", deliver) == (2, None)
        assert delivered == [["run/1", "run/1/again"], ["run/2"]]
        assert alarm_outbox.deliver_waiting(connection, "email", deliver) == (0, None)
        assert alarm_outbox.deliver_waiting(connection, "webhook", deliver) == (2, None)


def test_a_channel_that_is_down_loses_nothing(
    warehouse: Warehouse, delivered: list[list[str]]
) -> None:
    def refuse(alarms: Sequence[Alarm]) -> None:
        raise NotDelivered("the server was away")

    def deliver(alarms: Sequence[Alarm]) -> None:
        delivered.append([alarm.subject for alarm in alarms])

    with warehouse.connect(autocommit=True) as connection:
        alarm_outbox.raise_alarms(connection, [ALARM], ["email"])
        assert alarm_outbox.deliver_waiting(connection, "email", refuse) == (
            0,
            "the server was away",
        )
        assert alarm_outbox.undelivered(connection) == [("email", 1, "the server was away")]
        assert alarm_outbox.deliver_waiting(connection, "email", deliver) == (0, None), "a pause"
        connection.execute("UPDATE ops.alarm_delivery SET next_try_at = now()")
        assert alarm_outbox.deliver_waiting(connection, "email", deliver) == (1, None)
        assert alarm_outbox.undelivered(connection) == []
    assert delivered == [["run/1"]]
