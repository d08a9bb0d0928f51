"""What a vendor's client hands over: responses as received, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer as received. ``request`` names method, path and parameters, never a credential.

    ``sequence`` orders the answers of a window (the page number, from 1). ``decoded`` spares
    ``rows`` a second parse where the client had to look inside; it is not stored.
    """

    sequence: int
    request: Mapping[str, Any]
    asked_at: datetime
    received_at: datetime
    status: int
    content_type: str
    body: bytes = field(repr=False)
    decoded: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Restart:
    """A client found its pages untrue to each other: forget what this window has yielded so far."""

    reason: str


@dataclass(slots=True)
class ExtractStats:
    """What a window cost and what the vendor said of it; filled by the client while it extracts."""

    requests: int = 0
    points: int = 0
    pages: int = 0
    vendor_total: int | None = None
    notes: dict[str, Any] = field(default_factory=dict)
