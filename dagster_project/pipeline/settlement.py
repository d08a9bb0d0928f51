"""When a day is settled: no longer asked of the vendor, because it will not change any more.

Grain: one account's day. Rows arrive late and statuses mature, so a day has to be read again at
least 48 hours after it ended; after that reading it is settled if every row of it is final, or if
it was read when as many calendar days had passed as the source's days may still change. An empty day
has no row that is not final: the reading after 48 hours settles it.

Instants: a day ends at the midnight of its account's zone, so it may last 23, 24 or 25 hours; the 48
hours are hours, the days after which it is old are calendar days.
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
    """Whether what was observed of the day at that instant will stand.

    ``rows_final`` is None where the source has no notion of final: then only age settles.
    """
    if observed_at < midnight(day + ONE_DAY, zone) + READ_AGAIN_AFTER:
        return False
    return rows_final == rows or observed_at >= old_from(day, zone, settle_days)


def old_from(day: date, zone: ZoneInfo, settle_days: int) -> datetime:
    """From when on a reading of the day settles it whatever its rows say, UTC."""
    return midnight(day + ONE_DAY * (1 + settle_days), zone)
