"""What a check says of a day of an account. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Severity = Literal["error", "warning"]

COMPLETE: Final = "complete"
NO_REJECTS: Final = "no_rejects"
KNOWN_VALUES: Final = "known_values"
DATES_INSIDE: Final = "dates_inside"
HELD: Final = "not_shrunk"
"""The check of a day whose newer answer is held."""
READABLE: Final = "readable"
PLAUSIBLE_VOLUME: Final = "plausible_volume"
MONTH_ADDS_UP: Final = "month_adds_up"
"""The check that holds finished months against the vendor."""


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """``said`` is the sentence that a person reads first; ``causes`` are why it does not pass."""

    name: str
    passed: bool
    severity: Severity
    said: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    causes: tuple[str, ...] = ()
