"""Purchases of old days lose card, invoice and whatever is more than a few words; all ways give equal rows."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from typing import Any

import pytest

from dagster_project.model.copy_binary import encode_record
from dagster_project.vendors.tellody.purchase_reduction import (
    _reduced_record,
    reduce_batch,
    reduce_body,
    reduce_reject,
    reduce_row,
    reduced_words,
)
from dagster_project.vendors.tellody.purchase_rows import TABLE, to_batch
from tests.vendors.tellody.conftest import EVER, account, answer, page, purchase

KEY = b"k" * 32
OLD, YOUNG = "1437556984000", "1715763600000"
"""22 July 2015, and 15 May 2024."""
BEFORE = date(2024, 1, 1)
PERSONAL = {
    "paymentMethod": '"Visa **** 4242"',
    "cardLastDigits": '"0042"',
    "accountType": '"ivan@example.com"',
    "invoiceHistory": '[{"to": "Иван, 8 916 123-45-67"}]',
}


def records() -> list[str]:
    return [
        purchase(paymentId="1", date=OLD, **PERSONAL),
        purchase(paymentId="2", date=OLD, cardLastDigits="42", note='"kept"'),
        purchase(paymentId="3", date=OLD),
        purchase(paymentId="4", date=YOUNG, **PERSONAL),
        purchase(paymentId="5", date="null", **PERSONAL),
        purchase(paymentId="6", date=OLD, amount='"4.90"', **PERSONAL),
    ]


def test_old_purchases_are_reduced_and_young_ones_stay() -> None:
    whole = to_batch(page(*records()), EVER)
    reduced = reduce_batch(to_batch(page(*records()), EVER), EVER, BEFORE, KEY)
    assert reduced.keys == whole.keys
    changed = [a != b for a, b in zip(whole.records, reduced.records, strict=True)]
    assert changed == [True, True, False, False]
    assert [a != b for a, b in zip(whole.hashes, reduced.hashes, strict=True)] == changed
    for secret in ("4242", "0042", "ivan@", "8 916"):
        assert sum(secret.encode() in record for record in reduced.records) == 1, "the young one"
    originals = {reject.reason: reject.original for reject in reduced.rejects}
    assert "Visa" in originals["date: null"], "of no day: kept as it is until it can be dated"
    assert originals["amount is of another kind than documented"].startswith("(reduced ")
    assert reduce_reject(originals["amount is of another kind than documented"], KEY) is None


def test_a_row_and_a_replay_come_out_as_a_load_does() -> None:
    reduced = reduce_batch(to_batch(page(*records()), EVER), EVER, BEFORE, KEY)
    body = reduce_body(page(*records()).body, BEFORE, account())
    assert body is not None
    assert reduce_body(body, BEFORE, account()) is None
    replayed = to_batch(answer(body), EVER)
    assert replayed.records == reduced.records
    assert [json.loads(body)["data"][n]["paymentId"] for n in range(6)] == [1, 2, 3, 4, 5, 6]
    assert json.loads(body)["data"][1]["note"] == "kept"


def test_a_row_is_reduced_as_a_batch_is() -> None:
    columns = ("payment_method", "card_last_digits", "account_type", "invoice_history")
    values: dict[str, Any] = dict.fromkeys((column.name for column in TABLE.columns), None)
    values |= dict(zip(columns, map(json.loads, list(PERSONAL.values())[:3]), strict=False))
    values |= {"invoice_history": PERSONAL["invoiceHistory"], "payment_id": 1}
    values |= {"purchased_on": date(2015, 7, 22), "account": "main"}
    new = reduce_row(values, KEY)
    assert new is not None
    assert [new[name] for name in columns] == ["(reduced)"] * 3 + ['"(reduced)"']
    assert reduce_row(new, KEY) is None
    [record] = [encode_record(TABLE, values, Counter())]
    assert _reduced_record(record) == encode_record(TABLE, new, Counter())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Paypal", True),
        ("Credit card", True),
        ("Τραπεζική κατάθεση", True),
        ("Visa **** 4242", False),
        ("ivan@example.com", False),
        ("Paypal account of Ivan Petrov", False),
        ("", False),
    ],
)
def test_a_few_words_stay(text: str, kept: bool) -> None:
    assert reduced_words(text) == (text if kept else "(reduced)")
