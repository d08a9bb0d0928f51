"""Sessions whose pauses only remember, hasty ones for servers that are slow, and responses with their JSON."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from dagster_project.model.response import Response
from dagster_project.transport.connection import Timeouts
from dagster_project.transport.exchange import Reply, decode_json
from dagster_project.transport.session import Session

GOOD = '{"rows": [1, 2]}'
HASTY = Timeouts(connect=10, read=1.5, total=3.0)
"""Where it is a slow server that is tested: on a busy machine any one may be as slow as that."""


SECRET = "s3cr3t-t0ken-value"


class Pauses(list[float]):
    """A pause that only remembers."""

    def __call__(self, seconds: float, stop: threading.Event | None) -> None:
        self.append(seconds)


def session(pauses: Pauses | None = None, **named: Any) -> Session:
    named.setdefault("pause", Pauses() if pauses is None else pauses)
    return Session(**named)


@dataclass(frozen=True, slots=True)
class JsonResponse(Response):
    """A response with its body decoded, as a vendor's client has it made."""

    decoded: Any


def decode(reply: Reply) -> JsonResponse:
    """What a vendor's ``classify_response`` does."""
    return JsonResponse(**reply.answer.values(), decoded=decode_json(reply))
