"""What a person does about alarms: acknowledge them, or mute them until a moment; kept in ``ops.alarm``.

An alarm that was acknowledged is told and red again once it changes; one that is muted is not, until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dagster_project.warehouse.connection import Connection


def acknowledge(connection: Connection, ids: Sequence[int], by: str) -> list[int]:
    """Somebody knows of these open alarms; answers which of them there are."""
    return _act(
        connection, "acknowledged_at = now(), acknowledged_by = %(by)s", ids, by, until=None
    )


def mute(connection: Connection, ids: Sequence[int], by: str, until: datetime | None) -> list[int]:
    """Tell nothing of these open alarms until then; without an instant, tell of them again."""
    assignment = "muted_until = %(until)s, muted_by = CASE WHEN %(until)s::timestamptz IS NOT NULL THEN %(by)s END"
    return _act(connection, assignment, ids, by, until=until)


def _act(
    connection: Connection, assignment: str, ids: Sequence[int], by: str, until: datetime | None
) -> list[int]:
    """Change open alarms; what waits to be told of them is told no more."""
    rows = connection.execute(
        f"UPDATE ops.alarm SET {assignment}"  # noqa: S608 - our own words
        " WHERE alarm_id = ANY(%(ids)s) AND resolved_at IS NULL RETURNING alarm_id",
        {"ids": list(ids), "by": by, "until": until},
    ).fetchall()
    found = sorted(row[0] for row in rows)
    connection.execute(
        "DELETE FROM ops.alarm_delivery WHERE alarm_id = ANY(%s) AND delivered_at IS NULL", (found,)
    )
    return found
