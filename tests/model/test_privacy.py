"""Numbers that were erased: known by hashes, found however they are written."""

from __future__ import annotations

import pytest

from dagster_project.model.privacy import Suppression, identity_of

KEY = b"k" * 32
PERSON = identity_of("+79261234567")
OTHER = identity_of("+375291234567")
LIST = Suppression.from_identities(KEY, [PERSON, OTHER])


def test_a_number_and_its_national_spellings_have_their_last_digits_in_common() -> None:
    assert PERSON.tail == "9261234567"
    assert OTHER.tail == "291234567"
    assert identity_of("89261234567").tail == "9261234567"
    assert identity_of("12345").tail is None, "too few digits to look for in texts"


def test_the_list_holds_its_numbers_and_no_others() -> None:
    assert LIST.find_suppressed(["+79261234567", "+79261234568"]) == {"+79261234567"}
    assert bool(LIST)
    assert not Suppression(KEY)


def test_no_number_stands_in_the_list() -> None:
    assert "9261234567" not in repr(LIST)
    assert (
        Suppression.from_identities(b"o" * 32, [PERSON]).numbers
        != Suppression.from_identities(KEY, [PERSON]).numbers
    )


@pytest.mark.parametrize(
    "text",
    ["Звоните 8 (926) 123-45-67!", "+7 926 1234567", "id9261234567", "8 029 123-45-67"],
)
def test_a_number_is_taken_out_of_a_text_in_any_mask(text: str) -> None:
    assert LIST.occurs_in(text)
    cleaned = LIST.mask_numbers(text)
    assert len(cleaned) == len(text)
    assert not LIST.occurs_in(cleaned)


def test_another_text_stays_as_it_is() -> None:
    text = "Код 123456, звоните 8 (926) 123-45-68"
    assert LIST.mask_numbers(text) == text
    assert not LIST.occurs_in(text)
