"""What a vendor's client needs kept between runs and shared by processes: handed to it, whoever keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from dagster_project.model.range_proof import RangeProof
from dagster_project.model.window import Window

SlotAnswer = tuple[datetime, datetime, bool, float, float]
"""When to leave, the store's clock, whether that slot was given; and the (monotonic) instants of this
process between which the store was asked and answered, without what came before: a connection made, other
threads that had their turn. They would make the store's clock seem to be ahead, and requests leave early."""


class PointStore(Protocol):
    """API points spent and set aside, by account and day."""

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


class SlotStore(Protocol):
    """Instants at which requests may leave, by limiter."""

    def next_slot(self, limiter: str, burst: int, period: float, horizon: float) -> SlotAnswer: ...
    def move_slot(
        self, limiter: str, burst: int, period: float, given: datetime, sent: bool
    ) -> SlotAnswer: ...
    def read_clock(self) -> tuple[datetime, float, float]: ...
    def hold_slots(self, limiter: str, seconds: float) -> None: ...


class LimitStore(SlotStore, PointStore, Protocol):
    """All that the rate limiter needs kept."""

    def close(self) -> None: ...


class ProofStore(Protocol):
    """What remembers proofs between runs: the latest of each state."""

    def load(self, source: str, server: str, params: str) -> Sequence[RangeProof]: ...
    def save(self, proof: RangeProof) -> None: ...


class VendorStore(Protocol):
    """All that a vendor may ask to have kept."""

    def limits(self) -> LimitStore:
        """A new connection to the limits that all processes share; whoever takes it closes it."""
        ...

    @property
    def proofs(self) -> ProofStore: ...

    def expected_pages(self, window: Window, rows_a_page: int) -> int:
        """Pages that the last load of such a window took; at least 1."""
        ...
