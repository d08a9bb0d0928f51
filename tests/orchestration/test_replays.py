"""Replay, of every feed: rows out of stored responses, through today's code, without a vendor call."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from dagster_project.feeds import FEEDS
from dagster_project.vendors.calltouch.outcomes import PAIRS, SmsOutcome
from tests.support.nights import NIGHT, ONE_NIGHT, Nights
from tests.support.operating import House, feed_of

DAYS = [NIGHT.date() - n * ONE_NIGHT for n in range(6, 1, -1)]
BOOKKEEPING = {"first_loaded_at", "changed_at", "final_seen_at"}
DELIVERED = ("delivered", "доставлено")


def columns_of(house: House, table: str) -> str:
    found = house.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        " AND NOT attisdropped ORDER BY attnum",
        f"warehouse.{table}",
    )
    return ", ".join(name for (name,) in found if name not in BOOKKEEPING)


def rows_of(house: House, source: str) -> list[tuple[Any, ...]]:
    table = feed_of(source).table.name
    columns = columns_of(house, table)
    return house.rows(f"SELECT t::text FROM (SELECT {columns} FROM warehouse.{table}) t ORDER BY 1")


def checksums(house: House, source: str) -> list[tuple[str, date, str]]:
    """Of each account and day, as its last receipt has it."""
    return house.rows(
        "SELECT DISTINCT ON (account, day) account, day, checksum FROM ops.load_receipt"
        " WHERE source = %s ORDER BY account, day, receipt_id DESC",
        source,
    )


def damage(house: House, source: str) -> int:
    """Rows are lost behind the pipeline's back: every second one, at least one."""
    feed = feed_of(source)
    with house.warehouse.connect_admin() as connection:
        return connection.execute(
            f"WITH numbered AS (SELECT tableoid, ctid, row_number() OVER () AS n"
            f" FROM warehouse.{feed.table.name})"
            f" DELETE FROM warehouse.{feed.table.name} t USING numbered"
            f" WHERE t.tableoid = numbered.tableoid AND t.ctid = numbered.ctid AND n % 2 = 1".encode()
        ).rowcount


@pytest.mark.parametrize("source", [feed.source for feed in FEEDS])
def test_a_replay_makes_the_same_rows_again_without_a_vendor_call(
    nights: Nights, source: str
) -> None:
    house = nights.house
    assert house.refresh(DAYS, source)
    rows, sums = rows_of(house, source), checksums(house, source)
    asked = nights.sandbox.world.stats.requests(source.partition("_")[0])
    assert damage(house, source) >= 1
    assert rows_of(house, source) != rows

    assert house.replay(DAYS, source)
    assert rows_of(house, source) == rows
    assert checksums(house, source) == sums, "the checksum says that the rows are the same"
    assert nights.sandbox.world.stats.requests(source.partition("_")[0]) == asked
    [(replays,)] = house.rows(
        "SELECT count(*) FROM ops.load_receipt WHERE source = %s AND is_replay", source
    )
    assert replays >= len(DAYS)


def test_one_replay_corrects_all_history_after_a_fix_of_the_parser(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = nights.house
    with monkeypatch.context() as mistaken:
        mistaken.setitem(PAIRS, DELIVERED, SmsOutcome("failed", "other", True))
        assert house.refresh(DAYS)
    wrong = checksums(house, "calltouch")
    asked = nights.sandbox.world.stats.requests("calltouch")
    [(delivered,)] = house.rows(
        "SELECT count(*) FROM warehouse.calltouch_sms WHERE outcome = 'delivered'"
    )
    assert delivered == 0

    assert house.replay(DAYS)
    assert nights.sandbox.world.stats.requests("calltouch") == asked
    assert house.rows(
        "SELECT count(*) FROM warehouse.calltouch_sms WHERE status = 'delivered'"
        " AND outcome <> 'delivered'"
    ) == [(0,)]
    [(updated, inserted, deleted)] = house.rows(
        "SELECT sum(rows_updated), sum(rows_inserted), sum(rows_deleted) FROM ops.load_receipt"
        " WHERE is_replay"
    )
    [(now_delivered,)] = house.rows(
        "SELECT count(*) FROM warehouse.calltouch_sms WHERE outcome = 'delivered'"
    )
    assert (updated, inserted, deleted) == (now_delivered, 0, 0)
    assert now_delivered > 0
    assert checksums(house, "calltouch") != wrong, (
        "the checksum says that the rows came out changed"
    )
