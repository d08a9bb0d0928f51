"""The book of alarms: each cause raised once, and told once on each channel.

Grain: an alarm is one cause (a kind of failure of a source, a check, accounts without data) from when it
was raised to when it was over. It knows which days of which accounts it concerns (``ops.alarm_day``) and
what of it was told: a further account or reason is told again, a further day only after somebody
acknowledged the ones before. Raising commits before anything is told (``alarm_queue``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from psycopg import sql

from dagster_project.monitoring.alarm import SELECT, WRITTEN, Alarm, Pair
from dagster_project.monitoring.alarm_queue import queue
from dagster_project.text.scrub import hide_secrets, scrub_text
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.queries import fetch_as, fetch_row

WITHOUT_DAYS_OPEN_FOR = timedelta(hours=36)
_INSERT = sql.SQL(
    "INSERT INTO ops.alarm ({}) VALUES ({}) ON CONFLICT (subject) WHERE resolved_at IS NULL"
    " DO NOTHING RETURNING alarm_id"
).format(
    sql.SQL(", ").join(map(sql.Identifier, WRITTEN.values())),
    sql.SQL(", ").join(map(sql.Placeholder, WRITTEN)),
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
        alarm_id, changed = row[0], True
        is_muted = _keep_muted(connection, alarm_id, alarm.subject)
        _note_days(connection, alarm_id, alarm)
    else:
        alarm_id, told, acknowledged_at, is_muted = standing
        more_days = _note_days(connection, alarm_id, alarm)
        new_causes = set(alarm.causes) - set(told)
        changed = bool(new_causes) or (acknowledged_at is not None and more_days)
        _renew(connection, alarm_id, alarm, sorted({*told, *alarm.causes}), changed)
    if changed and not alarm.is_quiet and not is_muted:
        queue(connection, alarm_id, alarm.message_group, channels)
    return changed


def _values(alarm: Alarm) -> dict[str, object]:
    values = {name: getattr(alarm, name) for name in WRITTEN}
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
    return fetch_as(
        connection,
        Alarm,
        SELECT + sql.SQL(" WHERE resolved_at IS NULL ORDER BY alarm_id DESC LIMIT %s"),
        (limit,),
    )
