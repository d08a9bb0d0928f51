"""Limit the responses in flight, of all windows together; the window that began first goes first.

A response holds a permit: to be requested, until its headers arrive, and then to be held, since its body
takes memory. From a slow vendor more is requested at once than may be held; a response that may not be
held yet waits on its connection. Only few requests wait for a slot at the same time, so that a new window's
first page need not wait for many.

While a window that began earlier waits for a permit, a later one of the same account may have only one
request under way and two responses held. So concurrent windows end one after another: the pages of the
next ones arrive while one commits.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from itertools import takewhile
from math import inf
from time import monotonic

from dagster_project.transport.connection import POLL_SECONDS
from dagster_project.transport.exchange import Abandoned

MAX_SENDING = 2
MAX_REQUESTED_LATER = 1
MAX_HELD_LATER = 2
"""Of a window that began later than one that waits for a permit."""
PATIENCE = 20.0
"""The most seconds that a response waits on its connection before it is read anyway: a vendor closes a
connection that is not read, and the call would be lost."""


class Stage(Enum):
    NONE = auto()
    SENDING = auto()
    SENT = auto()
    HELD = auto()


class InFlightLimit:
    """The most responses that may be requested, and held, by all windows together."""

    def __init__(self, max_requested: int, max_held: int) -> None:
        self.max_requested, self.max_held = max_requested, max_held
        self.changed = threading.Condition()
        self.windows: list[WindowPermits] = []

    @contextmanager
    def open_window(self, account: str) -> Iterator[WindowPermits]:
        """Open a window's permits until the end of the block."""
        window = WindowPermits(self, account)
        with self.changed:
            self.windows.append(window)
        try:
            yield window
        finally:
            with self.changed:
                self.windows.remove(window)
                self.changed.notify_all()

    def count_taken(self, *stages: Stage) -> int:
        return sum(window.taken[stage] for window in self.windows for stage in stages)


class WindowPermits:
    """One window's permits by stage, and how many of its responses wait for one."""

    def __init__(self, limit: InFlightLimit, account: str) -> None:
        self.limit, self.account = limit, account
        self.taken: Counter[Stage] = Counter()
        self.waiting = 0

    @property
    def requested(self) -> int:
        return self.taken[Stage.SENDING] + self.taken[Stage.SENT]

    @property
    def held(self) -> int:
        return self.taken[Stage.HELD]

    def permit(self, stop: threading.Event) -> Permit:
        """A permit for one response, not yet acquired; setting ``stop`` ends the wait for it."""
        return Permit(self, stop)

    def may_be_requested(self) -> bool:
        limit = self.limit
        return (
            limit.count_taken(Stage.SENDING) < MAX_SENDING
            and limit.count_taken(Stage.SENDING, Stage.SENT) < limit.max_requested
            and (self.requested < MAX_REQUESTED_LATER or not self._began_later())
        )

    def may_be_held(self) -> bool:
        is_free = self.limit.count_taken(Stage.HELD) < self.limit.max_held
        return is_free and (self.held < MAX_HELD_LATER or not self._began_later())

    def _began_later(self) -> bool:
        before = takewhile(lambda window: window is not self, self.limit.windows)
        return any(window.waiting and window.account == self.account for window in before)


class Permit:
    """One response's permit: to be requested, then held, then released. One thread at a time.

    A response that is requested again after a failed attempt keeps its permit.
    """

    def __init__(self, window: WindowPermits, stop: threading.Event) -> None:
        self._window, self._stop = window, stop
        self._stage = Stage.NONE

    def __enter__(self) -> Permit:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Wait until the response may be requested.

        Raises:
            Abandoned: nobody waits for the response any more.
        """
        self._enter(Stage.SENDING, self._window.may_be_requested)

    def on_sent(self) -> None:
        """Note that the request was sent, or abandoned: another one may wait for a slot."""
        if self._stage is Stage.SENDING:
            self._change_stage(Stage.SENT)

    def on_headers(self) -> None:
        """Wait, now that the headers have arrived, until the response may be held.

        Raises:
            Abandoned: nobody waits for the response any more.
        """
        if self._stage is not Stage.HELD:
            self._enter(Stage.HELD, self._window.may_be_held, PATIENCE)

    def release(self) -> None:
        """Give the permit back, at any stage."""
        self._change_stage(Stage.NONE)

    def _enter(self, stage: Stage, may_enter: Callable[[], bool], patience: float = inf) -> None:
        changed = self._window.limit.changed
        give_up = monotonic() + patience
        with changed:
            self._window.waiting += 1
            try:
                while not changed.wait_for(may_enter, POLL_SECONDS):
                    if self._stop.is_set():
                        raise Abandoned("the exchange was given up")
                    if monotonic() > give_up:
                        break
            finally:
                self._window.waiting -= 1
                changed.notify_all()
            self._change_stage(stage)

    def _change_stage(self, stage: Stage) -> None:
        with self._window.limit.changed:
            self._window.taken[self._stage] -= 1
            self._window.taken[stage] += 1
            self._stage = stage
            self._window.limit.changed.notify_all()
