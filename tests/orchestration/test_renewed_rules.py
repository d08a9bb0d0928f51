"""Rows that an earlier version wrote get what the rules say today by a replay, and their marts with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.operating import SITE, House, calltouch_alone, days_back, operating

PHONES = {"+8 920 938-36-54": "+79209383654", "7920938365": None}
PAIRS = "]" * 153
STANDING = (
    "SELECT sms_key, phone, phone_e164, country, recipient, template_id, segments, content_hash"
    " FROM warehouse.calltouch_sms ORDER BY 1"
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock="now") as running:
        yield running


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse,
    sandbox: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    with operating(
        warehouse_with_dagster, scratch, monkeypatch, calltouch_alone(sandbox)
    ) as running:
        yield running
    sandbox.world.calltouch.redraw(undo_changes=True)


def sms(day: date, phone: str, text: str, second: int = 0) -> bytes:
    row = {
        "phoneNumber": phone,
        "dateSent": f"{day:%d-%m-%Y} 09:{second // 60:02}:{second % 60:02}",
        "smsStatus": "delivered",
        "smsStatusDetail": "Доставлено",
        "smsMessage": text,
    }
    return json.dumps(row).encode()


def as_before(house: House, changes: str) -> None:
    """The rows and the marts as an earlier version left them: other columns, and another hash of them."""
    with house.warehouse.connect_admin() as connection:
        connection.execute(
            f"UPDATE warehouse.calltouch_sms SET content_hash = content_hash + 1, {changes}".encode()
        )
        connection.execute(
            "SELECT mart.recount(%s::bigint, array_agg(day)) FROM ops.day_state", (SITE,)
        )


def written(house: House) -> Any:
    [(rows,)] = house.rows(
        "SELECT rows_inserted + rows_updated + rows_deleted FROM ops.load_receipt"
        " ORDER BY receipt_id DESC LIMIT 1"
    )
    return rows


def test_numbers_and_segments_are_renewed_by_a_replay(house: House, sandbox: Sandbox) -> None:
    [day] = days_back(1)
    rows = [sms(day, phone, PAIRS) for phone in PHONES]
    sandbox.world.calltouch.replace_day(int(SITE), day, rows)
    assert house.refresh([day]), house.failure()
    told = "SELECT country, sum(messages), sum(segments) FROM bi.sms_day GROUP BY 1 ORDER BY 1"
    people = "SELECT recipients FROM bi.sms_reach WHERE period = 'month' AND category = 'all'"
    standing = house.rows(STANDING)
    assert dict(house.rows("SELECT phone, phone_e164 FROM warehouse.calltouch_sms")) == PHONES
    as_before(
        house,
        "segments = 2, phone_e164 = '+77920938365', country = 'KZ', recipient = gen_random_uuid()",
    )
    assert house.rows(told) == [("KZ", 2, 4)]

    assert house.replay([day]), house.failure()

    assert written(house) == len(rows)
    assert house.rows(told) == [("RU", 1, 3), ("unknown", 1, 3)]
    assert house.rows(people) == [(2,)]
    assert house.rows(STANDING) == standing
    assert house.replay([day])
    assert written(house) == 0
