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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


class Room:
    def __init__(self, asked: int, at_hand: int) -> None:
        self.leaving, self.asked, self.at_hand = LEAVING, asked, at_hand
        self.changed = threading.Condition()
        self.windows: list[WindowRoom] = []

    @contextmanager
    def of_window(self, account: str) -> Iterator[WindowRoom]:
        """A window's claim to places, from now on."""
        window = WindowRoom(self, account)
        with self.changed:
            self.windows.append(window)
        try:
            yield window
        finally:
            with self.changed:
                self.windows.remove(window)
                self.changed.notify_all()


class WindowRoom:
    """One window's places that are taken, and how many of its answers wait for one."""

    def __init__(self, room: Room, account: str) -> None:
        self.room, self.account = room, account
        self.asked = self.at_hand = self.wanting = 0

    def place(self, stop: threading.Event) -> Place:
        """For one answer, which has none yet; once ``stop`` is set it waits no longer."""
        return Place(self, stop)

    def may_ask(self) -> bool:
        room = self.room
        is_free = room.leaving > 0 and room.asked > 0
        return is_free and (self.asked < ASKED_BEHIND or not self._is_behind())

    def may_arrive(self) -> bool:
        return self.room.at_hand > 0 and (self.at_hand < AT_HAND_BEHIND or not self._is_behind())

    def _is_behind(self) -> bool:
        for window in self.room.windows:
            if window is self:
                break
            if window.wanting and window.account == self.account:
                return True
        return False


class Place:
    """One answer's: asked for, then at hand, then given back; used by one thread at a time.

    An answer asked for anew, because the first one was spoilt, keeps its place.
    """

    def __init__(self, window: WindowRoom, stop: threading.Event) -> None:
        self._window, self._stop = window, stop
        self._is_leaving = self._is_asked = self._is_at_hand = False

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *exc: object) -> None:
        self.leave()

    def ask(self) -> None:
        """Wait for a place among those asked for.

        Raises:
            Abandoned: nobody waits for the answer any more.
        """
        window, room = self._window, self._window.room
        with room.changed:
            window.wanting += 1
            try:
                self._wait_for(window.may_ask)
            finally:
                window.wanting -= 1
                room.changed.notify_all()
            self._count_leaving(1)
            self._count_asked(1)

    def left(self) -> None:
        """The request is on its way, or was given up: another one may wait for a slot."""
        if self._is_leaving:
            with self._window.room.changed:
                self._count_leaving(-1)
                self._window.room.changed.notify_all()

    def arrive(self) -> None:
        """The head is here: wait for a place at hand, and leave the other one.

        Raises:
            Abandoned: nobody waits for the answer any more.
        """
        if self._is_at_hand:
            return
        window, room = self._window, self._window.room
        with room.changed:
            window.wanting += 1
            try:
                self._wait_for(window.may_arrive, PATIENCE)
            finally:
                window.wanting -= 1
            self._count_at_hand(1)
            self._count_asked(-1)
            room.changed.notify_all()

    def leave(self) -> None:
        """Give back what it has."""
        with self._window.room.changed:
            if self._is_leaving:
                self._count_leaving(-1)
            if self._is_at_hand:
                self._count_at_hand(-1)
            if self._is_asked:
                self._count_asked(-1)
            self._window.room.changed.notify_all()

    def _wait_for(self, is_free: Callable[[], bool], patience: float = inf) -> None:
        give_up = monotonic() + patience
        while not self._window.room.changed.wait_for(is_free, LOOK_UP_SECONDS):
            if self._stop.is_set():
                raise Abandoned("the exchange was given up")
            if monotonic() > give_up:
                return

    def _count_leaving(self, one: int) -> None:
        self._is_leaving = one > 0
        self._window.room.leaving -= one

    def _count_asked(self, one: int) -> None:
        self._is_asked = one > 0
        self._window.asked += one
        self._window.room.asked -= one

    def _count_at_hand(self, one: int) -> None:
        self._is_at_hand = one > 0
        self._window.at_hand += one
        self._window.room.at_hand -= one
