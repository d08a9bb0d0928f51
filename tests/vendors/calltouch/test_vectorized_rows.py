"""Rows by columns: the usual ones encoded at once, the others left for one by one."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from dagster_project.model.window import Account, Window
from dagster_project.vendors.calltouch.context import RowContext
from dagster_project.vendors.calltouch.pages import decode_page
from dagster_project.vendors.calltouch.rows import encode_one
from dagster_project.vendors.calltouch.sms_page import SmsPage
from dagster_project.vendors.calltouch.vectorized_rows import encode_plain

APRIL = Window(
    date(2024, 4, 1), date(2024, 4, 30), Account("calltouch", "101", ZoneInfo("Europe/Moscow"))
)
ROW = {
    "phoneNumber": "79209383654",
    "dateSent": "01-04-2024 15:05:32",
    "smsStatus": "delivered",
    "smsStatusDetail": "Доставлено",
    "smsMessage": "Ваш код: 14111",
}


def page_of(*rows: dict[str, Any]) -> SmsPage:
    data = {"totalCountSms": len(rows), "pageOfResult": 1, "smsDetails": list(rows)}
    return decode_page(json.dumps({"meta": [], "data": data}).encode())


def test_usual_rows_are_encoded_as_one_by_one() -> None:
    rows = [
        ROW,
        ROW | {"phoneNumber": "+375 29 123-45-67"},
        ROW | {"phoneNumber": None, "smsMessage": None},
        ROW | {"smsStatus": "lost", "dateSent": "30-04-2024 23:59:59"},
    ]
    context, page = RowContext.from_secret("a secret that tests may know"), page_of(*rows)
    batch, others = encode_plain(page, APRIL, context)
    assert others == []
    assert batch.records == [
        encode_one(row, APRIL, context.keys, Counter()).record for row in page.rows
    ]
    assert len(batch.days) == len(batch.hashes) == len(batch.keys) // 16 == 4
    assert any(name.startswith("unknown_status:") for name in batch.counts)


def test_rows_that_are_not_usual_keep_their_place_for_one_by_one() -> None:
    page = page_of(
        ROW | {"dateSent": "31-03-2024 23:59:59"},
        ROW,
        ROW | {"dateSent": "1.4.2024"},
        ROW | {"smsMessage": "a\x00b"},
    )
    batch, others = encode_plain(
        page, APRIL, RowContext.from_secret("a secret that tests may know")
    )
    assert others == [0, 2, 3]
    assert len(batch) == 1


def test_an_empty_page_is_an_empty_batch() -> None:
    batch, others = encode_plain(
        page_of(), APRIL, RowContext.from_secret("a secret that tests may know")
    )
    assert (len(batch), others) == (0, [])
