"""What a load did to a day, as its receipt tells it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np

from dagster_project.model.receipt import DOUBT, REJECTED, Extraction
from dagster_project.warehouse.ledger.load_receipts import REJECTED_UNDATED
from dagster_project.warehouse.load.day_counts import (
    MOVED_OUT,
    DayCounts,
    checksum_of,
    checksums_of_days,
    rejected_figures,
)
from dagster_project.warehouse.load.row_index import ExistingRows, Identities

DAY = date(2024, 5, 1)
EXTRACTION = Extraction(7, "calltouch", "101", DAY, DAY, datetime(2024, 5, 2, tzinfo=UTC))


def test_rows_that_moved_to_another_day_did_not_vanish() -> None:
    counts = DayCounts(inserted=2, updated=1, unchanged=4, deleted=5)
    counts.notes[MOVED_OUT] = 3
    assert (counts.after, counts.vanished) == (7, 2)


def test_the_receipt_tells_rejects_doubt_and_the_windows_notes() -> None:
    counts = DayCounts(received=10, inserted=8, rejected=2, final=3, checksum=-1)
    counts.reasons["unreadable dateSent"] = 2
    counts.doubt = "too little could be read"
    receipt = counts.receipt(
        EXTRACTION,
        DAY,
        is_replay=False,
        in_window={"nul_replaced": 1},
        undated={"no date": 4},
        tells_final=True,
    )
    assert (receipt.source, receipt.account, receipt.extraction_id) == ("calltouch", "101", 7)
    assert receipt.rows_final == 3
    assert receipt.checksum == f"8:{'f' * 16}", "sums wrap around at 64 bits"
    assert receipt.notes == {
        REJECTED: {"unreadable dateSent": 2},
        REJECTED_UNDATED: {"no date": 4},
        DOUBT: "too little could be read",
        "in_window": {"nul_replaced": 1},
    }


def test_a_table_without_final_rows_has_no_count_of_them() -> None:
    receipt = DayCounts(final=3).receipt(
        EXTRACTION, DAY, is_replay=True, in_window={}, undated={}, tells_final=False
    )
    assert receipt.rows_final is None
    assert receipt.notes == {}


def test_rejects_are_figures_of_a_day_by_reason() -> None:
    assert rejected_figures({"no date": 4}) == {"rejected: no date": 4}


def test_each_days_rows_have_the_checksum_that_they_have_alone() -> None:
    drawn = np.random.default_rng(7)
    days = np.repeat(np.array([5, 6, 8], np.int32), [4, 1, 3])

    def existing(days: np.ndarray, keys: bytes, hashes: np.ndarray) -> ExistingRows:
        identities = Identities.from_keys(keys, days, with_day=True)
        return ExistingRows(identities, days, hashes, np.ones(len(days), np.int32))

    keys, hashes = drawn.bytes(16 * len(days)), drawn.integers(0, 2**64, len(days), np.uint64)
    found = checksums_of_days(existing(days, keys, hashes))
    for day in (5, 6, 8):
        at = np.flatnonzero(days == day)
        own = b"".join(keys[16 * n : 16 * n + 16] for n in at)
        assert found[day] == checksum_of(existing(days[at], own, hashes[at]))
    assert found[7] == "0:0000000000000000", "of no rows"
    assert checksums_of_days(existing(days[:0], b"", hashes[:0]))[5] == found[7]


def test_a_day_that_came_back_as_it_was_has_the_figures_of_the_load_before() -> None:
    first = DayCounts(received=5, inserted=5, final=3, checksum=2**64 - 2)
    told = {"is_replay": False, "in_window": {}, "undated": {}, "tells_final": True}
    receipt = first.receipt(EXTRACTION, DAY, **told)  # type: ignore[arg-type]
    again = DayCounts(before=5)
    again.repeat(receipt)
    found = again.receipt(EXTRACTION, DAY, **told)  # type: ignore[arg-type]
    assert (found.rows_received, found.rows_unchanged, found.rows_inserted) == (5, 5, 0)
    assert (found.rows_final, found.checksum) == (3, receipt.checksum)
