"""Sensors that raise alarms: runs that failed, checks that failed, accounts that bring nothing.

Each notes what there is in the book (``monitoring/alarm_outbox.py``), and tells what waits there. Failed
runs are read on from a cursor (``event_cursor``), which moves only after the note is committed: an
evaluation that dies is done again, and notes nothing twice. What checks say, and which account has had
no good receipt for too long though no run failed, stands in the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import dagster as dg

from dagster_project.monitoring import alarm_outbox, alarm_queue
from dagster_project.monitoring.alarm import Alarm
from dagster_project.monitoring.alarm_delivery import channels
from dagster_project.monitoring.check_alarms import check_alarms, note_alarms, overdue_alarms
from dagster_project.monitoring.mending import Ledger
from dagster_project.orchestration import alarm_rules
from dagster_project.orchestration.event_cursor import EventCursor, unread_events
from dagster_project.pipeline import services
from dagster_project.text.wording import pluralize

INTERVAL_SECONDS = 30
RECORDS_AT_ONCE = 1000
LONGEST_SECONDS = 20
LOOK_BACK_SECONDS = 86_400.0
"""What a first evaluation tells of; older failures are history."""


def sensors() -> list[dg.SensorDefinition]:
    return [failed_runs, failed_checks, overdue_accounts]


@dg.sensor(
    name="alarm_failed_runs",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells once of each cause for which runs fail: source, accounts, days, and the way out.",
)
def failed_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    return dg.SkipReason(f"{_note_failed_runs(context)}; {_deliver()}")


@dg.sensor(
    name="alarm_failed_checks",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells once of each check that does not pass, until it passes for every day.",
)
def failed_checks(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    found, new = _note_found("check_failed", check_alarms)
    return dg.SkipReason(f"{pluralize(found, 'check')} failing, {new} new; {_deliver()}")


@dg.sensor(
    name="alarm_overdue",
    minimum_interval_seconds=10 * INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells once of accounts that have had no good receipt for too long.",
)
def overdue_accounts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    found, new = _note_found("overdue", overdue_alarms)
    return dg.SkipReason(f"{pluralize(found, 'source')} overdue, {new} new; {_deliver()}")


def _note_found(kind: str, find: Callable[[Ledger], list[Alarm]]) -> tuple[int, int]:
    """Note what the ledger says now, and what is over; how many alarms it says, and how many are new."""
    with services.warehouse().connect(what="alarms") as connection:
        alarms = find(Ledger(services.settings(), services.warehouse(), connection))
        new = note_alarms(connection, kind, alarms, _channel_names())
        alarm_outbox.resolve_loaded_runs(connection)
        connection.commit()
    return len(alarms), new


def _note_failed_runs(context: dg.SensorEvaluationContext) -> str:
    """Read on from the cursor in batches; each is committed before the cursor moves over it."""
    seen = raised = 0
    until = time.monotonic() + LONGEST_SECONDS
    batches = unread_events(
        context.instance.event_log_storage,
        dg.DagsterEventType.RUN_FAILURE,
        EventCursor.parse(context.cursor),
        since=time.time() - LOOK_BACK_SECONDS,
        at_once=RECORDS_AT_ONCE,
    )
    for records, cursor in batches:
        if records:
            raised += _note_failures(context.instance, records)
        seen += len(records)
        context.update_cursor(str(cursor))
        if time.monotonic() > until:
            break
    return f"{pluralize(seen, 'event')} read, {pluralize(raised, 'alarm')} raised"


def _note_failures(instance: dg.DagsterInstance, records: Sequence[dg.EventLogRecord]) -> int:
    """Note what these failures say, and commit it; how many alarms are new."""
    raised = 0
    with services.warehouse().connect(what="alarms") as connection:
        for record in records:
            failed_at = datetime.fromtimestamp(record.timestamp, UTC)
            alarms = alarm_rules.alarms_of_run(instance, connection, record.run_id, failed_at)
            raised += alarm_outbox.raise_alarms(connection, alarms, _channel_names())
        alarm_outbox.resolve_loaded_runs(connection)
        connection.commit()
    return raised


def _channel_names() -> list[str]:
    return [channel.name for channel in channels(services.settings().alarms)]


def _deliver() -> str:
    """Tell what waits, channel by channel."""
    told = []
    for channel in channels(services.settings().alarms):
        with services.warehouse().connect(what="alarms", autocommit=True) as connection:
            messages, failure = alarm_queue.deliver_waiting(
                connection, channel.name, channel.deliver
            )
        told.append(f"{channel.name}: {messages} told" + (f", then {failure}" if failure else ""))
    return ", ".join(told) or "no channel is set (ALARM_WEBHOOK_URL, ALARM_EMAIL_TO)"
