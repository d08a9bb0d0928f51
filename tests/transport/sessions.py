"""Sessions that lose no time: short timeouts, and pauses that only remember; responses with their JSON."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from dagster_project.model.response import Response
from dagster_project.transport.connection import Timeouts
from dagster_project.transport.exchange import Reply, decode_json
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


@dataclass(frozen=True, slots=True)
class JsonResponse(Response):
    """A response with its body decoded, as a vendor's client has it made."""

    decoded: Any


def decode(reply: Reply) -> JsonResponse:
    """What a vendor's ``classify_response`` does."""
    return JsonResponse(**reply.answer.values(), decoded=decode_json(reply))
