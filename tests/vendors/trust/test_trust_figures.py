from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.errors import AnswerNotTrusted
from dagster_project.vendors.trust.figures import decode, loads, read_figures, to_json

Sample = Callable[[str], dict[str, Any]]

COUNTERS = ("total", "sended", "pending", "fails")


def test_the_documents_found_sample_reads_as_a_person_reads_it(sample: Sample) -> None:
    figures = read_figures(sample("found"))
    assert figures.counters() == {
        "total": 6,
        "sent": 0,
        "pending": 0,
        "failed": 6,
        "received": 0,
        "pressed": 4,
        "closed": 0,
        "unknown": 0,
        "campaigns": 5,
    }
    assert not figures.is_empty
    assert figures.extra is None


def test_the_documents_empty_sample_is_empty(sample: Sample) -> None:
    figures = read_figures(sample("empty"))
    assert figures.is_empty
    assert set(figures.counters().values()) == {0}


def test_closed_is_read_where_it_is_there(sample: Sample) -> None:
    answer = sample("found")
    answer["data"]["actions"]["CLOSED"] = 3
    assert read_figures(answer).closed == 3


@pytest.mark.parametrize("key", COUNTERS)
@pytest.mark.parametrize("value", [None, "6", 6.0, 6.5, -1, True, [], {}, 2**63])
def test_a_counter_that_is_no_whole_number_from_zero_is_refused(
    sample: Sample, key: str, value: Any
) -> None:
    answer = sample("found")
    answer["data"][key] = value
    with pytest.raises(AnswerNotTrusted, match=key):
        read_figures(loads(json.dumps(answer)))


@pytest.mark.parametrize("key", COUNTERS)
def test_a_missing_counter_is_an_error_and_not_a_zero(sample: Sample, key: str) -> None:
    answer = sample("found")
    del answer["data"][key]
    with pytest.raises(AnswerNotTrusted, match=f"{key} is missing"):
        read_figures(answer)


def test_an_action_that_is_there_must_be_a_whole_number(sample: Sample) -> None:
    answer = sample("found")
    answer["data"]["actions"]["RECEIVED"] = None
    with pytest.raises(AnswerNotTrusted, match="RECEIVED"):
        read_figures(answer)


def test_a_campaign_count_left_out_is_not_reported_rather_than_zero(sample: Sample) -> None:
    answer = sample("found")
    del answer["data"]["campaign"]
    assert read_figures(answer).campaigns is None


@pytest.mark.parametrize(
    "change",
    [
        {"code": 500},
        {"code": "200"},
        {"resource": "Campaigns"},
        {"message": "Error"},
        {"data": None},
        {"data": []},
        {"data": {}},
    ],
)
def test_an_envelope_of_another_form_is_refused(sample: Sample, change: dict[str, Any]) -> None:
    with pytest.raises(AnswerNotTrusted):
        read_figures(sample("found") | change)


@pytest.mark.parametrize("value", [None, [], "text", 4, True])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(AnswerNotTrusted):
        read_figures(value)


def test_unknown_keys_are_kept_with_every_digit(sample: Sample) -> None:
    body = json.dumps(sample("found"))
    body = body.replace('"campaign"', '"cost": 1.10, "big": 12345678901234567890123, "campaign"')
    body = body.replace('"UNKNOWN"', '"OPENED": 1e2, "UNKNOWN"')
    figures = read_figures(loads(body))
    assert (
        figures.extra
        == '{"cost": 1.10, "big": 12345678901234567890123, "actions": {"OPENED": 1e2}}'
    )
    assert figures.unknown_keys == ("cost", "big", "actions.OPENED")


def test_keys_that_nobody_documented_do_not_make_an_answer_less_empty(sample: Sample) -> None:
    answer = sample("empty")
    answer["data"] |= {"api_version": 2}
    assert read_figures(answer).is_empty


@pytest.mark.parametrize("key", [*COUNTERS, "campaign"])
def test_one_counter_is_enough_not_to_be_empty(sample: Sample, key: str) -> None:
    answer = sample("empty")
    answer["data"][key] = 1
    assert not read_figures(answer).is_empty


def test_characters_that_postgres_cannot_hold_stay_escaped(sample: Sample) -> None:
    answer = sample("found")
    answer["data"]["note"] = "\x00\ud800й"
    extra = read_figures(answer).extra
    assert extra == '{"note": "\\u0000\\ud800\\u0439"}'


def test_a_byte_order_mark_is_skipped(sample: Sample) -> None:
    assert decode(b"\xef\xbb\xbf" + json.dumps(sample("found")).encode()) == sample("found")


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe", b'{"a": NaN}', b"[" * 200_000])
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(AnswerNotTrusted):
        decode(body)


def test_extras_nested_beyond_reason_are_refused_rather_than_crash(sample: Sample) -> None:
    answer = sample("found")
    nested: Any = 1
    for _ in range(5_000):
        nested = [nested]
    answer["data"]["deep"] = nested
    with pytest.raises(AnswerNotTrusted, match="nested"):
        read_figures(answer)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_what_is_kept_reads_back_as_what_came(value: Any) -> None:
    assert json.loads(to_json(loads(json.dumps(value)))) == value


@given(json_values)
def test_any_json_is_read_or_refused_and_nothing_else(value: Any) -> None:
    for answer in (value, {"code": 200, "resource": "Statistics", "data": value, "message": "Ok"}):
        try:
            read_figures(loads(json.dumps(answer)))
        except AnswerNotTrusted:
            continue
        raise AssertionError("an answer without the counters was read")
