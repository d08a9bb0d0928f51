"""What is said of purchases from before the first partition: advice weighs what it costs."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from dagster_project.model.receipt import Receipt
from dagster_project.model.window import Account, Window
from dagster_project.vendors.tellody.older_purchases import (
    Oldest,
    count_older,
    describe_older,
    notice_older,
    read_older,
)

FIRST, LAST = date(2024, 6, 1), date(2024, 6, 30)
WINDOW = Window(FIRST, LAST, Account("tellody_purchases", "main", ZoneInfo("Europe/Athens")))


def receipts_of(*older: tuple[date, int | None]) -> list[Receipt]:
    counts = count_older(older, WINDOW)
    at = datetime(2024, 7, 1, tzinfo=UTC)
    notes = {"in_window": dict(counts)}
    return [Receipt("tellody_purchases", "main", LAST, 1, at, notes=notes)]


def test_a_purchase_of_1970_is_named_with_its_cost_and_no_start_is_advised() -> None:
    found = receipts_of((date(1969, 12, 27), 4711), (date(2024, 5, 20), 8))
    [line] = notice_older(found)
    assert "payment 4711 is dated 1969-12-27" in line
    assert "19,880 more daily partitions" in line
    assert "vendor" in line
    assert "WAREHOUSE_START_DATE" not in line
    assert "WAREHOUSE_START_DATE" not in str(describe_older(found))


def test_an_earlier_start_is_proposed_where_it_costs_little() -> None:
    [line] = notice_older(receipts_of((date(2024, 5, 20), 8)))
    assert "WAREHOUSE_START_DATE=2024-05-20" in line
    assert "12 more daily partitions" in line


def test_ordinary_history_is_told_by_the_run_and_not_by_status() -> None:
    found = receipts_of((date(2022, 1, 3), 8), (date(2023, 1, 3), 9))
    assert notice_older(found) == []
    [told] = describe_older(found).values()
    assert told.startswith("2, the first of 2022-01-03 (loading it takes 880 more daily partitions")


@pytest.mark.parametrize("payment_id", [4711, None])
def test_pages_are_added_up_to_the_oldest_of_all(payment_id: int | None) -> None:
    pages = count_older([(date(2023, 3, 7), 1)], WINDOW)
    pages.update(count_older([(date(2022, 3, 7), payment_id), (date(2023, 1, 1), 2)], WINDOW))
    older, oldest = read_older(pages)
    assert older == 3
    assert oldest is not None
    assert oldest.day == date(2022, 3, 7)


def test_what_an_earlier_version_counted_is_read() -> None:
    counts = Counter({"before_first_partition": 2, "before_first_partition_since:2023-03-07": 2})
    assert read_older(counts) == (2, Oldest(date(2023, 3, 7)))
    assert read_older({}) == (0, None)
