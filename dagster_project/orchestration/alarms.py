"""Sensors that raise alarms: runs that failed, checks that failed, accounts that bring nothing.

Each reads on from its cursor, notes what is new in the book (``monitoring/alarm_outbox.py``), and tells
what waits there. The cursor moves only after the note is committed: an evaluation that dies is done
again, and notes nothing twice. A run that never happens fails nothing: the third sensor asks the
ledger which account has had no good receipt for too long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from dagster_project.monitoring import alarm_outbox
from dagster_project.monitoring.alarm_delivery import channels
from dagster_project.orchestration import alarm_rules, services
from dagster_project.orchestration.alarm_rules import AlarmChanges
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Connection

INTERVAL_SECONDS = 30
RECORDS_AT_ONCE = 1000
LONGEST_SECONDS = 20
SETTLED_SECONDS = 2.0
"""Events are numbered before they are committed: the newest might have an elder yet to come."""
LOOK_BACK_SECONDS = 86_400.0
"""What a first evaluation tells of; older failures are history."""


def sensors() -> list[dg.SensorDefinition]:
    return [failed_runs, failed_checks, overdue_accounts]


@dg.sensor(
    name="alarm_failed_runs",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells once of each run that failed: source, accounts, days, and the way out.",
)
def failed_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    def read(records: Sequence[dg.EventLogRecord], connection: Connection) -> AlarmChanges:
        alarms = [
            alarm
            for record in records
            if (alarm := alarm_rules.alarm_of_run(context.instance, connection, record.run_id))
            is not None
        ]
        return AlarmChanges(alarms, [])

    noted = _note_new(context, dg.DagsterEventType.RUN_FAILURE, read)
    return dg.SkipReason(f"{noted}; {_deliver()}")


@dg.sensor(
    name="alarm_failed_checks",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells once of each day's check that fails, until it passes again.",
)
def failed_checks(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    noted = _note_new(
        context, dg.DagsterEventType.ASSET_CHECK_EVALUATION, alarm_rules.changes_of_checks
    )
    return dg.SkipReason(f"{noted}; {_deliver()}")


@dg.sensor(
    name="alarm_overdue",
    minimum_interval_seconds=10 * INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells once of an account that has had no good receipt for too long.",
)
def overdue_accounts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    settings = services.settings()
    names = [channel.name for channel in channels(settings.alarms)]
    with services.warehouse().connect(what="alarms") as connection:
        alarms = alarm_rules.overdue(settings, connection)
        late = {alarm.subject for alarm in alarms}
        over = [
            alarm.subject
            for alarm in alarm_outbox.open_alarms(connection, limit=10_000)
            if alarm.kind == "overdue" and alarm.subject not in late
        ]
        alarm_outbox.resolve(connection, over)
        alarm_outbox.resolve_loaded_runs(connection)
        new = alarm_outbox.raise_alarms(connection, alarms, names)
        connection.commit()
    return dg.SkipReason(
        f"{pluralize(len(late), 'account')} overdue, {new} of them new; {_deliver()}"
    )


_Read = Callable[[Sequence[dg.EventLogRecord], Connection], AlarmChanges]


def _note_new(
    context: dg.SensorEvaluationContext, event_type: dg.DagsterEventType, read: _Read
) -> str:
    """Read on from the cursor in batches; each is committed before the cursor moves over it."""
    names = [channel.name for channel in channels(services.settings().alarms)]
    seen = raised = 0
    until = time.monotonic() + LONGEST_SECONDS
    for records in _batches(context, event_type):
        with services.warehouse().connect(what="alarms") as connection:
            news = read(records, connection)
            alarm_outbox.resolve(connection, news.over)
            raised += alarm_outbox.raise_alarms(connection, news.alarms, names)
            connection.commit()
        seen += len(records)
        context.update_cursor(str(records[-1].storage_id))
        if time.monotonic() > until:
            break
    return f"{pluralize(seen, 'event')} read, {pluralize(raised, 'alarm')} raised"


def _batches(
    context: dg.SensorEvaluationContext, event_type: dg.DagsterEventType
) -> Iterator[Sequence[dg.EventLogRecord]]:
    while True:
        cursor = context.cursor
        records = context.instance.event_log_storage.get_event_records(
            dg.EventRecordsFilter(
                event_type,
                after_cursor=int(cursor) if cursor else None,
                after_timestamp=None if cursor else time.time() - LOOK_BACK_SECONDS,
                before_timestamp=time.time() - SETTLED_SECONDS,
            ),
            limit=RECORDS_AT_ONCE,
            ascending=True,
        )
        if records:
            yield records
        if len(records) < RECORDS_AT_ONCE:
            return


def _deliver() -> str:
    """Tell what waits, channel by channel."""
    told = []
    for channel in channels(services.settings().alarms):
        with services.warehouse().connect(what="alarms", autocommit=True) as connection:
            messages, failure = alarm_outbox.deliver_waiting(
                connection, channel.name, channel.deliver
            )
        told.append(f"{channel.name}: {messages} told" + (f", then {failure}" if failure else ""))
    return ", ".join(told) or "no channel is set (ALARM_WEBHOOK_URL, ALARM_EMAIL_TO)"
