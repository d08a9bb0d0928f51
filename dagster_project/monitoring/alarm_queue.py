"""What waits to be told of alarms, channel by channel: ``ops.alarm_delivery``.

Telling is noted channel by channel, so a channel that is down for a while loses nothing. A process that dies
between sending a message and noting it repeats that message: its ``alarm_id`` is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from psycopg import sql

from dagster_project.monitoring.alarm import HISTORY, SELECT, Alarm
from dagster_project.text.scrub import scrub_text
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_as

FIRST_PAUSE_SECONDS = 30
LONGEST_PAUSE_SECONDS = 3600
HISTORY_WAITS: Final = timedelta(minutes=5)
"""So long a message of history waits for the sources that come after."""
HISTORY_EVERY: Final = timedelta(days=1)


class NotDelivered(Exception):
    """A channel did not take a message; the text says why, without the channel's address."""


Deliver = Callable[[Sequence[Alarm]], None]


def queue(
    connection: Connection, alarm_id: int, message_group: str, channels: Sequence[str]
) -> None:
    """Have an alarm told on these channels; of history one message a day."""
    is_history = message_group == HISTORY
    for channel in channels:
        connection.execute(
            "INSERT INTO ops.alarm_delivery (alarm_id, channel, next_try_at)"
            " SELECT %(id)s, %(channel)s, now() + %(wait)s WHERE NOT (%(history)s AND EXISTS ("
            "  SELECT FROM ops.alarm_delivery d JOIN ops.alarm a USING (alarm_id)"
            "  WHERE a.told_with = %(group)s AND d.channel = %(channel)s"
            "  AND d.delivered_at > now() - %(every)s::interval))"
            " ON CONFLICT (alarm_id, channel) DO UPDATE SET attempts = 0, failure = NULL,"
            " next_try_at = excluded.next_try_at, delivered_at = NULL, given_up_at = NULL",
            {
                "id": alarm_id,
                "channel": channel,
                "wait": HISTORY_WAITS if is_history else timedelta(0),
                "history": is_history,
                "group": message_group,
                "every": HISTORY_EVERY,
            },
        )


def undelivered(connection: Connection) -> list[tuple[str, int, str | None]]:
    """By channel: how many alarms wait to be told after a failed attempt, and why the last failed."""
    return connection.execute(
        "SELECT channel, count(*), (array_agg(failure ORDER BY next_try_at DESC))[1]"
        " FROM ops.alarm_delivery WHERE delivered_at IS NULL AND attempts > 0"
        " GROUP BY channel ORDER BY channel"
    ).fetchall()


def deliver_waiting(
    connection: Connection, channel: str, deliver: Deliver
) -> tuple[int, str | None]:
    """Tell what waits for this channel; how many messages left, and why the last did not.

    ``connection`` is one that commits by itself; each message is a transaction of its own, whose
    rows other processes pass by. After a failure the channel is left alone for a while.
    """
    told = 0
    while True:
        with connection.transaction():
            alarms = _next_message(connection, channel)
            if not alarms:
                return told, None
            ids = [alarm.alarm_id for alarm in alarms]
            try:
                deliver(alarms)
            except NotDelivered as failure:
                _note_failure(connection, channel, ids, str(failure))
                return told, str(failure)
            connection.execute(
                "UPDATE ops.alarm_delivery SET delivered_at = clock_timestamp(), failure = NULL"
                " WHERE channel = %s AND alarm_id = ANY(%s)",
                (channel, ids),
            )
        told += 1


def _next_message(connection: Connection, channel: str) -> list[Alarm]:
    """The alarms of the oldest message that waits and is due, held against other processes.

    What of its group waits for a later moment leaves with it.
    """
    first = connection.execute(
        "SELECT a.told_with FROM ops.alarm_delivery d JOIN ops.alarm a USING (alarm_id)"
        " WHERE d.channel = %s AND d.delivered_at IS NULL AND d.given_up_at IS NULL"
        " AND d.next_try_at <= now() ORDER BY d.alarm_id LIMIT 1 FOR UPDATE OF d SKIP LOCKED",
        (channel,),
    ).fetchone()
    if first is None:
        return []
    return fetch_as(
        connection,
        Alarm,
        SELECT
        + sql.SQL(
            " WHERE alarm_id IN (SELECT d.alarm_id FROM ops.alarm_delivery d"
            " JOIN ops.alarm a USING (alarm_id) WHERE d.channel = %s AND a.told_with = %s"
            " AND d.delivered_at IS NULL AND d.given_up_at IS NULL"
            " ORDER BY d.alarm_id LIMIT 1000 FOR UPDATE OF d SKIP LOCKED) ORDER BY alarm_id"
        ),
        (channel, first[0]),
    )


def _note_failure(connection: Connection, channel: str, ids: list[int], failure: str) -> None:
    """Try this message again after a pause that doubles, for a week."""
    connection.execute(
        "UPDATE ops.alarm_delivery d SET attempts = attempts + 1, failure = %s,"
        " next_try_at = now() + least(power(2, least(attempts, 20)) * %s, %s) * interval '1 second',"
        " given_up_at = CASE WHEN a.raised_at < now() - interval '7 days' THEN now() END"
        " FROM ops.alarm a"
        " WHERE a.alarm_id = d.alarm_id AND d.channel = %s AND d.alarm_id = ANY(%s)",
        (scrub_text(failure), FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, channel, ids),
    )
