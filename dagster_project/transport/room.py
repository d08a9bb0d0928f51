"""Room for so many answers at once, of several windows together; the window that began first goes first.

A window behind gets one place at a time while one before it of the same account has something to
fetch, and all that is free when it has not. So windows abreast end one after another: the pages of
the next ones arrive while one commits.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    def __init__(self, places: int) -> None:
        self.free = places
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
    """Used as a semaphore is, by the threads that fetch for one window."""

    def __init__(self, room: Room, account: str) -> None:
        self._room, self._account = room, account
        self._held = self._waiting = 0

    def acquire(self, timeout: float) -> bool:
        """Whether a place was had within so many seconds."""
        room = self._room
        with room.changed:
            self._waiting += 1
            entered = room.changed.wait_for(self._may_enter, timeout)
            self._waiting -= 1
            if entered:
                room.free -= 1
                self._held += 1
            if not self._waiting:
                room.changed.notify_all()
            return entered

    def release(self) -> None:
        with self._room.changed:
            self._room.free += 1
            self._held -= 1
            self._room.changed.notify_all()

    def _may_enter(self) -> bool:
        return self._room.free > 0 and (not self._held or not self._is_behind())

    def _is_behind(self) -> bool:
        for window in self._room.windows:
            if window is self:
                break
            if window._waiting and window._account == self._account:
                return True
        return False
