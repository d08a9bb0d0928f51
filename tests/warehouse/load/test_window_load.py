"""A window becomes equal to its rows: any rows, after any rows, and nothing is written that stands."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project.model import receipt
from dagster_project.model.batch import Batch
from dagster_project.model.copy_binary import encode_batch
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import Account, Window
from dagster_project.vendors.calltouch.rows import TABLE
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import extractions
from dagster_project.warehouse.load.holds import HeldDays, ShrinkGuard
from dagster_project.warehouse.load.partitions import PartitionManager
from dagster_project.warehouse.load.window_load import WindowLoad

ACCOUNT = Account("calltouch", "77", ZoneInfo("Europe/Moscow"))
FIRST = date(2024, 3, 30)
WINDOW = Window(FIRST, FIRST + timedelta(days=3), ACCOUNT)


@dataclass(frozen=True, order=True)
class Sms:
    day: date
    key: int
    status: str = "delivered"

    def row(self) -> dict[str, Any]:
        return {
            "sent_on": self.day,
            "site_id": 77,
            "sms_key": UUID(int=self.key).bytes,
            "sent_at": datetime(self.day.year, self.day.month, self.day.day, 9, tzinfo=UTC),
            "phone": f"7920{self.key % 10**7:07}",
            "phone_e164": f"+7920{self.key % 10**7:07}",
            "country": "RU",
            "recipient": UUID(int=self.key % 1000).bytes,
            "status": self.status,
            "status_detail": "detail",
            "outcome": "delivered" if self.status == "delivered" else "pending",
            "reason": None,
            "is_final": self.status == "delivered",
            "message": f"text {self.key}",
            "template_id": None,
            "segments": 1,
        }


def batch_of(rows: Sequence[Sms]) -> Batch:
    batch = encode_batch(TABLE, [sms.row() for sms in rows], key_of=lambda row: row["sms_key"])
    batch.observed = [sms.status == "delivered" for sms in rows]
    return batch


def load(
    warehouse: Warehouse,
    rows: Sequence[Sms],
    *,
    page: int = 7,
    window: Window = WINDOW,
    **options: Any,
) -> list[receipt.Receipt]:
    months = PartitionManager(warehouse)
    with warehouse.connect(autocommit=True) as books, warehouse.connect() as connection:
        extraction = options.pop("extraction", None) or extractions.begin_extraction(
            books, window, None
        )
        work = WindowLoad(
            connection, TABLE, window, extraction, ensure_month=months.ensure, **options
        )
        work.begin()
        for at in range(0, len(rows), page):
            work.add(batch_of(rows[at : at + page]))
        receipts = work.finish()
        connection.commit()
        extractions.end_extraction(books, extraction, ExtractStats(), "complete")
    months.close()
    return receipts


def standing(warehouse: Warehouse) -> Counter[Sms]:
    with warehouse.connect() as connection:
        found = connection.execute(
            "SELECT sent_on, sms_key, status FROM warehouse.calltouch_sms WHERE site_id = 77"
        ).fetchall()
        gaps = connection.execute(
            "SELECT count(*) FROM (SELECT max(occurrence) <> count(*) AS gap"
            " FROM warehouse.calltouch_sms GROUP BY sent_on, sms_key) AS k WHERE gap"
        ).fetchone()
    assert gaps == (0,), "occurrences are numbered from 1 without a gap"
    return Counter(Sms(day, key.int, status) for day, key, status in found)


def written(receipts: Sequence[receipt.Receipt]) -> int:
    return sum(r.rows_inserted + r.rows_updated + r.rows_deleted for r in receipts)


SMS = st.builds(
    Sms,
    day=st.sampled_from(WINDOW.days),
    key=st.integers(1, 12) | st.integers(2**64, 2**64 + 3) | st.sampled_from([2**127, 2**126 + 5]),
    status=st.sampled_from(["waiting", "sent", "delivered"]),
)


@pytest.mark.both_servers
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_rows_after_any_rows_stand_exactly(warehouse: Warehouse, data: st.DataObject) -> None:
    with warehouse.connect_admin() as connection:
        connection.execute("TRUNCATE warehouse.calltouch_sms, ops.day_state")
    first = data.draw(st.lists(SMS, max_size=40))
    load(warehouse, first, page=data.draw(st.integers(1, 9)))
    assert standing(warehouse) == Counter(first)
    rows = data.draw(st.lists(SMS, max_size=40))
    receipts = load(warehouse, rows, page=data.draw(st.integers(1, 9)))
    assert standing(warehouse) == Counter(rows)
    assert sum(receipt.rows for receipt in receipts) == len(rows)
    assert bool(written(receipts)) == (Counter(first) != Counter(rows))
    shuffled = data.draw(st.permutations(rows))
    again = load(warehouse, shuffled, page=data.draw(st.integers(1, 9)))
    assert written(again) == 0, "the same rows in another order write nothing"
    assert [r.checksum for r in again] == [r.checksum for r in receipts]


def many(count: int, seed: int = 1) -> list[Sms]:
    chance = random.Random(seed)
    return [
        Sms(
            chance.choice(WINDOW.days),
            chance.getrandbits(128),
            chance.choice(["sent", "delivered"]),
        )
        for _ in range(count)
    ]


def test_a_rerun_touches_exactly_the_changed_rows(warehouse: Warehouse) -> None:
    rows = many(5000) + [Sms(FIRST, 5)] * 3
    load(warehouse, rows, page=1000)
    kept = set(versions(warehouse))
    changed = [Sms(s.day, s.key, "error") if n % 50 == 0 else s for n, s in enumerate(rows[:4900])]
    fresh = [Sms(FIRST, 2**100 + n) for n in range(10)]
    receipts = load(warehouse, changed + fresh, page=1000)
    assert sum(r.rows_updated for r in receipts) == 98
    assert sum(r.rows_inserted for r in receipts) == 10
    assert sum(r.rows_deleted for r in receipts) == 103
    assert sum(r.rows_unchanged for r in receipts) == 4802
    assert len(kept & set(versions(warehouse))) == 4802, "unchanged rows keep their row version"
    assert standing(warehouse) == Counter(changed + fresh)


def versions(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    with warehouse.connect() as connection:
        return connection.execute(
            "SELECT sent_on, sms_key, occurrence, xmin::text, ctid::text FROM warehouse.calltouch_sms"
        ).fetchall()


def test_dates_of_loading_and_of_finality(warehouse: Warehouse) -> None:
    load(warehouse, [Sms(FIRST, 1, "sent"), Sms(FIRST, 2, "delivered")])
    load(warehouse, [Sms(FIRST, 1, "delivered"), Sms(FIRST, 2, "delivered")])
    with warehouse.connect() as connection:
        rows = connection.execute(
            "SELECT s.first_loaded_at < s.changed_at, s.final_seen_at = e.started_at"
            " FROM warehouse.calltouch_sms s, ops.extraction e"
            " WHERE e.extraction_id = CASE s.status_detail WHEN 'detail' THEN"
            " (SELECT CASE WHEN s.sms_key = %s THEN max(extraction_id) ELSE min(extraction_id) END"
            "  FROM ops.extraction) END ORDER BY s.sms_key",
            (UUID(int=1),),
        ).fetchall()
    assert rows == [(True, True), (False, True)]


def test_a_day_that_came_back_empty_becomes_empty(warehouse: Warehouse) -> None:
    load(warehouse, many(300))
    receipts = load(warehouse, [])
    assert standing(warehouse) == Counter()
    assert sum(r.rows_deleted for r in receipts) == 300


def test_an_older_observation_steps_back(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as books:
        older = extractions.begin_extraction(books, WINDOW, None)
    newer = [Sms(FIRST, 1), Sms(FIRST + timedelta(days=1), 2)]
    load(warehouse, newer, window=Window(FIRST, FIRST + timedelta(days=1), ACCOUNT))
    receipts = load(warehouse, [Sms(d, 9, "sent") for d in WINDOW.days], extraction=older)
    assert [r.day for r in receipts] == WINDOW.days[2:]
    assert standing(warehouse) == Counter([*newer, *(Sms(d, 9, "sent") for d in WINDOW.days[2:])])


def test_a_clock_that_was_ahead_is_not_obeyed(warehouse: Warehouse) -> None:
    """Dated a day ahead, these rows are earlier all the same than what is asked for after them."""
    load(warehouse, [Sms(FIRST, 1)])
    with warehouse.connect_admin() as connection:
        ahead = "started_at = started_at + interval '1 day'"
        connection.execute(f"UPDATE ops.extraction SET {ahead}".encode())
        ahead = ahead.replace("started", "observed")
        connection.execute(f"UPDATE ops.day_state SET {ahead}".encode())
    receipts = load(warehouse, [Sms(FIRST, 2)])
    assert [receipt.day for receipt in receipts] == WINDOW.days
    assert standing(warehouse) == Counter([Sms(FIRST, 2)])


def test_other_days_and_accounts_are_left_alone(warehouse: Warehouse) -> None:
    load(warehouse, many(200))
    whole = standing(warehouse)
    one_day = Window(FIRST, FIRST, ACCOUNT)
    load(warehouse, [], window=one_day)
    assert standing(warehouse) == Counter({s: n for s, n in whole.items() if s.day != FIRST})
    stranger = Window(FIRST, FIRST, Account("calltouch", "78", ACCOUNT.time_zone))
    load(warehouse, [], window=stranger)
    assert standing(warehouse) == Counter({s: n for s, n in whole.items() if s.day != FIRST})


def test_a_shrunken_day_is_refused_before_anything_is_written(warehouse: Warehouse) -> None:
    rows = [Sms(FIRST, n) for n in range(1, 1001)]
    load(warehouse, rows, page=500)
    with pytest.raises(HeldDays) as caught:
        load(warehouse, rows[:499], page=500, guard=ShrinkGuard(1000, 0.5))
    [(day, held)] = caught.value.held.items()
    assert (day, held.kinds, held.why) == (FIRST, ["shrink"], "had 1000 rows, came back with 499")
    assert standing(warehouse) == Counter(rows)
    load(warehouse, rows[:500], page=500, guard=ShrinkGuard(1000, 0.5))
    assert len(standing(warehouse)) == 500
