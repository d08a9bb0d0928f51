"""What a receipt says of its load."""

from __future__ import annotations

from datetime import UTC, date, datetime

from dagster_project.model.receipt import DOUBT, Receipt

NOON = datetime(2024, 5, 2, 12, tzinfo=UTC)


def receipt(**counts: int) -> Receipt:
    return Receipt("calltouch", "101", date(2024, 5, 1), 1, NOON, **counts)  # type: ignore[arg-type]


def test_rows_that_stand_are_those_that_came_in_changed_or_stayed() -> None:
    load = receipt(rows_inserted=2, rows_updated=3, rows_unchanged=5, rows_deleted=7)
    assert load.rows == 10


def test_a_load_that_only_found_what_stands_changed_nothing() -> None:
    assert not receipt(rows_unchanged=5, rows_received=5).changed
    assert receipt(rows_deleted=1).changed


def test_a_doubt_is_told_where_there_is_one() -> None:
    load = receipt()
    assert load.doubt == ""
    load.notes[DOUBT] = "too little could be read"
    assert load.doubt == "too little could be read"
