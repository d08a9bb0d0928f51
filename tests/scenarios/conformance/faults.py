"""What can go wrong on the wire: faults by what they ask of the reader."""

from __future__ import annotations

from typing import Any, Final

Fault = tuple[str, dict[str, Any]]
"""A kind that the sandbox plays, and its parameters."""

HARMLESS: Final[dict[str, Fault]] = {
    "gzip": ("gzip", {}),
    "byte order mark": ("bom", {}),
    "wrong content type": ("content_type", {}),
    "slow drip": ("slow_drip", {"seconds": 0.05, "pieces": 5}),
}
"""An answer under one of these is as good as any."""

PASSING: Final[dict[str, Fault]] = {
    "429 with Retry-After": ("status", {"status": 429, "retry_after": "0.1"}),
    "429 with a date": (
        "status",
        {"status": 429, "retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"},
    ),
    "429": ("status", {"status": 429}),
    "500": ("status", {"status": 500}),
    "501": ("status", {"status": 501}),
    "502 with HTML": ("status", {"status": 502, "body": "<html>Bad Gateway</html>"}),
    "503 with Retry-After": ("status", {"status": 503, "retry_after": "0.1"}),
    "504": ("status", {"status": 504}),
    "reset before the answer": ("reset", {}),
    "reset after the work": ("reset", {"processed": True}),
    "reset in the body": ("reset_in_body", {}),
    "closed in the body": ("close_in_body", {}),
    "cut JSON": ("cut_json", {}),
    "HTML with 200": ("html", {}),
    "empty 200": ("empty", {}),
    "no JSON": ("not_json", {}),
}
"""Another attempt may bring the answer; without one the window fails."""

HANGING: Final[dict[str, Fault]] = {
    "hang": ("hang", {"seconds": 30}),
    "drip without end": ("slow_drip", {"seconds": 30, "pieces": 60}),
}
"""As PASSING, and each costs the reader its patience."""
