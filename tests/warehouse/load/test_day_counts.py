"""What a load did to a day, as its receipt tells it."""

from __future__ import annotations

from datetime import UTC, date, datetime

from dagster_project.model.receipt import DOUBT, REJECTED, Extraction
from dagster_project.warehouse.ledger.load_receipts import REJECTED_UNDATED
from dagster_project.warehouse.load.day_counts import MOVED_OUT, DayCounts, rejected_figures

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
