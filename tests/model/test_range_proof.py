"""What a proof says of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dagster_project.model.range_proof import RangeProof


@pytest.mark.parametrize(
    ("state", "conclusive"), [("honoured", True), ("ignored", True), ("unproven", False)]
)
def test_a_proof_that_found_nothing_out_is_not_conclusive(state: Any, conclusive: bool) -> None:
    asked_at = datetime(2024, 5, 1, tzinfo=UTC)
    proof = RangeProof("trust", "https://t", "a,b", state, "7", asked_at, "seen", {"total": 5})
    assert proof.is_conclusive is conclusive
    summary = proof.summary()
    assert summary["state"] == state
    assert summary["asked_at"] == "2024-05-01T00:00:00+00:00"
    assert "evidence" not in summary, "the figures are not told"
