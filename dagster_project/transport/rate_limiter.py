"""Keeps all processes together within a vendor's limits: requests a second, API points a day.

**Requests.** At most ``n`` requests leave in any ``n / per_second`` + ``MARGIN`` seconds, over all
threads of all processes that share the store; the limiter is the vendor's host, which counts by
address. The store gives slots, instants of its own clock; a thread sleeps until its slot and
leaves if it wakes within ``SLACK`` of it. Later than that, it would fall among the next ones: its
slot is moved to this moment where the limit allows, else forfeited and another one taken.
``MARGIN`` less ``SLACK`` is left to the network's own jitter. Only one thread of a process asks at
a time, and only for slots less than ``HORIZON`` ahead, so that a 429 seen by one process holds
back all within that time.

Why not ``pyrate-limiter`` (4.5.1), which has a Postgres bucket: its answer is a permit, not an
instant. Nobody notices that the sender woke late or had to connect first, the limit is decided
under a table lock that fails instead of queueing, and waiting is polling. Four processes of twelve
threads at 5 a second, 25 s on two cores, 1 s latency, against a sliding second:

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
from dagster_project.model.vendor_store import LimitStore, SlotStore
from dagster_project.model.window import Account
from dagster_project.transport.quota import QuotaClaim
from dagster_project.transport.session import sleep_unless_stopped

MARGIN = 0.04
SLACK = 0.01
HORIZON = 0.25
LARGEST_BURST = 50
SHORTEST_HOLD = 1.0
READINGS = 5


class ClockMap:
    """Translates the store's clock into this process's monotonic one.

    Each answer of the store tells what its clock said at some moment between asking and
    receiving. The narrowest of the latest such moments counts, as in NTP, unless the newest one
    contradicts it: then the store's clock was set, and what was known before is worth nothing.
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
    """An instant at which one request may leave: by the store's clock, and by ours (monotonic)."""

    given: datetime
    due: float

    @property
    def is_missed(self) -> bool:
        return time.monotonic() - self.due > SLACK


class SlotRequest:
    """One request's way to its slot: ``acquire`` is asked until it answers True, then ``on_sent`` told."""

    def __init__(self, queue: _HostQueue, stop: threading.Event | None) -> None:
        self._queue, self._stop = queue, stop
        self._slot: Slot | None = None

    def acquire(self) -> bool:
        """True to leave at this very moment; False after having waited for a slot."""
        if self._slot is None:
            self._slot = self._queue.take(self._stop)
        elif self._slot.is_missed:
            self._slot = self._queue.move(self._slot) or self._queue.take(self._stop)
        else:
            return True
        sleep_unless_stopped(max(self._slot.due - time.monotonic(), 0.0), self._stop)
        return False

    def on_sent(self) -> None:
        """The request is on its way: if that took long, the slots to come have to know."""
        if self._slot is not None and self._slot.is_missed:
            with suppress(TryLater):  # the answer is worth more than the note
                self._queue.move(self._slot, sent=True)


class _HostQueue:
    """The threads of this process that send to one limiter, one behind the other."""

    def __init__(self, store: SlotStore, limiter: str, per_second: float) -> None:
        self._store, self._limiter = store, limiter
        self._burst = min(max(floor(per_second), 1), LARGEST_BURST)
        self._period = self._burst / per_second + MARGIN
        self._turn = threading.Lock()
        self._clock = ClockMap()

    def take(self, stop: threading.Event | None) -> Slot:
        """The next slot, as soon as it is near enough to be given."""
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
        """The slot moved to this moment; None where it had to be forfeited."""
        answer = self._store.move_slot(self._limiter, self._burst, self._period, slot.given, sent)
        moved, granted = self._read_slot(*answer)
        return moved if granted else None

    def _learn_clock(self) -> None:
        """Before the first slot, when one answer that took long would be all that is known."""
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
    """The limits of all vendors, over one store."""

    def __init__(self, store: LimitStore) -> None:
        self._store = store
        self._queues: dict[tuple[str, float], _HostQueue] = {}
        self._guard = threading.Lock()

    def slot_request(
        self, limiter: str, per_second: float, stop: threading.Event | None = None
    ) -> SlotRequest:
        """A way to a slot of this limiter, for one request; ``stop`` ends the wait."""
        return SlotRequest(self._queue(limiter, per_second), stop)

    def cool_down(self, limiter: str, seconds: float | None) -> None:
        """A 429 was drawn: nobody sends for so long (at least a second)."""
        self._store.hold_slots(limiter, max(seconds or 0.0, SHORTEST_HOLD))

    def claim_points(
        self,
        account: Account,
        daily_points: int | None,
        cost: int = 2,
        now: Callable[[], datetime] = clock.now,
        setting: str = "the setting of its points",
    ) -> QuotaClaim:
        """A claim on the account's points, of ``cost`` a call; see ``QuotaClaim``."""
        return QuotaClaim(self._store, account, daily_points, cost, now, setting)

    def close(self) -> None:
        """Let go of the store's connection; it is made again by whoever still asks."""
        self._store.close()

    def _queue(self, limiter: str, per_second: float) -> _HostQueue:
        with self._guard:
            key = (limiter, per_second)
            if key not in self._queues:
                self._queues[key] = _HostQueue(self._store, limiter, per_second)
            return self._queues[key]
