"""A day's totals: whole numbers or NULL, unknown keys as the vendor wrote them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.errors import AnswerNotTrusted
from dagster_project.vendors.tellody.activity_rows import TABLE, TOTALS, read_totals, to_batch
from tests.vendors.tellody.conftest import answer, window

DAY = date(2024, 4, 1)
WINDOW = window(DAY, source="tellody_activity")
TOTALS_TEXT = {name: str(n) for n, name in enumerate(TOTALS, start=3)}
SAMPLE = Path(__file__).parents[2] / "data" / "tellody_activity.json"


def body(**texts: str | None) -> str:
    members = {**TOTALS_TEXT, **texts}
    return "{" + ",".join(f"{json.dumps(k)}:{v}" for k, v in members.items() if v is not None) + "}"


def extra_of(text: str) -> bytes:
    batch = to_batch(answer(text, day="2024-04-01"), WINDOW)
    assert len(batch) == 1
    return batch.records[0]


def test_the_documents_sample_is_six_zeros() -> None:
    totals = read_totals(SAMPLE.read_bytes())
    assert totals.columns() == dict.fromkeys(TOTALS.values(), 0)
    assert totals.unknown == {}


def test_each_total_lands_under_its_name() -> None:
    assert read_totals(body().encode()).columns() == {
        "sms_sent": 3,
        "email_sent": 4,
        "downloads": 5,
        "optouts": 6,
        "url_clicks": 7,
        "vouchers_viewed": 8,
    }


@pytest.mark.parametrize("name", TOTALS)
@pytest.mark.parametrize("text", ['"12"', "12.0", "1e2", "-1", "true", "[]", "9223372036854775808"])
def test_an_answer_with_a_total_that_cannot_be_counted_with_is_set_aside(
    name: str, text: str
) -> None:
    received = body(**{name: text})
    batch = to_batch(answer(received, day="2024-04-01"), WINDOW)
    [reject] = batch.rejects
    assert reject.reason.startswith(f"{name} is no whole number from 0 to 2^60 (")
    assert (len(batch), batch.received, reject.day, reject.original) == (0, 1, DAY, received)


@pytest.mark.parametrize("name", TOTALS)
@pytest.mark.parametrize("text", [None, "null"])
def test_a_total_that_is_null_or_absent_is_null_in_its_column_and_no_zero(
    name: str, text: str | None
) -> None:
    column = TOTALS[name]
    whole = read_totals(body().encode()).columns()
    assert read_totals(body(**{name: text}).encode()).columns() == {**whole, column: None}
    batch = to_batch(answer(body(**{name: text}), day="2024-04-01"), WINDOW)
    assert len(batch) == 1
    assert (batch.nulls, batch.absent) == (({name: 1}, {}) if text == "null" else ({}, {name: 1}))
    assert dict(TABLE.fields) == TOTALS


def test_an_answer_with_none_of_the_totals_is_no_answer() -> None:
    with pytest.raises(AnswerNotTrusted, match="none of SMS_SENT, EMAIL_SENT, DL, "):
        to_batch(answer(body(**dict.fromkeys(TOTALS), error="1"), day="2024-04-01"), WINDOW)


def test_totals_are_counted_as_long_as_their_sum_is_a_bigint() -> None:
    assert read_totals(body(URL=str(2**60)).encode()).columns()["url_clicks"] == 2**60
    with pytest.raises(AnswerNotTrusted, match="URL is no whole number from 0 to"):
        read_totals(body(URL=str(2**60 + 1)).encode())


def test_unknown_keys_are_kept_as_written_and_counted() -> None:
    text = body(PUSH='{"a": 1.10, "b":"\\u0000\\ud800"}', RATE="1e2")
    batch = to_batch(answer(text, day="2024-04-01"), WINDOW)
    assert b'{"PUSH": {"a": 1.10, "b":"\\u0000\\ud800"}, "RATE": 1e2}' in batch.records[0]
    assert batch.counts == {"unknown_key:PUSH": 1, "unknown_key:RATE": 1}
    assert to_batch(answer(body(), day="2024-04-01"), WINDOW).counts == {}


def test_a_byte_order_mark_does_no_harm() -> None:
    assert read_totals(b"\xef\xbb\xbf" + body().encode()) == read_totals(body().encode())


@pytest.mark.parametrize("text", ["[]", "12", "null", '"x"', "{", "", "<html></html>"])
def test_what_is_no_object_of_totals_is_an_error(text: str) -> None:
    with pytest.raises(AnswerNotTrusted):
        to_batch(answer(text, day="2024-04-01"), WINDOW)


def test_an_answer_about_a_day_outside_the_window_has_no_row() -> None:
    assert len(to_batch(answer(body(), day="2024-04-02"), WINDOW)) == 0


@pytest.mark.parametrize("request_", [{}, {"day": "yesterday"}, {"day": None}])
def test_an_answer_that_does_not_say_its_day_is_an_error(request_: dict[str, Any]) -> None:
    with pytest.raises(AnswerNotTrusted, match="which day"):
        to_batch(answer(body(), **request_), WINDOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(sorted(TOTALS)), json_values),
    st.dictionaries(st.text(), json_values, max_size=30),
)
def test_whatever_json_comes_is_one_exact_row_or_an_error(
    known: dict[str, Any], unknown: dict[str, Any]
) -> None:
    values = {**dict.fromkeys(TOTALS, 1), **unknown, **known}
    whole = all(
        values[name] is None or (type(values[name]) is int and 0 <= values[name] <= 2**60)
        for name in TOTALS
    )
    text = json.dumps(values)
    if whole and "NaN" not in text and "Infinity" not in text:
        totals = read_totals(text.encode())
        assert totals.columns() == {column: values[name] for name, column in TOTALS.items()}
        assert {key: json.loads(text) for key, text in totals.unknown.items()} == {
            key: value for key, value in values.items() if key not in TOTALS
        }
        assert len(to_batch(answer(text, day="2024-04-01"), WINDOW)) == 1
    elif not whole:
        with pytest.raises(AnswerNotTrusted):
            read_totals(text.encode())
