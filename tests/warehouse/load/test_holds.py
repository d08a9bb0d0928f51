"""Which days of a load are held back: rows that stand do not go because something cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dagster_project.model import receipt
from dagster_project.model.batch import Batch, Reject
from dagster_project.model.copy_binary import encode_batch
from dagster_project.model.response import ExtractStats
from dagster_project.model.table import Table
from dagster_project.model.window import Account, Window
from dagster_project.vendors.calltouch.rows import TABLE as SMS_TABLE
from dagster_project.vendors.tellody.purchase_rows import TABLE as PURCHASES
from dagster_project.vendors.tellody.purchase_rows import key_of
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import extractions
from dagster_project.warehouse.load.holds import Held, HeldDays, RejectGuard, ShrinkGuard
from dagster_project.warehouse.load.partitions import PartitionManager
from dagster_project.warehouse.load.window_load import WindowLoad
from tests.warehouse.load.test_window_load import FIRST, WINDOW, Sms, batch_of

SECOND = FIRST + timedelta(days=1)
ONE_DAY = Window(FIRST, FIRST, WINDOW.account)
LEDGER = Window(FIRST, WINDOW.last_day, Account("tellody_purchases", "main", ZoneInfo("UTC")))
GUARDS: dict[str, Any] = {"guard": ShrinkGuard(1000, 0.5), "reject_guard": RejectGuard()}
STANDING = [Sms(FIRST, n) for n in range(1, 31)] + [Sms(SECOND, n) for n in range(31, 61)]


def run(
    warehouse: Warehouse,
    batch: Batch,
    window: Window = WINDOW,
    table: Table = SMS_TABLE,
    **more: Any,
) -> list[receipt.Receipt]:
    months = PartitionManager(warehouse)
    options = {**GUARDS, "lock_whole": table is PURCHASES, **more}
    with warehouse.connect(autocommit=True) as books, warehouse.connect() as connection:
        extraction = extractions.begin_extraction(books, window, None)
        work = WindowLoad(
            connection, table, window, extraction, ensure_month=months.ensure, **options
        )
        try:
            work.begin()
            work.add(batch)
            receipts = work.finish()
            connection.commit()
        finally:
            extractions.end_extraction(books, extraction, ExtractStats(), "complete")
            months.close()
    return receipts


def held_by(warehouse: Warehouse, batch: Batch, *of: Any, **more: Any) -> dict[date, Held]:
    with pytest.raises(HeldDays) as caught:
        run(warehouse, batch, *of, **more)
    return dict(caught.value.held)


def sms(
    rows: Sequence[Sms], rejected: Sequence[int] = (), day: date | None = FIRST, text: str = "{}"
) -> Batch:
    batch = batch_of(rows)
    batch.rejects = [
        Reject("unreadable dateSent", f'{text[:-1]}"n": {n}}}', day, "as 99 instead of dd")
        for n in rejected
    ]
    return batch


def without(rows: Sequence[Sms], *keys: int) -> list[Sms]:
    return [row for row in rows if row.key not in keys]


def test_one_new_reject_and_one_row_gone_hold_the_day_and_no_other(warehouse: Warehouse) -> None:
    run(warehouse, sms(STANDING))
    held = held_by(warehouse, sms(without(STANDING, 1, 31), [1]))
    assert {day: one.kinds for day, one in held.items()} == {FIRST: ["rejects"]}
    assert "unreadable dateSent: 1, as 99 instead of dd" in held[FIRST].why
    assert "would delete 1 of 30 rows" in held[FIRST].why
    assert held[FIRST].figures["rows"] == 29
    assert held[FIRST].figures["status delivered"] == 29
    assert held[FIRST].figures["rejected: unreadable dateSent"] == 1


def test_a_record_of_no_day_holds_each_day_that_would_lose_a_row(warehouse: Warehouse) -> None:
    run(warehouse, sms(STANDING))
    both = held_by(warehouse, sms(without(STANDING, 1, 31), [1], day=None))
    assert list(both) == [FIRST, SECOND]
    one = held_by(warehouse, sms(without(STANDING, 31), [1], day=None))
    assert list(one) == [SECOND]


def test_beside_a_held_day_the_others_are_loaded_and_what_has_no_day_stays_new(
    warehouse: Warehouse,
) -> None:
    run(warehouse, sms(STANDING))
    answer = [*without(STANDING, 31), Sms(FIRST, 99)]
    for _ in range(2):
        held = held_by(warehouse, sms(answer, [1], None))
        receipts = {r.day: r for r in run(warehouse, sms(answer, [1], None), held=held)}
        assert list(held) == [SECOND]
        assert (SECOND in receipts, receipts[FIRST].rows) == (False, 31)
    [receipt, *_] = run(warehouse, sms(answer, [1], None), reject_guard=None)
    assert receipt.notes["rejected_undated"] == {"unreadable dateSent": 1}
    run(warehouse, sms(without(answer, 32), [1], None))


def test_what_was_rejected_before_holds_nothing(warehouse: Warehouse) -> None:
    for day in (FIRST, None):
        run(warehouse, sms(STANDING, [1, 2, 3], day))
        run(warehouse, sms(without(STANDING, 5), [1, 2, 3], day))
    held_by(warehouse, sms(without(STANDING, 5, 6), [1, 2, 4], None))


def test_what_has_been_readable_since_is_new_when_it_comes_again(warehouse: Warehouse) -> None:
    run(warehouse, sms(STANDING, [1]))
    run(warehouse, sms(STANDING))
    assert list(held_by(warehouse, sms(without(STANDING, 1), [1]))) == [FIRST]


def test_equal_records_are_known_up_to_as_many_as_the_day_had(warehouse: Warehouse) -> None:
    same = [7] * 5
    run(warehouse, sms(STANDING, same))
    run(warehouse, sms(without(STANDING, 1), same))
    assert list(held_by(warehouse, sms(without(STANDING, 1, 2), [*same, 7]))) == [FIRST]
    assert list(held_by(warehouse, sms(without(STANDING, 1, 31), same, SECOND))) == [SECOND]


def test_a_few_new_rejects_beside_all_rows_are_loaded_and_a_considerable_part_is_held(
    warehouse: Warehouse,
) -> None:
    run(warehouse, sms(STANDING))
    run(warehouse, sms(STANDING, range(10)))
    assert list(held_by(warehouse, sms(STANDING, range(100, 111)))) == [FIRST]


def test_what_is_rejected_still_exists_and_is_no_shrinkage(warehouse: Warehouse) -> None:
    guard = ShrinkGuard(10, 0.5)
    run(warehouse, sms(STANDING))
    gone = [row for row in STANDING if row.day == SECOND]
    held = held_by(warehouse, sms(gone, range(30)), guard=guard)
    assert held[FIRST].kinds == ["rejects"]
    run(warehouse, sms(gone, range(30)), guard=guard, reject_guard=None)
    fewer = sms(without(gone, *range(31, 58)), range(40, 43), SECOND)
    assert held_by(warehouse, fewer, guard=guard)[SECOND].kinds == ["rejects", "shrink"]


@pytest.mark.parametrize(("rejected", "doubted"), [(0, False), (10, False), (11, True), (9, False)])
def test_of_a_first_load_the_share_decides_and_the_rest_is_loaded(
    warehouse: Warehouse, rejected: int, doubted: bool
) -> None:
    [receipt] = run(warehouse, sms(STANDING[:30], range(rejected)), ONE_DAY)
    assert (receipt.rows, receipt.rows_rejected, bool(receipt.doubt)) == (30, rejected, doubted)
    [again] = run(warehouse, sms(STANDING[:30], range(rejected)), ONE_DAY)
    assert not again.doubt


def test_a_first_load_of_which_nothing_can_be_read_is_doubted(warehouse: Warehouse) -> None:
    [receipt] = run(warehouse, sms([], [1]), ONE_DAY)
    assert receipt.doubt.startswith("1 of 1 record rejected")
    receipts = run(warehouse, sms([], range(20), None), WINDOW)
    assert all("of all days asked together" in receipt.doubt for receipt in receipts[1:])


def test_more_than_ten_of_very_many_are_no_considerable_part() -> None:
    guard = RejectGuard()
    assert not guard.is_exceeded(11, 1100)
    assert guard.is_exceeded(12, 1100)
    assert guard.is_exceeded(1, 1)
    assert not guard.is_exceeded(0, 0)


def nulled(rows: Sequence[Sms], *, absent: bool = False) -> Batch:
    batch = encode_batch(
        SMS_TABLE,
        [{**row.row(), "status_detail": None} for row in rows],
        key_of=lambda row: row["sms_key"],
    )
    batch.observed = [row.status == "delivered" for row in rows]
    (batch.absent if absent else batch.nulls)["smsStatusDetail"] = len(rows)
    return batch


@pytest.mark.parametrize("absent", [False, True])
def test_a_field_that_lost_all_of_its_values_is_a_change_of_shape(
    warehouse: Warehouse, absent: bool
) -> None:
    run(warehouse, sms(STANDING))
    batch = nulled(STANDING, absent=absent)
    batch.counts["unknown_key:smsDetail"] = len(STANDING)
    held = held_by(warehouse, batch)
    assert list(held) == [FIRST, SECOND]
    came = "is missing" if absent else "is null"
    assert f"has no smsStatusDetail any more: it {came} in all 30 records" in held[FIRST].why
    assert "undocumented keys: smsDetail" in held[FIRST].why
    receipts = run(warehouse, nulled(STANDING, absent=absent), reject_guard=None)
    assert sum(receipt.rows_updated for receipt in receipts) == 60
    assert not any(r.rows_updated for r in run(warehouse, nulled(STANDING, absent=absent)))


def test_a_field_absent_from_a_first_load_is_null_and_doubted(warehouse: Warehouse) -> None:
    [receipt] = run(warehouse, nulled(STANDING[:30], absent=True), ONE_DAY)
    assert "no record has smsStatusDetail" in receipt.doubt
    [again] = run(warehouse, nulled(STANDING[:30], absent=True), ONE_DAY)
    assert not again.doubt
    [null] = run(warehouse, nulled([Sms(SECOND, 99)]), Window(SECOND, SECOND, WINDOW.account))
    assert not null.doubt


def purchases(days: dict[int, date]) -> Batch:
    empty = dict.fromkeys(column.name for column in PURCHASES.columns)
    rows = [
        {
            **empty,
            "purchased_on": day,
            "account": "main",
            "payment_id": number,
            "purchased_at": datetime(day.year, day.month, day.day, 9, tzinfo=UTC),
            "time_zone": "UTC",
            "amount": Decimal("10.50"),
            "payment_method": "card",
        }
        for number, day in days.items()
    ]
    return encode_batch(PURCHASES, rows, key_of)


def test_a_ledger_that_lost_a_record_is_held_and_one_that_only_moved_it_is_not(
    warehouse: Warehouse,
) -> None:
    full = {1: FIRST, 2: FIRST, 3: SECOND}
    run(warehouse, purchases(full), LEDGER, PURCHASES)
    moved = {**full, 2: SECOND}
    receipts = run(warehouse, purchases(moved), LEDGER, PURCHASES)
    assert [receipt.rows for receipt in receipts[:2]] == [1, 2]
    held = held_by(warehouse, purchases({}), LEDGER, PURCHASES)
    assert {day: one.kinds for day, one in held.items()} == {FIRST: ["shrink"], SECOND: ["shrink"]}
    assert held[FIRST].figures == {"rows": 0}
    one_gone = held_by(warehouse, purchases({1: FIRST, 2: SECOND}), LEDGER, PURCHASES)
    assert list(one_gone) == [SECOND]


def test_days_between_which_a_record_moved_are_held_together(warehouse: Warehouse) -> None:
    third = SECOND + timedelta(days=1)
    run(warehouse, purchases({1: FIRST, 2: FIRST, 3: SECOND}), LEDGER, PURCHASES)
    answer = {2: SECOND, 3: SECOND, 4: third}
    held = held_by(warehouse, purchases(answer), LEDGER, PURCHASES)
    assert list(held) == [FIRST, SECOND]
    receipts = run(warehouse, purchases(answer), LEDGER, PURCHASES, held=held)
    assert [receipt.day for receipt in receipts if receipt.rows] == [third]
    with warehouse.connect() as connection:
        found = connection.execute(
            "SELECT payment_id, purchased_on FROM warehouse.tellody_credit_purchase ORDER BY 1"
        ).fetchall()
    assert found == [(1, FIRST), (2, FIRST), (3, SECOND), (4, third)]


def test_a_record_dated_outside_of_the_window_is_no_loss(warehouse: Warehouse) -> None:
    run(warehouse, purchases({1: FIRST, 2: FIRST}), LEDGER, PURCHASES)
    batch = purchases({1: FIRST})
    batch.elsewhere = key_of({"payment_id": 2})
    receipts = run(warehouse, batch, LEDGER, PURCHASES)
    assert receipts[0].rows_deleted == 1


def test_a_ledger_of_which_records_cannot_be_read_is_held_for_that(warehouse: Warehouse) -> None:
    run(warehouse, purchases({1: FIRST, 2: SECOND}), LEDGER, PURCHASES)
    batch = purchases({1: FIRST})
    batch.rejects = [Reject("date is missing", "{}", None)]
    assert held_by(warehouse, batch, LEDGER, PURCHASES)[SECOND].kinds == ["rejects"]
    batch = purchases({})
    batch.rejects = [Reject("date is missing", "{}", None)]
    held = held_by(warehouse, batch, LEDGER, PURCHASES)
    assert held[FIRST].kinds == ["rejects", "shrink"], "two are gone, one cannot be read"


def test_rejects_without_a_day_are_resolved_once_each_of_their_days_was_read_again(
    warehouse: Warehouse,
) -> None:
    def unresolved() -> Counter[date | None]:
        with warehouse.connect() as connection:
            rows = connection.execute(
                "SELECT day FROM ops.rejected_record WHERE resolved_at IS NULL"
            )
            return Counter(row[0] for row in rows)

    run(warehouse, sms(STANDING, [1], None))
    assert unresolved() == {None: 1}
    for day in WINDOW.days:
        assert unresolved() == {None: 1}
        rows = [row for row in STANDING if row.day == day]
        run(warehouse, sms(rows), Window(day, day, WINDOW.account))
    assert unresolved() == {}
