"""Proofs of date ranges, remembered between runs: which one is the latest."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dagster_project import clock
from dagster_project.model.range_proof import RangeProof
from dagster_project.pipeline.lending import ConnectionPairs
from dagster_project.vendors.trust.range_proof import effective_proof
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.range_proofs import RangeProofs
from tests.support.connections import note_connections


def proof(state: str, ahead: timedelta = timedelta(0)) -> RangeProof:
    return RangeProof(
        "trust", "https://t.example", "a,b", state, "7", clock.now() + ahead, "seen", {}  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_proof_by_a_host_whose_clock_is_ahead_is_not_believed_until_time_catches_up(
    warehouse: Warehouse,
) -> None:
    proofs = RangeProofs(warehouse)
    proofs.save(proof("ignored", ahead=timedelta(days=2)))
    proofs.save(proof("honoured"))
    found = effective_proof(proofs.load("trust", "https://t.example", "a,b"))
    assert found is not None
    assert found.state == "honoured"


def test_a_later_proof_is_not_replaced_by_an_earlier_one(warehouse: Warehouse) -> None:
    proofs = RangeProofs(warehouse)
    late = proof("honoured", ahead=timedelta(minutes=-1))
    proofs.save(late)
    proofs.save(proof("honoured", ahead=timedelta(hours=-1)))
    assert proofs.load("trust", "https://t.example", "a,b") == [late]


def test_proofs_are_read_and_kept_over_a_connection_that_is_lent(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = ConnectionPairs(warehouse)
    proofs = RangeProofs(warehouse, pairs.reading)
    opened = note_connections(monkeypatch)
    found = proof("honoured", ahead=timedelta(minutes=-1))
    proofs.save(found)
    assert proofs.load("trust", "https://t.example", "a,b") == [found]
    assert opened == ["ledger"]
    pairs.close()
    assert RangeProofs(warehouse).load("trust", "https://t.example", "a,b") == [found]
