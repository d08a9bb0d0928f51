"""A range proof: evidence of whether a vendor's server honours a date range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class RangeProof:
    """Whether a vendor's server honours a date range whose parameters are not documented.

    ``state``: ``honoured`` or ``ignored``, both conclusive, or ``unproven``. ``account`` is the one
    that was tested; its proof holds for every account with the same ``server`` and ``params`` (the
    names, separated by a comma). ``evidence`` has the figures that were compared, as JSON.
    """

    source: str
    server: str
    params: str
    state: Literal["honoured", "ignored", "unproven"]
    account: str
    asked_at: datetime
    reason: str
    evidence: Mapping[str, Any]

    @property
    def is_conclusive(self) -> bool:
        return self.state != "unproven"

    def summary(self) -> dict[str, Any]:
        """All but the figures, for metadata, notes and the doctor."""
        return {
            "state": self.state,
            "account": self.account,
            "asked_at": self.asked_at.isoformat(),
            "server": self.server,
            "params": self.params,
            "reason": self.reason,
        }
