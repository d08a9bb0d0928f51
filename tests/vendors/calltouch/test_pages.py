"""Pages decoded: whatever stands in one row, the others are read."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple
from xxhash import xxh3_64_intdigest

from dagster_project.model.batch import Reject
from dagster_project.model.response import Response
from dagster_project.vendors.calltouch.pages import decode_page, hash_rows
from dagster_project.vendors.calltouch.row_by_row import NULLABLE, decode_row_by_row
from dagster_project.vendors.calltouch.sms_page import (
    BOM,
    KEYS,
    NotJson,
    NotSmsPage,
    Sms,
    SmsResponse,
)
from tests.vendors.calltouch.played import NOW

SAMPLE = Path(__file__).parents[2] / "data" / "calltouch_result.json"
ROW = {
    "phoneNumber": "79209383654",
    "dateSent": "01-04-2024 15:05:32",
    "smsStatus": "delivered",
    "smsStatusDetail": "Доставлено",
    "smsMessage": "Текст",
}
SMS = Sms(*ROW.values())
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=20)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
ROWS = st.fixed_dictionaries(dict.fromkeys(KEYS, ANY_TEXT))
SPOILT_ROWS = st.builds(
    lambda row, key, value: {**row, key: value}, ROWS, st.sampled_from(KEYS) | ANY_TEXT, ANY_JSON
)
SHORT_ROWS = st.builds(
    lambda row, key: {name: row[name] for name in row if name != key}, ROWS, st.sampled_from(KEYS)
)


def page(
    *sources: str | dict[str, Any], total: Any = 3, number: str = ', "pageOfResult": 1'
) -> bytes:
    details = ",".join(s if isinstance(s, str) else json.dumps(s) for s in sources)
    text = f'{{"meta": [], "data": {{"totalCountSms": {json.dumps(total)}{number}, "smsDetails": [{details}]}}}}'
    return text.encode("utf-8", "surrogateescape")


def test_the_documents_own_sample_is_a_page_of_four_rows() -> None:
    decoded = decode_page(SAMPLE.read_bytes())

    assert (decoded.total, decoded.number, decoded.received) == (25352, 2, 4)
    assert decoded.rows[0].smsMessage == "Внимание, скидки!\nТолько сегодня"
    assert decoded.rows[3] == Sms(
        "79952126521", "05-04-2024 05:15:17", "unknown", "Статус еще не получен",
        "Ваш код авторизации: 14111",
    )  # fmt: skip


@pytest.mark.parametrize(
    "opening", [b"", BOM, b" \n", BOM + b"\r\n"], ids=["bare", "BOM", "space", "BOM and space"]
)
def test_what_may_stand_before_a_page(opening: bytes) -> None:
    assert decode_page(opening + page(ROW)).rows == [SMS]


def test_an_empty_page_has_no_rows() -> None:
    decoded = decode_page(page(total=0))

    assert (decoded.total, decoded.received) == (0, 0)


def test_page_one_may_leave_its_number_out() -> None:
    assert decode_page(page(ROW, number="")).number is None


@pytest.mark.parametrize("total", ["3", None, 3.5, True, [], 10**30])
def test_a_total_that_is_no_count_costs_no_row(total: Any) -> None:
    decoded = decode_page(page(ROW, total=total))

    assert decoded.rows == [SMS]
    assert decoded.total in (None, 10**30)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("17", "not an object but a number"),
        ("null", "not an object but null"),
        ("[ ]", "not an object but a list"),
        ('"text"', "not an object but a text"),
        ("{}", "dateSent is missing"),
        (json.dumps({**ROW, "dateSent": None}), "dateSent is not a text but null"),
        (json.dumps({**ROW, "phoneNumber": 79209383654}), "phoneNumber is not a text but a number"),
        (json.dumps({**ROW, "smsStatus": {}}), "smsStatus is not a text but an object"),
        (json.dumps({**ROW, "dateSent": False}), "dateSent is not a text but a truth value"),
        ("9" * 5000, "not an object but a number"),
        ("1e999", "not an object but a number"),
        ("[" * 50_000 + "]" * 50_000, "nested too deeply"),
        (json.dumps(ROW | {"x": "y"}).replace('"y"', '{"a":' * 50_000 + "1" + "}" * 50_000), "nested too deeply"),
        ('{"phoneNumber": "\udcff"}', "not UTF-8"),
    ],
    ids=range(14),
)  # fmt: skip
def test_a_row_that_cannot_be_read_keeps_its_source_and_costs_no_other(
    source: str, reason: str
) -> None:
    decoded = decode_page(page(ROW, f" {source}\n", ROW))

    assert decoded.rows == [SMS, SMS]
    [reject] = decoded.rejects
    assert reject.reason == f"unreadable row: {reason}"
    assert reject.original == source.replace("\udcff", "\ufffd")
    assert decoded.received == 3


def test_a_reject_has_the_day_that_it_claims() -> None:
    source = json.dumps({**ROW, "smsMessage": []})

    [reject] = decode_page(page(source)).rejects

    assert reject == Reject(
        "unreadable row: smsMessage is not a text but a list", source, date(2024, 4, 1)
    )


@pytest.mark.parametrize("beside", [[], [{**ROW, "new": 1}]], ids=["whole", "row by row"])
@pytest.mark.parametrize("key", NULLABLE)
def test_a_text_that_is_null_or_absent_costs_no_row_and_is_counted(
    key: str, beside: list[dict[str, Any]]
) -> None:
    null = ROW | {key: None}
    short = {name: text for name, text in ROW.items() if name != key}

    decoded = decode_page(page(ROW, null, short, short, *beside))

    partial = [null[name] for name in KEYS]
    assert [list(astuple(row)) for row in decoded.rows] == [
        list(ROW.values()), partial, partial, partial, *[list(ROW.values()) for _ in beside]
    ]  # fmt: skip
    assert (decoded.nulls, decoded.absent, decoded.rejects) == ({key: 1}, {key: 2}, [])
    assert not decoded.is_complete


def test_a_page_whose_rows_have_all_of_their_texts_is_complete() -> None:
    assert decode_page(page(ROW, ROW)).is_complete
    assert decode_page(page(ROW, {**ROW, "new": 1})).is_complete


@pytest.mark.parametrize(
    ("message", "read"),
    [
        (r"\ud83d в середине", "\ud83d в середине"),
        (r"\ude00", "\ude00"),
        (r"\ud83d\udd25", "🔥"),
        (r"\u0000", "\x00"),
        ("raw \n and \t and \x01", "raw \n and \t and \x01"),
    ],
)
def test_texts_that_other_decoders_refuse_are_read(message: str, read: str) -> None:
    decoded = decode_page(page(json.dumps(ROW, ensure_ascii=False).replace("Текст", message), ROW))

    assert [row.smsMessage for row in decoded.rows] == [read, "Текст"]


def test_only_a_page_that_may_hold_such_texts_is_not_clean() -> None:
    assert decode_page(page(ROW)).clean
    assert not decode_page(page(ROW | {"smsMessage": "\x00"})).clean
    assert not decode_page(page(ROW | {"smsMessage": "\ud800"})).clean


def test_unknown_keys_cost_no_row_and_are_counted_without_their_digits() -> None:
    with_phone = ROW | {"to 79209383654": 1, "k" * 100: 2}

    decoded = decode_page(page(with_phone, ROW, with_phone))

    assert decoded.rows == [SMS, SMS, SMS]
    assert decoded.counts == Counter(
        {"unknown_key:to ###########": 2, f"unknown_key:{'k' * 40}": 2}
    )


def test_of_many_unknown_keys_few_are_named() -> None:
    decoded = decode_page(page(ROW | {chr(0x400 + n): None for n in range(100)}))

    assert len(decoded.counts) == 21
    assert decoded.counts["unknown_key_more"] == 80


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"<html>429</html>",
        page(ROW)[:-1],
        page(ROW)[:-40],
        page(ROW) + b"{}",
        page(ROW, "[{]"),
        page(ROW, "{,}"),
        page(ROW, '{"a": }'),
        page(ROW, r'"\x"'),
        page('"open'),
        page(ROW).replace(b"data", b"da\xffta")[:-1],
    ],
)
def test_what_is_no_json_says_so(body: bytes) -> None:
    with pytest.raises(NotJson):
        decode_page(body)


@pytest.mark.parametrize(
    "document",
    [
        {"message": "Invalid credentials."},
        {"meta": [], "data": {"message": "Пользователь не имеет доступа к данному методу API"}},
        {"meta": [], "data": {"smsDetails": None, "totalCountSms": 0}},
        {"data": {"smsDetails": {"0": ROW}}},
        {"data": [{"smsDetails": [ROW]}]},
        {"smsDetails": [ROW]},
        [],
        None,
        1,
    ],
)
def test_json_that_is_no_page_is_handed_back_decoded(document: Any) -> None:
    with pytest.raises(NotSmsPage) as refusal:
        decode_page(json.dumps(document).encode())

    assert not isinstance(refusal.value, NotJson)
    assert refusal.value.document == document


@given(st.lists(ROWS | SPOILT_ROWS | SHORT_ROWS | ANY_JSON, max_size=6), st.booleans())
def test_any_json_is_read_or_set_aside_row_by_row(elements: list[Any], ascii_only: bool) -> None:
    sources = [json.dumps(element, ensure_ascii=ascii_only) for element in elements]
    if not ascii_only:
        sources = [
            s.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape") for s in sources
        ]

    decoded = decode_page(page(*sources))

    assert decoded.received == len(elements)
    good = [
        tuple(element.get(key) for key in KEYS)
        for element, source in zip(elements, sources, strict=True)
        if isinstance(element, dict)
        and isinstance(element.get("dateSent"), str)
        and all(isinstance(element.get(key), str | None) for key in KEYS)
        and source.encode("utf-8", "replace").decode() == source
    ]
    assert [tuple(getattr(row, key) for key in KEYS) for row in decoded.rows] == good


@given(st.lists(ROWS, max_size=4))
def test_both_ways_of_decoding_agree(rows: list[dict[str, str]]) -> None:
    body = page(*rows)

    one_by_one = decode_row_by_row(body)

    assert one_by_one.rows == decode_page(body).rows
    assert [json.loads(source) for source in one_by_one.sources] == rows


def response(body: bytes) -> Response:
    return Response(1, {}, NOW, NOW, 200, "application/json", body)


@pytest.mark.parametrize("odd", [ROW, {**ROW, "smsMessage": "\ud83d"}, {**ROW, "cost": 3}, 7])
def test_the_hash_of_a_row_is_that_of_its_own_bytes(odd: Any) -> None:
    """However the page has to be read, with its page decoded or not, with or without white space."""
    rows = [ROW, odd, ROW, {**ROW, "smsMessage": "другой"}]
    bodies = [page(*rows), BOM + page(*rows, total=4), page(*rows).replace(b"},{", b"} ,\n {")]
    for body in bodies:
        plain = response(body)
        decoded = SmsResponse(**plain.values(), page=decode_page(body))
        for one in (plain, decoded):
            found = hash_rows(one)
            assert found is not None
            assert found.tolist() == [xxh3_64_intdigest(json.dumps(row).encode()) for row in rows]


def test_rows_that_cannot_be_told_apart_have_no_hashes() -> None:
    assert hash_rows(response(b'{"error": 1}')) is None
    assert hash_rows(response(page(ROW)[:-9])) is None
