"""What a vendor's client returns: responses as received, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer as received. ``request`` has method, path and parameters, never a credential.

    ``sequence`` orders the responses of a window (the page number, from 1). A client that had to decode
    the body returns a subclass with the decoded page, so that it is parsed only once. A response that is
    read back from ``raw.response`` is always of this class.
    """

    sequence: int
    request: Mapping[str, Any]
    asked_at: datetime
    received_at: datetime
    status: int
    content_type: str
    body: bytes = field(repr=False)

    def values(self) -> dict[str, Any]:
        """The fields by name, for making a response of another class."""
        return {each.name: getattr(self, each.name) for each in fields(Response)}


@dataclass(frozen=True, slots=True)
class Restart:
    """The pages contradicted each other: discard what this window has yielded so far."""

    reason: str


@dataclass(slots=True)
class ExtractStats:
    """What a window cost, and the vendor's own total; filled in by the client as it extracts."""

    requests: int = 0
    points: int = 0
    pages: int = 0
    vendor_total: int | None = None
    latency: float | None = None
    """Seconds until the quickest answer began."""
    notes: dict[str, Any] = field(default_factory=dict)
