from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.errors import AnswerNotTrusted
from dagster_project.vendors.trust.figures import (
    ACTIONS,
    DOCUMENTED,
    Figures,
    read_figures,
)
from dagster_project.vendors.trust.rows import TABLE

Sample = Callable[[str], dict[str, Any]]


def read(decoded: Any) -> Figures:
    return read_figures(json.dumps(decoded).encode())


SAMPLES = Path(__file__).parents[2] / "data"
COUNTERS = ("total", "sended", "pending", "fails")
NAMES = dict(TABLE.fields)


def test_the_documents_found_sample_reads_as_a_person_reads_it(sample: Sample) -> None:
    figures = read(sample("found"))
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
    figures = read(sample("empty"))
    assert figures.is_empty
    assert set(figures.counters().values()) == {0}


def test_closed_is_read_where_it_is_there(sample: Sample) -> None:
    answer = sample("found")
    answer["data"]["actions"]["CLOSED"] = 3
    assert read(answer).closed == 3


@pytest.mark.parametrize("key", COUNTERS)
@pytest.mark.parametrize("value", ["6", 6.0, 6.5, -1, True, [], {}, 2**63])
def test_a_counter_that_is_no_whole_number_from_zero_is_refused(
    sample: Sample, key: str, value: Any
) -> None:
    answer = sample("found")
    answer["data"][key] = value
    with pytest.raises(AnswerNotTrusted, match=key):
        read(answer)


@pytest.mark.parametrize("key", [*COUNTERS, "campaign"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_counter_that_is_null_or_absent_is_not_reported_and_no_zero(
    sample: Sample, key: str, is_there: bool
) -> None:
    whole = read(sample("found")).counters()
    answer = sample("found")
    answer["data"].pop(key)
    if is_there:
        answer["data"][key] = None
    figures = read(answer)
    assert figures.counters() == {**whole, NAMES[key]: None}
    assert (figures.nulls, figures.absent) == (((key,), ()) if is_there else ((), (key,)))


def test_an_action_that_is_null_is_not_reported_and_one_of_another_kind_is_an_error(
    sample: Sample,
) -> None:
    answer = sample("found")
    answer["data"]["actions"]["RECEIVED"] = None
    figures = read(answer)
    assert (figures.received, figures.pressed, figures.nulls) == (None, 4, ("RECEIVED",))
    answer["data"]["actions"]["RECEIVED"] = "4"
    with pytest.raises(AnswerNotTrusted, match="RECEIVED"):
        read(answer)


def test_without_any_actions_none_of_them_is_reported(sample: Sample) -> None:
    answer = sample("found")
    answer["data"]["actions"] = None
    assert read(answer).nulls == tuple(ACTIONS)
    del answer["data"]["actions"]
    figures = read(answer)
    assert [figures.counters()[name] for name in ACTIONS.values()] == [None] * len(ACTIONS)
    assert figures.absent == tuple(ACTIONS)


@pytest.mark.parametrize("key", [*COUNTERS, "actions"])
def test_an_answer_with_a_null_in_it_is_not_the_empty_one(sample: Sample, key: str) -> None:
    answer = sample("empty")
    answer["data"][key] = None
    assert not read(answer).is_empty
    assert not read(answer).is_complete


def test_a_campaign_count_left_out_is_not_reported_rather_than_zero(sample: Sample) -> None:
    answer = sample("found")
    del answer["data"]["campaign"]
    assert read(answer).campaigns is None


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
        read(sample("found") | change)


@pytest.mark.parametrize("value", [None, [], "text", 4, True])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(AnswerNotTrusted):
        read(value)


def test_unknown_keys_are_kept_with_every_digit(sample: Sample) -> None:
    body = json.dumps(sample("found"))
    body = body.replace('"campaign"', '"cost": 1.10, "big": 12345678901234567890123, "campaign"')
    body = body.replace('"UNKNOWN"', '"OPENED": 1e2, "UNKNOWN"')
    figures = read_figures(body.encode())
    assert (
        figures.extra
        == '{"big": 12345678901234567890123, "cost": 1.10, "actions": {"OPENED": 1e2}}'
    )
    assert figures.unknown_keys == ("big", "cost", "actions.OPENED")


def test_keys_that_nobody_documented_do_not_make_an_answer_less_empty(sample: Sample) -> None:
    answer = sample("empty")
    answer["data"] |= {"api_version": 2}
    assert read(answer).is_empty


@pytest.mark.parametrize("key", [*COUNTERS, "campaign"])
def test_one_counter_is_enough_not_to_be_empty(sample: Sample, key: str) -> None:
    answer = sample("empty")
    answer["data"][key] = 1
    assert not read(answer).is_empty


def test_characters_that_postgres_cannot_hold_stay_escaped(sample: Sample) -> None:
    answer = sample("found")
    answer["data"]["note"] = "\x00\ud800й"
    extra = read(answer).extra
    assert extra == '{"note": "\\u0000\\ud800\\u0439"}'


def test_a_byte_order_mark_is_skipped(sample: Sample) -> None:
    body = json.dumps(sample("found")).encode()
    assert read_figures(b"\xef\xbb\xbf" + body) == read_figures(body)


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe", b'{"a": NaN}', b"[" * 200_000])
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(AnswerNotTrusted):
        read_figures(body)


@pytest.mark.parametrize(
    "kept", ['{"a": NaN}', "[" * 5_000 + "]" * 5_000, '"\x01"', "01", "\udcff"]
)
def test_an_extra_that_postgres_would_not_take_as_json_is_refused(
    sample: Sample, kept: str
) -> None:
    body = json.dumps(sample("found")).replace('"campaign"', f'"deep": {kept}, "campaign"')
    with pytest.raises(AnswerNotTrusted):
        read_figures(body.encode("utf-8", "surrogateescape"))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
unknown_keys = st.text(st.characters()).filter(lambda key: key not in DOCUMENTED)


@given(st.dictionaries(unknown_keys, json_values, min_size=1, max_size=3))
def test_what_is_kept_reads_back_as_what_came(more: dict[str, Any]) -> None:
    answer = json.loads((SAMPLES / "trust_found.json").read_text())
    answer["data"] |= more
    kept = read(answer).extra
    assert kept is not None
    assert json.loads(kept) == more


@given(json_values)
def test_any_json_is_refused_unless_it_holds_the_counters(value: Any) -> None:
    for answer in (value, {"code": 200, "resource": "Statistics", "data": value, "message": "Ok"}):
        with pytest.raises(AnswerNotTrusted):
            read(answer)
