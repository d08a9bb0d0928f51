"""Keep all processes together within a vendor's limits: requests a second, API points a day.

**Requests.** At most ``n`` requests are sent in any ``n / per_second`` + ``MARGIN`` seconds, by all
threads of all processes that share the store. There is one limiter for each vendor host, since the vendor
counts by address. The store grants slots, instants of its own clock. A thread sleeps until its slot, and
sends if it wakes within ``SLACK`` of it. If it wakes later, its slot is moved to this moment if the limit
allows it; else the slot is lost and another one is taken. Only one thread of a process asks for a slot at a
time, and only slots less than ``HORIZON`` ahead are granted, so that a 429 seen by one process stops all of
them within that time.

``MARGIN`` less ``SLACK``, 20 ms, is left for the network: so much longer may a request travel than the one ``n``
places after it. Where the vendor sees them arrive, ``n`` + 1 requests were never less than 20 ms further apart
than the limit, with four processes and both cores busy. Nothing that is known of a request can stand
in for that: the vendor counts it after it was sent and before its answer begins, but an answer takes a second
or more to begin, and TCP acknowledges up to 40 ms late.

Why not ``pyrate-limiter`` (4.5.1), which has a Postgres bucket: it grants a permit, not an instant. It
does not notice that the sender woke late or had to connect first; it decides under a table lock that
fails instead of queueing; and it polls. Four processes of twelve threads at 5 a second, 25 s on two cores,
1 s latency, measured over a sliding second, with a margin of 40 ms:

==================================  ===========  ==========  ====================
what                                429          a second    requests a process
==================================  ===========  ==========  ====================
pyrate, 5 in 1.00 s / busy machine  5 / 6        4.88 / 4.68  12 to 106
pyrate, 5 in 1.04 s / busy machine  0 / 9        4.66 / 4.58  8 to 85
this / busy machine                 0 / 0        4.86 / 4.86  21 to 46
==================================  ===========  ==========  ====================

**Points.** See ``points``.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import floor

from dagster_project import clock
from dagster_project.errors import TryLater
from dagster_project.model.vendor_store import LimitStore
from dagster_project.model.window import Account
from dagster_project.transport.quota import QuotaClaim
from dagster_project.transport.session import sleep_unless_stopped

MARGIN = 0.025
SLACK = 0.005
HORIZON = 0.25
LARGEST_BURST = 50
SHORTEST_HOLD = 1.0
READINGS = 5


class ClockMap:
    """Translates the store's clock into this process's monotonic one.

    Each result of the store has its clock's time at some moment between sending the query and receiving
    the result. As in NTP, the sample with the narrowest such interval counts, among the latest ones. If
    the newest sample contradicts it, the store's clock was set, and all earlier samples are dropped.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float, float]] = deque(maxlen=32)

    def observe(self, theirs: datetime, asked: float, received: float) -> None:
        low, high = theirs.timestamp() - received, theirs.timestamp() - asked
        if self._samples and not low - 0.001 <= self._offset() <= high + 0.001:
            self._samples.clear()
        self._samples.append((high - low, low, high))

    @property
    def is_known(self) -> bool:
        return bool(self._samples)

    def to_monotonic(self, theirs: datetime) -> float:
        return theirs.timestamp() - self._offset()

    def _offset(self) -> float:
        _, low, high = min(self._samples)
        return (low + high) / 2


@dataclass(frozen=True, slots=True)
class Slot:
    """An instant at which one request may be sent: by the store's clock, and by ours (monotonic)."""

    given: datetime
    due: float

    @property
    def is_missed(self) -> bool:
        return time.monotonic() - self.due > SLACK


class SlotRequest:
    """One request's wait for its slot: call ``acquire`` until it returns True, send, then call ``on_sent``."""

    def __init__(self, queue: _HostQueue, stop: threading.Event | None) -> None:
        self._queue, self._stop = queue, stop
        self._slot: Slot | None = None

    def acquire(self) -> bool:
        """Return True to send at this moment; False after having waited for a slot."""
        if self._slot is None:
            self._slot = self._queue.take(self._stop)
        elif self._slot.is_missed:
            self._slot = self._queue.move(self._slot) or self._queue.take(self._stop)
        else:
            return True
        sleep_unless_stopped(max(self._slot.due - time.monotonic(), 0.0), self._stop)
        return False

    def on_sent(self) -> None:
        """Note that the request was sent; if it was late, later slots take that into account."""
        if self._slot is not None and self._slot.is_missed:
            with suppress(TryLater):  # the answer is worth more than the note
                self._queue.move(self._slot, sent=True)


class _HostQueue:
    """The queue of this process's threads for one limiter's slots."""

    def __init__(self, store: LimitStore, limiter: str, per_second: float) -> None:
        self._store, self._limiter = store, limiter
        self._burst = min(max(floor(per_second), 1), LARGEST_BURST)
        self._period = self._burst / per_second + MARGIN
        self._turn = threading.Lock()
        self._clock = ClockMap()

    def take(self, stop: threading.Event | None) -> Slot:
        """Take the next slot, as soon as it is near enough to be granted."""
        while not self._turn.acquire(timeout=0.25):
            sleep_unless_stopped(0.0, stop)
        try:
            if not self._clock.is_known:
                self._learn_clock()
            while True:
                answer = self._store.next_slot(self._limiter, self._burst, self._period, HORIZON)
                slot, granted = self._read_slot(*answer)
                if granted:
                    return slot
                sleep_unless_stopped(max(slot.due - HORIZON - time.monotonic(), 0.002), stop)
        finally:
            self._turn.release()

    def move(self, slot: Slot, sent: bool = False) -> Slot | None:
        """Move the slot to this moment; None: it is lost."""
        answer = self._store.move_slot(self._limiter, self._burst, self._period, slot.given, sent)
        moved, granted = self._read_slot(*answer)
        return moved if granted else None

    def _learn_clock(self) -> None:
        """Read the store's clock a few times before the first slot, in case one result was slow."""
        for _ in range(READINGS):
            theirs, asked, received = self._store.read_clock()
            self._clock.observe(theirs, asked, received)
            if received - asked <= SLACK / 2:
                return

    def _read_slot(
        self, due: datetime, clock: datetime, granted: bool, asked: float, received: float
    ) -> tuple[Slot, bool]:
        self._clock.observe(clock, asked, received)
        return Slot(due, self._clock.to_monotonic(due)), granted


class RateLimiter:
    """The limits of all vendors, kept in one store."""

    def __init__(self, store: LimitStore) -> None:
        self._store = store
        self._queues: dict[tuple[str, float], _HostQueue] = {}
        self._guard = threading.Lock()

    def slot_request(
        self, limiter: str, per_second: float, stop: threading.Event | None = None
    ) -> SlotRequest:
        """A request for a slot of this limiter; ``stop`` ends its wait."""
        return SlotRequest(self._queue(limiter, per_second), stop)

    def cool_down(self, limiter: str, seconds: float | None) -> None:
        """Stop all sending for so long after a 429, at least a second."""
        self._store.hold_slots(limiter, max(seconds or 0.0, SHORTEST_HOLD))

    def claim_points(
        self,
        account: Account,
        daily_points: int | None,
        cost: int = 2,
        now: Callable[[], datetime] = clock.now,
        setting: str = "the setting of its points",
    ) -> QuotaClaim:
        """Open a claim on the account's points, ``cost`` for each call; see ``QuotaClaim``."""
        return QuotaClaim(self._store, account, daily_points, cost, now, setting)

    def close(self) -> None:
        """Close the store's connection; a later call opens it again."""
        self._store.close()

    def _queue(self, limiter: str, per_second: float) -> _HostQueue:
        with self._guard:
            key = (limiter, per_second)
            if key not in self._queues:
                self._queues[key] = _HostQueue(self._store, limiter, per_second)
            return self._queues[key]
