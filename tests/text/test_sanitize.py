"""Texts that JSON can carry and Postgres cannot."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.text.sanitize import is_sanitized, sanitize

ANY_TEXT = st.text(st.characters(exclude_categories=[]))


@pytest.mark.parametrize(
    ("text", "stored", "counts"),
    [
        ("a\x00b\x00", "a\u2400b\u2400", {"nul_replaced": 1}),
        ("\ud83d и \udd25", "\ufffd и \ufffd", {"surrogate_replaced": 1}),
        ("\x00\ude00", "\u2400\ufffd", {"nul_replaced": 1, "surrogate_replaced": 1}),
        ("Скидка 🔥\u2028\ufeff\x01", "Скидка 🔥\u2028\ufeff\x01", {}),
        ("", "", {}),
    ],
)
def test_what_cannot_be_stored_is_replaced_and_each_changed_text_counted(
    text: str, stored: str, counts: dict[str, int]
) -> None:
    counted: Counter[str] = Counter()

    assert sanitize(text, counted) == stored
    assert counted == Counter(counts)


@given(ANY_TEXT)
def test_any_text_becomes_storable_and_stays_as_long(text: str) -> None:
    stored = sanitize(text, Counter())

    assert "\x00" not in stored
    assert len(stored.encode().decode()) == len(text)


@given(ANY_TEXT)
def test_a_text_is_storable_when_nothing_has_to_be_replaced(text: str) -> None:
    assert is_sanitized(text) == (sanitize(text, Counter()) == text)
