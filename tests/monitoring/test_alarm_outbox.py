"""Alarms: raised once, delivered once on each channel, over when their subject is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from dagster_project.monitoring import alarm_acts, alarm_outbox, alarm_queue
from dagster_project.monitoring.alarm import HISTORY, Alarm
from dagster_project.monitoring.alarm_queue import NotDelivered
from dagster_project.warehouse.connection import Warehouse
from tests.support.ledger import load_days

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
        assert alarm_queue.deliver_waiting(connection, "email", deliver) == (2, None)
        assert delivered == [["run/1", "run/1/again"], ["run/2"]]
        assert alarm_queue.deliver_waiting(connection, "email", deliver) == (0, None)
        assert alarm_queue.deliver_waiting(connection, "webhook", deliver) == (2, None)


def test_a_channel_that_is_down_loses_nothing(
    warehouse: Warehouse, delivered: list[list[str]]
) -> None:
    def refuse(alarms: Sequence[Alarm]) -> None:
        raise NotDelivered("the server was away")

    def deliver(alarms: Sequence[Alarm]) -> None:
        delivered.append([alarm.subject for alarm in alarms])

    with warehouse.connect(autocommit=True) as connection:
        alarm_outbox.raise_alarms(connection, [ALARM], ["email"])
        assert alarm_queue.deliver_waiting(connection, "email", refuse) == (
            0,
            "the server was away",
        )
        assert alarm_queue.undelivered(connection) == [("email", 1, "the server was away")]
        assert alarm_queue.deliver_waiting(connection, "email", deliver) == (0, None), "a pause"
        connection.execute("UPDATE ops.alarm_delivery SET next_try_at = now()")
        assert alarm_queue.deliver_waiting(connection, "email", deliver) == (1, None)
        assert alarm_queue.undelivered(connection) == []
    assert delivered == [["run/1"]]


def deliver_nothing(alarms: Sequence[Alarm]) -> None:
    """A channel that takes everything."""


def test_a_further_day_is_told_only_after_the_ones_before_were_acknowledged(
    warehouse: Warehouse,
) -> None:
    more = replace(ALARM, days=[date(2024, 5, 2)])
    again = replace(ALARM, days=[date(2024, 5, 3)])
    with warehouse.connect(autocommit=True) as connection:
        assert alarm_outbox.raise_alarms(connection, [ALARM], ["email"]) == 1
        assert alarm_outbox.raise_alarms(connection, [more], ["email"]) == 0
        [known] = alarm_outbox.open_alarms(connection)
        assert known.days == [date(2024, 5, 1), date(2024, 5, 2)]
        alarm_acts.acknowledge(connection, [known.alarm_id], "ann")
        assert alarm_outbox.raise_alarms(connection, [more], ["email"]) == 0, "known"
        [known] = alarm_outbox.open_alarms(connection)
        assert (known.acknowledged_by, known.is_red) == ("ann", False)
        assert alarm_outbox.raise_alarms(connection, [again], ["email"]) == 1
        [changed] = alarm_outbox.open_alarms(connection)
        assert (changed.acknowledged_by, changed.is_red) == (None, True)
        assert alarm_queue.deliver_waiting(connection, "email", deliver_nothing) == (1, None)


def test_a_further_cause_is_told_again(warehouse: Warehouse) -> None:
    first = replace(ALARM, causes=["no phone"])
    with warehouse.connect(autocommit=True) as connection:
        alarm_outbox.raise_alarms(connection, [first], ["email"])
        assert alarm_queue.deliver_waiting(connection, "email", deliver_nothing) == (1, None)
        both = replace(ALARM, causes=["no date", "no phone"])
        assert alarm_outbox.raise_alarms(connection, [both], ["email"]) == 1
        assert alarm_queue.deliver_waiting(connection, "email", deliver_nothing) == (1, None)
        assert alarm_outbox.raise_alarms(connection, [first, both], ["email"]) == 0


def test_history_is_one_message_a_day_for_all_sources(
    warehouse: Warehouse, delivered: list[list[str]]
) -> None:
    def deliver(alarms: Sequence[Alarm]) -> None:
        delivered.append([alarm.subject for alarm in alarms])

    old = [
        replace(ALARM, subject=f"run/{source}/TryLater", message_group=HISTORY)
        for source in ("calltouch", "trust", "tellody_activity")
    ]
    with warehouse.connect(autocommit=True) as connection:
        alarm_outbox.raise_alarms(connection, old[:2], ["email"])
        assert alarm_queue.deliver_waiting(connection, "email", deliver) == (0, None), "it waits"
        connection.execute(
            "UPDATE ops.alarm_delivery SET next_try_at = now() WHERE alarm_id ="
            " (SELECT min(alarm_id) FROM ops.alarm)"
        )
        assert alarm_queue.deliver_waiting(connection, "email", deliver) == (1, None)
        alarm_outbox.raise_alarms(connection, old[2:], ["email"])
        connection.execute("UPDATE ops.alarm_delivery SET next_try_at = now()")
        assert alarm_queue.deliver_waiting(connection, "email", deliver) == (0, None)
        assert len(alarm_outbox.open_alarms(connection)) == 3
    assert delivered == [[old[0].subject, old[1].subject]]


def test_what_is_whole_forgets_the_days_that_are_mended(warehouse: Warehouse) -> None:
    check = replace(
        ALARM, kind="check_failed", is_whole=True, days=[date(2024, 5, 1), date(2024, 5, 2)]
    )
    with warehouse.connect(autocommit=True) as connection:
        alarm_outbox.raise_alarms(connection, [check], [])
        alarm_outbox.raise_alarms(connection, [replace(check, days=[date(2024, 5, 2)])], [])
        [one] = alarm_outbox.open_alarms(connection)
        assert one.days == [date(2024, 5, 2)]


def test_a_failure_of_several_accounts_is_over_when_what_failed_was_loaded(
    warehouse: Warehouse,
) -> None:
    """Other days of the same accounts were loaded before, and need not be again."""
    first, second = date(2024, 5, 1), date(2024, 5, 2)
    load_days(warehouse, "calltouch", "101", first)
    failed = replace(
        ALARM, accounts=[], days=[], pairs=[("101", second), ("102", first), ("102", second)]
    )
    with warehouse.connect(autocommit=True) as connection:
        alarm_outbox.raise_alarms(connection, [failed], [])
        load_days(warehouse, "calltouch", "102", first, second)
        assert alarm_outbox.resolve_loaded_runs(connection) == 0
        [left] = alarm_outbox.open_alarms(connection)
        assert (left.accounts, left.days) == (["101"], [second])
        load_days(warehouse, "calltouch", "101", second)
        assert alarm_outbox.resolve_loaded_runs(connection) == 1
