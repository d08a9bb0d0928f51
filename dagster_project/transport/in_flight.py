"""Room for so many answers, of several windows together; the window that began first goes first.

An answer has a place among those asked for until its head is here, and then one among those at hand,
whose bodies take memory: a vendor that takes seconds to answer is asked for more at once than may be
held. An answer that finds no place at hand waits on its connection. Few go at once for a slot to leave
in: whoever is first decides late what is asked next, and a new window's first page waits for few.

A window behind gets one place of each kind at a time, and at hand one more, while one before it of
the same account has something to fetch, and all that is free when it has not. So windows abreast end
one after another: the pages of the next ones arrive while one commits.
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

from dagster_project.transport.connection import LOOK_UP_SECONDS
from dagster_project.transport.exchange import Abandoned

LEAVING = 2
ASKED_BEHIND = 1
AT_HAND_BEHIND = 2
PATIENCE = 20.0
"""Seconds that an answer waits on its connection before it is read all the same: a vendor hangs up on
who does not read, and the call would be lost."""


class Stage(Enum):
    NONE = auto()
    LEAVING = auto()
    UNDER_WAY = auto()
    AT_HAND = auto()


class InFlightLimit:
    """So many asked for (those still leaving among them) and so many at hand, of all windows together."""

    def __init__(self, asked: int, at_hand: int) -> None:
        self.most_asked, self.most_at_hand = asked, at_hand
        self.changed = threading.Condition()
        self.windows: list[WindowPermits] = []

    @contextmanager
    def of_window(self, account: str) -> Iterator[WindowPermits]:
        """A window's claim to places, from now on."""
        window = WindowPermits(self, account)
        with self.changed:
            self.windows.append(window)
        try:
            yield window
        finally:
            with self.changed:
                self.windows.remove(window)
                self.changed.notify_all()

    def taken(self, *stages: Stage) -> int:
        return sum(window.taken[stage] for window in self.windows for stage in stages)


class WindowPermits:
    """One window's places that are taken, and how many of its answers wait for one."""

    def __init__(self, limit: InFlightLimit, account: str) -> None:
        self.limit, self.account = limit, account
        self.taken: Counter[Stage] = Counter()
        self.waiting = 0

    @property
    def asked(self) -> int:
        return self.taken[Stage.LEAVING] + self.taken[Stage.UNDER_WAY]

    @property
    def at_hand(self) -> int:
        return self.taken[Stage.AT_HAND]

    def place(self, stop: threading.Event) -> Permit:
        """For one answer, which has none yet; once ``stop`` is set it waits no longer."""
        return Permit(self, stop)

    def may_be_requested(self) -> bool:
        limit = self.limit
        return (
            limit.taken(Stage.LEAVING) < LEAVING
            and limit.taken(Stage.LEAVING, Stage.UNDER_WAY) < limit.most_asked
            and (self.asked < ASKED_BEHIND or not self._is_behind())
        )

    def may_be_held(self) -> bool:
        is_free = self.limit.taken(Stage.AT_HAND) < self.limit.most_at_hand
        return is_free and (self.at_hand < AT_HAND_BEHIND or not self._is_behind())

    def _is_behind(self) -> bool:
        before = takewhile(lambda window: window is not self, self.limit.windows)
        return any(window.waiting and window.account == self.account for window in before)


class Permit:
    """One answer's: asked for, then at hand, then given back; used by one thread at a time.

    An answer asked for anew, because the first one was spoilt, keeps its place.
    """

    def __init__(self, window: WindowPermits, stop: threading.Event) -> None:
        self._window, self._stop = window, stop
        self._stage = Stage.NONE

    def __enter__(self) -> Permit:
        return self

    def __exit__(self, *exc: object) -> None:
        self.leave()

    def ask(self) -> None:
        """Wait for a place among those asked for.

        Raises:
            Abandoned: nobody waits for the answer any more.
        """
        self._enter(Stage.LEAVING, self._window.may_be_requested)

    def on_sent(self) -> None:
        """The request is on its way, or was given up: another one may wait for a slot."""
        if self._stage is Stage.LEAVING:
            self._change_stage(Stage.UNDER_WAY)

    def on_headers(self) -> None:
        """The head is here: wait for a place at hand, and leave the other one.

        Raises:
            Abandoned: nobody waits for the answer any more.
        """
        if self._stage is not Stage.AT_HAND:
            self._enter(Stage.AT_HAND, self._window.may_be_held, PATIENCE)

    def leave(self) -> None:
        """Give back what it has."""
        self._change_stage(Stage.NONE)

    def _enter(self, stage: Stage, may_enter: Callable[[], bool], patience: float = inf) -> None:
        changed = self._window.limit.changed
        give_up = monotonic() + patience
        with changed:
            self._window.waiting += 1
            try:
                while not changed.wait_for(may_enter, LOOK_UP_SECONDS):
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
