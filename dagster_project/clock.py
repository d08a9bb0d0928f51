"""The current time; the only module that reads it.

It decides which days have ended and are due, on which day a call's points count, and how observations are
dated. Time-outs, pacing and locks use real time instead.

``WAREHOUSE_CLOCK_FILE`` is only for tests and the demo: it names a file with seconds to add to real time,
read each time, so that running processes can be taken through simulated nights.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

CLOCK_FILE = "WAREHOUSE_CLOCK_FILE"
CLOCKS_MAY_DIFFER = timedelta(minutes=1)
"""How far the clocks of a host and of its database may differ without a warning."""


def shift() -> timedelta:
    """The time added to real time; zero, except in tests."""
    path = os.environ.get(CLOCK_FILE)
    if not path:
        return timedelta()
    with open(path) as file:
        return timedelta(seconds=float(file.read()))


def now() -> datetime:
    """The current instant, UTC."""
    return datetime.now(UTC) + shift()


def today(zone: ZoneInfo) -> date:
    """The current calendar day in a time zone."""
    return now().astimezone(zone).date()
