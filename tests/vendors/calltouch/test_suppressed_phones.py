"""Which phone fields are an erased person's."""

from __future__ import annotations

import pytest

from dagster_project.model.privacy import Suppression, identity_of
from dagster_project.vendors.calltouch.suppressed_phones import (
    identify,
    identities_of,
    own_phones,
)

PERSON = identity_of("+79261234567")
LIST = Suppression.from_identities(b"k" * 32, [PERSON])


@pytest.mark.parametrize(
    "typed", ["+79261234567", "8 (926) 123-45-67", "79261234567", "+7 926 123 45 67"]
)
def test_a_number_is_identified_in_any_mask(typed: str) -> None:
    assert identify(typed) == PERSON


@pytest.mark.parametrize("typed", ["", "nobody", "926123456", "+79261234567, +79261234568", "1234"])
def test_what_is_not_exactly_one_full_number_is_nobodys(typed: str) -> None:
    assert identify(typed) is None


def test_fields_of_the_person_are_found_and_those_of_others_are_not() -> None:
    own = ["79261234567", "8 926 123-45-67", "+79261234567 / +79261234568"]
    others = ["79261234568", "", "unknown", "+375291234567"]
    assert own_phones([*own, *others], LIST) == set(own)


def test_a_row_may_be_known_by_the_reading_of_a_national_spelling() -> None:
    found = identities_of(identity_of("+375291234567"))
    assert "+375291234567" in found
    assert len(found) > 1
    assert identities_of(identity_of("12345")) == {"12345"}
