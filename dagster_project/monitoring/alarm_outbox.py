"""The book of alarms: raised once, told once on each channel.

Grain: an alarm is one subject (a run, a check of one day, an account without data) from when it was
raised to when it was over. Raising commits before anything is told, and telling is noted channel by
channel, so a channel that is down for a while loses nothing. A process that dies between sending a
message and noting it repeats that message: its ``alarm_id`` is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from psycopg import sql
from psycopg.rows import class_row

from dagster_project.text.scrub import hide_secrets, scrub_text
from dagster_project.warehouse.connection import Connection

FIRST_PAUSE_SECONDS = 30
LONGEST_PAUSE_SECONDS = 3600
WITHOUT_DAYS_OPEN_FOR = timedelta(hours=36)


@dataclass(frozen=True, slots=True)
class Alarm:
    """What went wrong. ``subject`` is its identity while it is open; columns as in ``ops.alarm``."""

    subject: str
    kind: Literal["run_failed", "check_failed", "overdue"]
    severity: Literal["error", "warning"]
    source: str
    accounts: Sequence[str]
    days: Sequence[date]
    what: str
    hint: Sequence[str]
    message_group: str
    run_id: str | None = None
    alarm_id: int = 0
    raised_at: datetime | None = None


class NotDelivered(Exception):
    """A channel did not take a message; the text says why, without the channel's address."""


Deliver = Callable[[Sequence[Alarm]], None]

# Columns of ops.alarm, by the names that they have here.
_COLUMNS = {
    **{name: name for name in ("subject", "kind", "severity", "source", "accounts", "days")},
    **{"what": "what", "hint": "way_out", "message_group": "told_with", "run_id": "run_id"},
}
_INSERT = sql.SQL(
    "INSERT INTO ops.alarm ({}) VALUES ({}) ON CONFLICT (subject) WHERE resolved_at IS NULL"
    " DO NOTHING RETURNING alarm_id"
).format(
    sql.SQL(", ").join(map(sql.Identifier, _COLUMNS.values())),
    sql.SQL(", ").join(map(sql.Placeholder, _COLUMNS)),
)
_SELECT = sql.SQL("SELECT {}, alarm_id, raised_at FROM ops.alarm").format(
    sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(column), sql.Identifier(name))
        for name, column in _COLUMNS.items()
    )
)


def raise_alarms(connection: Connection, alarms: Sequence[Alarm], channels: Sequence[str]) -> int:
    """Note alarms whose subjects are not open yet, to be told on these channels; how many were new."""
    new = 0
    for alarm in alarms:
        values = {name: getattr(alarm, name) for name in _COLUMNS}
        values |= {name: list(values[name]) for name in ("accounts", "days")}
        values["what"] = scrub_text(alarm.what)
        values["hint"] = [hide_secrets(line) for line in alarm.hint]
        row = connection.execute(_INSERT, values).fetchone()
        if row is None:
            continue
        new += 1
        for channel in channels:
            connection.execute(
                "INSERT INTO ops.alarm_delivery (alarm_id, channel) VALUES (%s, %s)",
                (row[0], channel),
            )
    return new


def resolve(connection: Connection, subjects: Sequence[str]) -> int:
    """The alarms of these subjects are over; how many were open."""
    return connection.execute(
        "UPDATE ops.alarm SET resolved_at = now() WHERE subject = ANY(%s) AND resolved_at IS NULL",
        (list(subjects),),
    ).rowcount


def resolve_loaded_runs(connection: Connection) -> int:
    """A failed run is over once every day of it was loaded after it failed; how many were open.

    One that left no day is over after a while: what it did is done anew each night, or fails anew.
    """
    return connection.execute(
        "UPDATE ops.alarm a SET resolved_at = now()"
        " WHERE a.kind = 'run_failed' AND a.resolved_at IS NULL AND CASE"
        " WHEN cardinality(a.days) = 0 OR cardinality(a.accounts) = 0"
        "   THEN a.raised_at < now() - %s::interval"
        " ELSE NOT EXISTS ("
        "   SELECT FROM unnest(a.days) AS d(day), unnest(a.accounts) AS c(account)"
        "   WHERE NOT EXISTS (SELECT FROM ops.day_state s WHERE s.source = a.source"
        "     AND s.account = c.account AND s.day = d.day AND s.loaded_at > a.raised_at)) END",
        (WITHOUT_DAYS_OPEN_FOR,),
    ).rowcount


def open_alarms(connection: Connection, limit: int = 50) -> list[Alarm]:
    """What is not over, newest first."""
    with connection.cursor(row_factory=class_row(Alarm)) as cursor:
        cursor.execute(
            _SELECT + sql.SQL(" WHERE resolved_at IS NULL ORDER BY alarm_id DESC LIMIT %s"),
            (limit,),
        )
        return cursor.fetchall()


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
    """The alarms of the oldest message that waits and is due, held against other processes."""
    first = connection.execute(
        "SELECT a.told_with FROM ops.alarm_delivery d JOIN ops.alarm a USING (alarm_id)"
        " WHERE d.channel = %s AND d.delivered_at IS NULL AND d.given_up_at IS NULL"
        " AND d.next_try_at <= now() ORDER BY d.alarm_id LIMIT 1 FOR UPDATE OF d SKIP LOCKED",
        (channel,),
    ).fetchone()
    if first is None:
        return []
    with connection.cursor(row_factory=class_row(Alarm)) as cursor:
        cursor.execute(
            _SELECT
            + sql.SQL(
                " WHERE alarm_id IN (SELECT d.alarm_id FROM ops.alarm_delivery d"
                " JOIN ops.alarm a USING (alarm_id) WHERE d.channel = %s AND a.told_with = %s"
                " AND d.delivered_at IS NULL AND d.given_up_at IS NULL AND d.next_try_at <= now()"
                " ORDER BY d.alarm_id LIMIT 1000 FOR UPDATE OF d SKIP LOCKED) ORDER BY alarm_id"
            ),
            (channel, first[0]),
        )
        return cursor.fetchall()


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
