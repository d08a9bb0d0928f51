"""What time it is: the one place that asks.

The present decides which day has ended, which days are due, whose points a call spends and what an
observation is dated with. Time-outs, pacing and locks do not ask here: they run on real time.

``WAREHOUSE_CLOCK_FILE`` is for tests alone: it names a file that holds seconds to be added to real
time, read anew each time, so that nights can be played to processes that are already running.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

CLOCK_FILE = "WAREHOUSE_CLOCK_FILE"
CLOCKS_MAY_DIFFER = timedelta(minutes=1)
"""How far the clocks of a host and of its database may be apart without being told of."""


def shift() -> timedelta:
    """What is added to real time; nothing, unless a test plays nights."""
    path = os.environ.get(CLOCK_FILE)
    if not path:
        return timedelta()
    with open(path) as file:
        return timedelta(seconds=float(file.read()))


def now() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC) + shift()


def today(zone: ZoneInfo) -> date:
    """The calendar day that it is now in a time zone."""
    return now().astimezone(zone).date()
