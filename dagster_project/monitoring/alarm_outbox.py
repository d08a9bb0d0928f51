"""The book of alarms: each cause raised once, and told once on each channel.

Grain: an alarm is one cause (a kind of failure of a source, a check, accounts without data) from when it
was raised to when it was over. It knows which days of which accounts it concerns (``ops.alarm_day``) and
what of it was told: a further account or reason is told again, a further day only after somebody
acknowledged the ones before. Raising commits before anything is told, and telling is noted channel by
channel, so a channel that is down for a while loses nothing. A process that dies between sending a
message and noting it repeats that message: its ``alarm_id`` is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal

from psycopg import sql
from psycopg.rows import class_row

from dagster_project.text.scrub import hide_secrets, scrub_text
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_row

FIRST_PAUSE_SECONDS = 30
LONGEST_PAUSE_SECONDS = 3600
WITHOUT_DAYS_OPEN_FOR = timedelta(hours=36)
HISTORY: Final = "history"
"""The message group of failures of days from before an account's first load: one message for all."""
HISTORY_WAITS: Final = timedelta(minutes=5)
"""So long a message of history waits for the sources that come after."""
HISTORY_EVERY: Final = timedelta(days=1)

Pair = tuple[str, date]


@dataclass(frozen=True, slots=True)
class Alarm:
    """What went wrong. ``subject`` is its identity while it is open; columns as in ``ops.alarm``.

    ``pairs``: the accounts and days concerned, where not every account is concerned with every day.
    ``is_whole``: they are all that is concerned now; else they add to what is known. ``is_quiet``: it is
    noted, and told nobody. ``failed_at``: when it failed; not said: now.
    """

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
    causes: Sequence[str] = ()
    alarm_id: int = 0
    raised_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    muted_until: datetime | None = None
    muted_by: str | None = None
    is_muted: bool = False
    pairs: Sequence[Pair] = ()
    is_whole: bool = False
    is_quiet: bool = False
    failed_at: datetime | None = None

    @property
    def concerned(self) -> set[Pair]:
        return set(self.pairs) or {(a, day) for a in self.accounts for day in self.days}

    @property
    def is_red(self) -> bool:
        """Whether nobody acknowledged it and it is not muted."""
        return self.acknowledged_at is None and not self.is_muted


class NotDelivered(Exception):
    """A channel did not take a message; the text says why, without the channel's address."""


Deliver = Callable[[Sequence[Alarm]], None]

# Columns of ops.alarm, by the names that they have here.
_WRITTEN = {
    **{name: name for name in ("subject", "kind", "severity", "source", "accounts", "days")},
    **{"what": "what", "hint": "way_out", "message_group": "told_with", "run_id": "run_id"},
    "causes": "causes",
}
_ACTS = ("acknowledged_at", "acknowledged_by", "muted_until", "muted_by")
_INSERT = sql.SQL(
    "INSERT INTO ops.alarm ({}) VALUES ({}) ON CONFLICT (subject) WHERE resolved_at IS NULL"
    " DO NOTHING RETURNING alarm_id"
).format(
    sql.SQL(", ").join(map(sql.Identifier, _WRITTEN.values())),
    sql.SQL(", ").join(map(sql.Placeholder, _WRITTEN)),
)
_SELECT = sql.SQL(
    "SELECT {}, alarm_id, raised_at, coalesce(muted_until > now(), false) AS is_muted FROM ops.alarm"
).format(
    sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(column), sql.Identifier(name))
        for name, column in (*_WRITTEN.items(), *((name, name) for name in _ACTS))
    )
)


def raise_alarms(connection: Connection, alarms: Sequence[Alarm], channels: Sequence[str]) -> int:
    """Note alarms, to be told on these channels where they are new or changed; how many those are."""
    return sum(_raise(connection, alarm, channels) for alarm in alarms)


def _raise(connection: Connection, alarm: Alarm, channels: Sequence[str]) -> bool:
    standing = connection.execute(
        "SELECT alarm_id, causes, acknowledged_at, coalesce(muted_until > now(), false)"
        " FROM ops.alarm WHERE subject = %s AND resolved_at IS NULL FOR UPDATE",
        (alarm.subject,),
    ).fetchone()
    if standing is None:
        row = connection.execute(_INSERT, _values(alarm)).fetchone()
        if row is None:  # another process was faster
            return False
        is_muted = _keep_muted(connection, row[0], alarm.subject)
        _note_days(connection, row[0], alarm)
        if not alarm.is_quiet and not is_muted:
            _queue(connection, row[0], alarm.message_group, channels)
        return True
    alarm_id, told, acknowledged_at, is_muted = standing
    more_days = _note_days(connection, alarm_id, alarm)
    changed = bool(set(alarm.causes) - set(told)) or (acknowledged_at is not None and more_days)
    _renew(connection, alarm_id, alarm, sorted({*told, *alarm.causes}), changed)
    if changed and not alarm.is_quiet and not is_muted:
        _queue(connection, alarm_id, alarm.message_group, channels)
    return changed


def _values(alarm: Alarm) -> dict[str, object]:
    values = {name: getattr(alarm, name) for name in _WRITTEN}
    concerned = alarm.concerned
    values["accounts"] = sorted({a for a, _ in concerned}) or list(alarm.accounts)
    values["days"] = sorted({day for _, day in concerned}) or list(alarm.days)
    values["causes"] = list(alarm.causes)
    values["what"] = scrub_text(alarm.what)
    values["hint"] = [hide_secrets(line) for line in alarm.hint]
    return values


def _renew(
    connection: Connection, alarm_id: int, alarm: Alarm, causes: Sequence[str], changed: bool
) -> None:
    """What an open alarm says now; one that changed is acknowledged no longer."""
    connection.execute(
        "UPDATE ops.alarm SET severity = %(severity)s, what = %(what)s, way_out = %(hint)s,"
        " run_id = %(run_id)s, told_with = CASE WHEN %(changed)s THEN %(message_group)s"
        "  ELSE told_with END, causes = %(told)s, changed_at = now(),"
        " acknowledged_at = CASE WHEN NOT %(changed)s THEN acknowledged_at END,"
        " acknowledged_by = CASE WHEN NOT %(changed)s THEN acknowledged_by END"
        " WHERE alarm_id = %(id)s AND (NOT %(whole)s OR %(changed)s OR (severity, what, way_out, causes)"
        "  IS DISTINCT FROM (%(severity)s, %(what)s, %(hint)s::text[], %(told)s::text[]))",
        {
            **_values(alarm),
            "told": list(causes),
            "changed": changed,
            "id": alarm_id,
            "whole": alarm.is_whole,
        },
    )


def _keep_muted(connection: Connection, alarm_id: int, subject: str) -> bool:
    """A cause that came again stays muted; whether it is."""
    return (
        connection.execute(
            "UPDATE ops.alarm n SET muted_until = o.muted_until, muted_by = o.muted_by"
            " FROM ops.alarm o WHERE n.alarm_id = %s AND o.subject = %s AND o.muted_until > now()"
            " AND o.alarm_id < n.alarm_id",
            (alarm_id, subject),
        ).rowcount
        > 0
    )


def _note_days(connection: Connection, alarm_id: int, alarm: Alarm) -> bool:
    """What the alarm concerns; whether days came that it did not concern yet."""
    concerned = sorted(alarm.concerned)
    accounts, days = [a for a, _ in concerned], [day for _, day in concerned]
    if alarm.is_whole:
        connection.execute(
            "DELETE FROM ops.alarm_day x WHERE alarm_id = %s AND NOT EXISTS (SELECT FROM"
            " unnest(%s::text[], %s::date[]) AS n(account, day)"
            " WHERE n.account = x.account AND n.day = x.day)",
            (alarm_id, accounts, days),
        )
    row = fetch_row(
        connection,
        "WITH written AS (INSERT INTO ops.alarm_day AS x (alarm_id, account, day, failed_at)"
        " SELECT %s, account, day, coalesce(%s, now()) FROM unnest(%s::text[], %s::date[])"
        "  AS n(account, day)"
        " ON CONFLICT (alarm_id, account, day) DO UPDATE SET failed_at = excluded.failed_at WHERE NOT %s"
        " RETURNING xmax = 0 AS is_new) SELECT coalesce(bool_or(is_new), false) FROM written",
        (alarm_id, alarm.failed_at, accounts, days, alarm.is_whole),
    )
    _show_days(connection, [alarm_id])
    return bool(row[0])


def _show_days(connection: Connection, alarm_ids: Iterable[int]) -> None:
    """Accounts and days of alarms as ``ops.alarm_day`` has them; of those that have none left, the last."""
    connection.execute(
        "UPDATE ops.alarm a SET accounts = x.accounts, days = x.days FROM ("
        " SELECT alarm_id, array_agg(DISTINCT account ORDER BY account) AS accounts,"
        "  array_agg(DISTINCT day ORDER BY day) AS days FROM ops.alarm_day"
        "  WHERE alarm_id = ANY(%s) GROUP BY alarm_id) x WHERE x.alarm_id = a.alarm_id"
        " AND (a.accounts, a.days) IS DISTINCT FROM (x.accounts, x.days)",
        (list(alarm_ids),),
    )


def _queue(
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


def resolve(connection: Connection, subjects: Sequence[str]) -> int:
    """The alarms of these subjects are over; how many were open."""
    return connection.execute(
        "UPDATE ops.alarm SET resolved_at = now() WHERE subject = ANY(%s) AND resolved_at IS NULL",
        (list(subjects),),
    ).rowcount


def resolve_loaded_runs(connection: Connection) -> int:
    """A failure is over once every day of it was loaded after it failed; how many were open.

    One that left no day is over after a while: what it did is done anew each night, or fails anew.
    """
    touched = connection.execute(
        "DELETE FROM ops.alarm_day x USING ops.alarm a, ops.day_state s"
        " WHERE a.alarm_id = x.alarm_id AND a.kind = 'run_failed' AND a.resolved_at IS NULL"
        " AND s.source = a.source AND s.account = x.account AND s.day = x.day"
        " AND s.loaded_at > x.failed_at RETURNING x.alarm_id"
    ).fetchall()
    _show_days(connection, {row[0] for row in touched})
    return connection.execute(
        "UPDATE ops.alarm a SET resolved_at = now()"
        " WHERE a.kind = 'run_failed' AND a.resolved_at IS NULL AND CASE"
        " WHEN cardinality(a.days) = 0 OR cardinality(a.accounts) = 0"
        "   THEN coalesce(a.changed_at, a.raised_at) < now() - %s::interval"
        " ELSE NOT EXISTS (SELECT FROM ops.alarm_day x WHERE x.alarm_id = a.alarm_id) END",
        (WITHOUT_DAYS_OPEN_FOR,),
    ).rowcount


def covered_days(connection: Connection, source: str) -> set[Pair]:
    """Accounts and days of a source of which an open error tells already why they are not loaded."""
    return set(
        connection.execute(
            "SELECT DISTINCT x.account, x.day FROM ops.alarm_day x JOIN ops.alarm a USING (alarm_id)"
            " WHERE a.source = %s AND a.resolved_at IS NULL AND a.severity = 'error'"
            " AND a.kind <> 'overdue'",
            (source,),
        ).fetchall()
    )


def excused_checks(connection: Connection) -> set[tuple[str, str, str, date]]:
    """Source, account, check and day of what alarms tell of that were acknowledged or are muted."""
    return set(
        connection.execute(
            "SELECT a.source, x.account, split_part(a.subject, '/', 3), x.day FROM ops.alarm_day x"
            " JOIN ops.alarm a USING (alarm_id) WHERE a.kind = 'check_failed'"
            " AND a.resolved_at IS NULL"
            " AND (a.acknowledged_at IS NOT NULL OR a.muted_until > now())"
        ).fetchall()
    )


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
    with connection.cursor(row_factory=class_row(Alarm)) as cursor:
        cursor.execute(
            _SELECT
            + sql.SQL(
                " WHERE alarm_id IN (SELECT d.alarm_id FROM ops.alarm_delivery d"
                " JOIN ops.alarm a USING (alarm_id) WHERE d.channel = %s AND a.told_with = %s"
                " AND d.delivered_at IS NULL AND d.given_up_at IS NULL"
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
