"""What a person does about alarms: what is acknowledged or muted is told no more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from dagster_project.monitoring import alarm_acts, alarm_outbox, alarm_queue
from dagster_project.monitoring.alarm import Alarm
from dagster_project.warehouse.connection import Connection, Warehouse

ALARM = Alarm(
    subject="check/calltouch/no_rejects/warning",
    kind="check_failed",
    severity="warning",
    source="calltouch",
    accounts=["101"],
    days=[date(2024, 5, 1)],
    what="records were rejected",
    hint=[],
    message_group="check",
    causes=["no phone"],
)


def told(connection: Connection) -> int:
    def deliver(alarms: Sequence[Alarm]) -> None:
        """Takes everything."""

    return alarm_queue.deliver_waiting(connection, "email", deliver)[0]


def raised(connection: Connection) -> int:
    alarm_outbox.raise_alarms(connection, [ALARM], ["email"])
    return alarm_outbox.open_alarms(connection)[0].alarm_id


def test_what_is_acknowledged_before_it_was_told_is_not_told(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        number = raised(connection)
        assert alarm_acts.acknowledge(connection, [number, number + 1], "ann") == [number]
        assert told(connection) == 0
        [one] = alarm_outbox.open_alarms(connection)
        assert (one.acknowledged_by, one.is_red) == ("ann", False)


def test_a_muted_cause_stays_muted_when_it_comes_again(warehouse: Warehouse) -> None:
    later = datetime.now(UTC) + timedelta(days=2)
    with warehouse.connect(autocommit=True) as connection:
        number = raised(connection)
        alarm_acts.mute(connection, [number], "ann", later)
        alarm_outbox.resolve(connection, [ALARM.subject])
        assert raised(connection) != number
        [one] = alarm_outbox.open_alarms(connection)
        assert (one.muted_by, one.muted_until, one.is_red) == ("ann", later, False)
        assert told(connection) == 0
        alarm_acts.mute(connection, [one.alarm_id], "ann", None)
        [one] = alarm_outbox.open_alarms(connection)
        assert (one.muted_by, one.is_red) == (None, True)


def test_nobody_acts_on_what_is_over(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        number = raised(connection)
        alarm_outbox.resolve(connection, [ALARM.subject])
        assert alarm_acts.acknowledge(connection, [number], "ann") == []
