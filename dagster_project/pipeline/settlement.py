"""Decide when a day is settled: it is no longer requested, because it will not change any more.

Grain: one account's day. Rows arrive late and statuses mature, so a day is read again at least 48 hours after
it ended. After that it is settled if all of its rows are final, or if it was read when so many calendar days
had passed that the source's days no longer change. An empty day is settled by the reading after 48 hours.

A day ends at midnight of its account's time zone, so it may last 23, 24 or 25 hours. The 48 hours are hours;
the days after which a day is old are calendar days.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from dagster_project.model.window import ONE_DAY, midnight

READ_AGAIN_AFTER = timedelta(hours=48)


def is_settled(
    day: date,
    zone: ZoneInfo,
    observed_at: datetime,
    *,
    rows: int,
    rows_final: int | None,
    settle_days: int,
) -> bool:
    """Whether a day that was read at this instant is settled.

    ``rows_final`` is None if the source has no final state: then only age settles.
    """
    if observed_at < midnight(day + ONE_DAY, zone) + READ_AGAIN_AFTER:
        return False
    is_old = observed_at >= midnight(day + ONE_DAY * (1 + settle_days), zone)
    return is_old or rows_final == rows
