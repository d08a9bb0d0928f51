"""Sessions that lose no time: short timeouts, and pauses that only remember."""

from __future__ import annotations

import threading
from typing import Any

from dagster_project.transport.connection import Timeouts
from dagster_project.transport.session import Session

GOOD = '{"rows": [1, 2]}'


SECRET = "s3cr3t-t0ken-value"


class Pauses(list[float]):
    """A pause that only remembers."""

    def __call__(self, seconds: float, stop: threading.Event | None) -> None:
        self.append(seconds)


def session(pauses: Pauses | None = None, **named: Any) -> Session:
    named.setdefault("timeouts", Timeouts(connect=10, read=1.5, total=3.0))
    named.setdefault("pause", Pauses() if pauses is None else pauses)
    return Session(**named)
