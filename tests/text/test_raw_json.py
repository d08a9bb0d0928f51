"""The characters of JSON values: cut as written, also where a parser gives up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.text import raw_json
from dagster_project.text.raw_json import NotJson, elements, is_json, members

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
spaces = st.sampled_from([None, 0, 2])


def written(value: Any, indent: int | None) -> bytes:
    return json.dumps(value, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")


@given(st.lists(values), spaces)
def test_elements_are_the_values_of_a_list(value: list[Any], indent: int | None) -> None:
    cut = elements(b" \n" + written(value, indent) + b"\t")
    assert len(cut) == len(value)
    assert [same(json.loads(c.decode("utf-8", "surrogatepass"))) for c in cut] == same(value)


@given(st.dictionaries(st.text(), values), spaces)
def test_members_are_the_values_of_an_object(value: dict[str, Any], indent: int | None) -> None:
    cut = members(b"\xef\xbb\xbf" + json.dumps(value, indent=indent).encode())
    assert {k: same(json.loads(c)) for k, c in cut.items()} == same(value)


def same(value: Any) -> Any:
    """NaN equals itself here."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return [same(item) for item in value]
    if isinstance(value, dict):
        return {key: same(item) for key, item in value.items()}
    return value


well_formed = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(well_formed), spaces)
def test_both_ways_of_cutting_agree(value: list[Any], indent: int | None) -> None:
    text = json.dumps(value, indent=indent).encode()
    assert [cut for _, cut in raw_json._cut(text, b"[]")] == elements(text)


def test_characters_stay_as_they_were_written() -> None:
    assert elements(b'[4.90, 1e2 ,-0.0,"\\u00e9",{ "a" : 1 }]') == [
        b"4.90",
        b"1e2",
        b"-0.0",
        b'"\\u00e9"',
        b'{ "a" : 1 }',
    ]


@pytest.mark.parametrize("more", [b"", b',"b":NaN'])
def test_of_a_key_that_stands_twice_the_last_counts(more: bytes) -> None:
    assert members(b'{"a":1,"a":2' + more + b"}")["a"] == b"2"


@pytest.mark.parametrize(
    "odd", [b"NaN", b'"\\ud800"', b'"a\nb"', b'"\xff"', b"[" * 5000 + b"]" * 5000]
)
def test_one_odd_value_does_not_spoil_the_others(odd: bytes) -> None:
    assert elements(b'[1, {"x": ' + odd + b'}, "},]"]') == [b"1", b'{"x": ' + odd + b"}", b'"},]"']
    assert members(b'{"a": ' + odd + b', "b\\u0041": [1,2]}') == {"a": odd, "bA": b"[1,2]"}


@pytest.mark.parametrize(
    "cut", [b"[1,", b'[NaN,"a', b"[NaN,[1]", b"[NaN]]", b"", b"7", b"{}", b"[NaN,,1]"]
)
def test_what_does_not_end_or_is_no_list_is_refused(cut: bytes) -> None:
    with pytest.raises(NotJson):
        elements(cut)


@pytest.mark.parametrize(
    "cut", [b'{"a":', b'{"a":NaN', b"{NaN}", b"{NaN:1}", b'{"a":NaN,"b"}', b"[]", b""]
)
def test_what_does_not_end_or_is_no_object_is_refused(cut: bytes) -> None:
    with pytest.raises(NotJson):
        members(cut)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (b'{"a":[1.10,"\\u0000\\ud800"]}', True),
        (b"1" * 5000, True),
        (b"[NaN]", False),
        (b"[1,]", False),
        (b'"\xff"', False),
        (b'"a\nb"', False),
        (b"[" * 500 + b"]" * 500, True),
        (b"[" * 501 + b"]" * 501, False),
        (b'"' + b"[" * 501 + b'"', True),
    ],
)
def test_is_json_tells_what_postgres_takes(text: bytes, verdict: bool) -> None:
    assert is_json(text) is verdict
