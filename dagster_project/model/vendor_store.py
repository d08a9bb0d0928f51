"""Protocols for what a vendor's client keeps between runs and shares with other processes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from dagster_project.model.range_proof import RangeProof

SlotAnswer = tuple[datetime, datetime, bool, float, float]
"""When to send, the store's clock, whether the slot was granted; and the monotonic instants at which this
process sent the query and received its result. Time spent connecting or waiting for other threads is left
out: it would make the store's clock seem ahead, and requests would be sent too early."""


class LimitStore(Protocol):
    """What the rate limiter stores: instants at which requests may be sent, by limiter; API points spent and
    set aside, by account and day."""

    def reserve(
        self,
        reservation: UUID,
        source: str,
        account: str,
        day: date,
        points: int,
        budget: int | None,
    ) -> tuple[bool, int, int]: ...
    def spend(
        self,
        reservation: UUID,
        source: str,
        account: str,
        day: date,
        points: int,
        budget: int | None,
    ) -> tuple[bool, int, int]: ...
    def refund(
        self, reservation: UUID, source: str, account: str, day: date, points: int
    ) -> None: ...
    def release(self, reservation: UUID) -> None: ...
    def read_points(self, source: str, account: str, day: date) -> tuple[int, int]: ...

    def next_slot(self, limiter: str, burst: int, period: float, horizon: float) -> SlotAnswer: ...
    def move_slot(
        self, limiter: str, burst: int, period: float, given: datetime, sent: bool
    ) -> SlotAnswer: ...
    def read_clock(self) -> tuple[datetime, float, float]: ...
    def hold_slots(self, limiter: str, seconds: float) -> None: ...

    def close(self) -> None: ...


class ProofStore(Protocol):
    """Keeps range proofs between runs: the latest of each state."""

    def load(self, source: str, server: str, params: str) -> Sequence[RangeProof]: ...
    def save(self, proof: RangeProof) -> None: ...


class VendorStore(Protocol):
    """Everything that a vendor's client may store."""

    def limits(self) -> LimitStore:
        """Open a connection to the limits that all processes share; the caller closes it."""
        ...

    @property
    def proofs(self) -> ProofStore: ...
