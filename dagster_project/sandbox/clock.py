"""The sandbox's clock: what the vendors believe the time to be.

It decides which SMS exist, how far statuses have matured, which dates lie after today and when a
day's points reset. It stands still at an instant, runs from one, or is real time. Rate limits do
not ask it: a request a second is a real second.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


class Clock:
    """A settable clock; safe to set from another thread while requests are answered."""

    def __init__(self, at: datetime | None = None, *, running: bool | None = None) -> None:
        """``at`` None is real time; else the clock stands at ``at`` unless it is ``running``."""
        self._lock = threading.Lock()
        self._base = (at or datetime.now(UTC)).astimezone(UTC)
        self._running = at is None if running is None else running
        self._since = time.monotonic()

    @classmethod
    def parse(cls, text: str, *, running: bool = False) -> Clock:
        """``now`` for real time, else an ISO instant with its offset, at which the clock stands."""
        return cls() if text == "now" else cls(parse_instant(text), running=running)

    @property
    def running(self) -> bool:
        return self._running

    def now(self) -> datetime:
        """The vendors' present, UTC."""
        with self._lock:
            return self._now()

    def today(self, zone: ZoneInfo) -> date:
        return self.now().astimezone(zone).date()

    def set(self, at: datetime, *, running: bool | None = None) -> None:
        """Jump to an instant; keeps standing or running unless told otherwise."""
        if at.tzinfo is None:
            raise ValueError("an instant needs its offset")
        with self._lock:
            self._base = at.astimezone(UTC)
            self._since = time.monotonic()
            if running is not None:
                self._running = running

    def shift(self, by: timedelta) -> None:
        """Move the present by a span; a negative one moves it back."""
        with self._lock:
            self._base = self._now() + by
            self._since = time.monotonic()

    def _now(self) -> datetime:
        if not self._running:
            return self._base
        return self._base + timedelta(seconds=time.monotonic() - self._since)


def parse_instant(text: str) -> datetime:
    """An ISO instant with an offset, as UTC."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"an instant needs its offset, as in 2024-05-01T12:00:00+03:00: {text!r}")
    return instant.astimezone(UTC)
