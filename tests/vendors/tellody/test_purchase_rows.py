"""Purchases: loaded exactly, set aside with their reason, or left for another window."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.errors import AnswerNotTrusted
from dagster_project.model.window import day_number
from dagster_project.vendors.tellody.older_purchases import Oldest, read_older
from dagster_project.vendors.tellody.payment_page import SUPERSEDED
from dagster_project.vendors.tellody.purchase_rows import (
    TABLE,
    key_of,
    to_batch,
)
from tests.vendors.tellody.conftest import EVER, answer, page, purchase, window

DAY_OF_12 = date(2015, 7, 22)


def test_a_batch_carries_day_key_and_hash_of_each_purchase() -> None:
    batch = to_batch(page(purchase(), purchase(paymentId="-3", date="0")), EVER)
    assert batch.days.tolist() == [day_number(DAY_OF_12), day_number(date(1970, 1, 1))]
    assert batch.keys == bytes(15) + b"\x0c" + bytes(8) + b"\xff" * 7 + b"\xfd"
    assert len(set(batch.hashes.tolist())) == 2
    assert batch.received == 2
    assert batch.rejects == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"paymentId": "null"}, "paymentId is missing or no whole number of 64 bits"),
        ({"paymentId": '"12"'}, "paymentId is missing or no whole number of 64 bits"),
        ({"paymentId": "12.0"}, "paymentId is missing or no whole number of 64 bits"),
        ({"paymentId": "9223372036854775808"}, "paymentId is missing or no whole number of 64 bits"),
        ({"amount": '"4.90"'}, "amount is of another kind than documented"),
        ({"amount": "true"}, "amount is of another kind than documented"),
        ({"amount": "NaN"}, "amount is of another kind than documented"),
        ({"amount": "-Infinity"}, "amount is of another kind than documented"),
        ({"amount": "1e131073"}, "amount: numeric: out of range"),
        ({"amount": "1e-16384"}, "amount: numeric: out of range"),
        ({"amount": "1e" + "9" * 40}, "amount is of another kind than documented"),
        ({"credits": "{}"}, "credits is of another kind than documented"),
        ({"months": "1.5"}, "months is of another kind than documented"),
        ({"months": "2147483648"}, "months: int: out of range"),
        ({"paymentMethod": "7"}, "paymentMethod is of another kind than documented"),
        ({"accountType": "[]"}, "accountType is of another kind than documented"),
        ({"cardLastDigits": "true"}, "cardLastDigits is of another kind than documented"),
        ({"invoiceHistory": "[NaN]"}, "invoiceHistory is of another kind than documented"),
        ({"invoiceHistory": "[" * 501 + "]" * 501}, "invoiceHistory is of another kind than documented"),
        ({"date": "null"}, "date: null"),
        ({"date": "{}"}, "date: no millis, and no fields that name a day"),
        ({"date": '{"millis":1e30}'}, "date: beyond the years 0001 to 9999"),
        ({"date": '{"millis":NaN}'}, "date: beyond the years 0001 to 9999"),
        ({"date": '{"millis":1e' + "9" * 40 + "}"}, "date: no JSON that can be read"),
        ({"date": "[" * 3000 + "]" * 3000}, "date: no JSON that can be read"),
        ({"date": '"2015-07-22"'}, "date: a text that is not an ISO 8601 date and time"),
        (
            {"date": "1437556984.000000000"},
            "date: a number that lies before 1990 as milliseconds, and between 2000 and 2100 as"
            " seconds since 1970",
        ),
        (
            {"date": '{"millis":253402300799999,"zone":{"id":"UTC"}}'},
            "date: beyond the years 0001 to 9999 in the account's time zone",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_set_aside_with_its_original_and_the_rest_is_loaded(
    fields: dict[str, str], reason: str
) -> None:
    odd = purchase(**{"paymentId": "13", **fields})
    batch = to_batch(page(purchase(), odd, purchase(paymentId="11")), EVER)
    assert [(reject.reason, reject.original) for reject in batch.rejects] == [(reason, odd)]
    assert len(batch) == 2
    assert batch.received == 3


def test_of_dates_as_joda_writes_them_those_without_a_time_are_set_aside_and_all_others_loaded() -> (
    None
):
    lines = (Path(__file__).parents[2] / "data" / "joda_blobs.jsonl").read_text().splitlines()
    written = [json.loads(line) for line in lines]
    records = [
        purchase(paymentId=str(n), date=line["json"]) for n, line in enumerate(written, start=1)
    ]
    batch = to_batch(page(*records), EVER)
    no_time = [
        record for line, record in zip(written, records, strict=True) if line["kind"] == "LocalDate"
    ]
    reason = "date: no millis, and no fields that name a time of day"
    assert [(reject.reason, reject.original) for reject in batch.rejects] == [
        (reason, record) for record in no_time
    ]
    assert len(batch) == 252 - len(no_time) == 242
    assert {name: n for name, n in batch.counts.items() if name.startswith("date_")} == {
        "date_zone_missing": 30,
        "date_chronology_not_iso": 22,
    }


@pytest.mark.parametrize("name", ["paymentId", "date"])
def test_a_purchase_without_what_makes_one_is_set_aside(name: str) -> None:
    record = json.loads(purchase())
    del record[name]
    batch = to_batch(page(json.dumps(record)), EVER)
    assert len(batch) == 0
    assert name in batch.rejects[0].reason
    assert "missing" in batch.rejects[0].reason


@pytest.mark.parametrize("name", [name for name, _ in TABLE.fields])
def test_what_is_null_or_left_out_is_null_and_counted_as_either(name: str) -> None:
    record = json.loads(purchase(paymentId="13"))
    del record[name]
    left_out = json.dumps(record)
    null = purchase(paymentId="13", **{name: "null"})
    strays = [
        purchase(paymentId="14", date="null", **{name: "null"}),
        purchase(paymentId="null", **{name: "null"}),
        purchase(paymentId="15", **{"months": "2147483648", name: "null"}),
    ][: 2 if name == "months" else 3]
    one, other = (to_batch(page(purchase(), *strays, text), EVER) for text in (left_out, null))
    assert one.records == other.records
    assert len(one) == 2
    assert (one.absent[name], other.nulls[name] - one.nulls[name]) == (1, 1)
    assert other.absent == {}


@pytest.mark.parametrize("record", ["null", "7", '"x"', "[]"])
def test_a_record_that_is_no_object_is_set_aside(record: str) -> None:
    batch = to_batch(page(record, purchase()), EVER)
    assert [(r.reason, r.original) for r in batch.rejects] == [("no object", record)]
    assert len(batch) == 1


def test_a_rejects_day_is_named_where_it_is_known() -> None:
    batch = to_batch(page(purchase(amount="[]"), purchase(date="null", paymentId="1")), EVER)
    assert [reject.day for reject in batch.rejects] == [DAY_OF_12, None]


def test_purchases_before_the_window_are_counted_with_their_first_day_and_later_ones_wait() -> None:
    days = {
        "1": "2023-12-31T23:59:59.999+02:00",
        "2": "2023-03-07T12:00:00+02:00",
        "3": "2024-01-01T00:00:00+02:00",
        "4": "2024-05-15T00:00:00+03:00",
    }
    records = [purchase(paymentId=number, date=f'"{at}"') for number, at in days.items()]
    batch = to_batch(page(*records), window(date(2024, 1, 1), date(2024, 5, 14)))
    assert batch.days.tolist() == [day_number(date(2024, 1, 1))]
    older, oldest = read_older(batch.counts)
    assert (older, oldest and oldest.day) == (2, date(2023, 3, 7))
    assert oldest == Oldest(date(2023, 3, 7), "2", 300)
    assert batch.counts["after_window"] == 1


def test_nothing_before_the_window_is_nothing_counted() -> None:
    assert read_older(to_batch(page(purchase()), EVER).counts) == (0, None)


def test_of_a_purchase_twice_on_a_page_the_first_is_taken() -> None:
    batch = to_batch(page(purchase(amount="1"), purchase(amount="2")), EVER)
    assert batch.records == to_batch(page(purchase(amount="1")), EVER).records
    assert batch.counts["twice_on_a_page"] == 1


def test_superseded_records_are_left_out() -> None:
    records = [purchase(paymentId=str(n)) for n in range(5)]
    batch = to_batch(page(*records, **{SUPERSEDED: [0, 3]}), EVER)
    assert batch.records == to_batch(page(records[1], records[2], records[4]), EVER).records
    assert batch.received == 3


def test_contradicting_dates_and_card_digits_given_as_a_number_are_counted() -> None:
    blob = {"millis": 0, "zone": {"id": "Europe/Athens"}, "hourOfDay": 5, "year": 1971}
    batch = to_batch(page(purchase(date=json.dumps(blob), cardLastDigits="0")), EVER)
    assert batch.counts == {
        "date_contradicts": 1,
        "date_contradicts:hourOfDay": 1,
        "date_contradicts:year": 1,
        "card_digits_as_number": 1,
    }


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        '{"data":[]}',
        '{"data":{},"count":0}',
        '{"data":[],"count":"0"}',
        '{"data":[],"count":-1}',
        '{"data":null,"count":3}',
        '{"data":[],"count":0',
    ],
)
def test_what_is_no_page_is_an_error(body: str) -> None:
    with pytest.raises(AnswerNotTrusted, match=r"main .*unknown form"):
        to_batch(answer(body), EVER)


def test_no_purchases_at_all_is_an_answer() -> None:
    for body in ('{"extras":null,"data":[],"count":0}', '{"data":null,"count":0}'):
        assert len(to_batch(answer(body), EVER)) == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
records = st.dictionaries(
    st.sampled_from(sorted(json.loads(purchase()))) | st.text(), json_values, max_size=10
).map(lambda fields: {**json.loads(purchase()), **fields})


@given(st.lists(records | json_values, max_size=5), st.booleans())
def test_whatever_json_comes_every_record_is_accounted_for(values: list[Any], ascii_: bool) -> None:
    texts = [json.dumps(value, ensure_ascii=ascii_) for value in values]
    body = f'{{"data":[{",".join(texts)}],"count":{len(texts)}}}'
    batch = to_batch(answer(body.encode("utf-8", "surrogatepass")), EVER)
    outside = batch.counts["before_first_partition"] + batch.counts["after_window"]
    assert len(batch) + len(batch.rejects) + outside == batch.received
    assert batch.received + batch.counts["twice_on_a_page"] == len(values)
    assert len(batch.keys) == 16 * len(batch)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_key_is_the_payments_number(payment_id: int) -> None:
    assert int.from_bytes(key_of({"payment_id": payment_id})[8:], "big", signed=True) == payment_id
