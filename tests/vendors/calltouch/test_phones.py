"""Phone numbers in any mask; the rule for plain ones against the library it stands in for."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.vendors.calltouch.phones import Number, ask_library, read_number


@pytest.mark.parametrize(
    "phone",
    [
        "89209383654",
        "+7 920 938 36 54",
        "79209383654",
        "(920) 938-36-54",
        "8 (920) 938-36-54",
        "9209383654",
        "+7\u00a0920\u00a0938\u00a036\u00a054",
        " 7.920.938.36.54 ",
        "7–920–938–36–54",
    ],
)
def test_every_mask_is_one_number(phone: str) -> None:
    assert read_number(phone) == Number("+79209383654", "RU", "+79209383654")


@pytest.mark.parametrize(
    ("phone", "e164", "country"),
    [
        ("77011234567", "+77011234567", "KZ"),
        ("87011234567", "+77011234567", "KZ"),
        ("74951234567", "+74951234567", "RU"),
        ("88001234567", "+78001234567", "RU"),
        ("375291234567", "+375291234567", "BY"),
        ("+380 67 123-45-67", "+380671234567", "UA"),
        ("00375291234567", "+375291234567", "BY"),
        ("4915112345678", "+4915112345678", "DE"),
        ("70001234567", "+70001234567", None),
        ("+870 773 123456", "+870773123456", None),
    ],
)
def test_the_rest_is_read_by_the_library(phone: str, e164: str, country: str | None) -> None:
    assert read_number(phone) == Number(e164, country, e164)


@pytest.mark.parametrize(
    ("phone", "identity"),
    [
        ("", ""),
        ("+", "+"),
        ("не указан", "не указан"),
        ("0", "0"),
        ("тел. 7920938", "7920938"),
        ("79209383654123456", "79209383654123456"),
        ("7" * 300, "7" * 300),
    ],
)
def test_what_is_no_possible_number_keeps_its_digits(phone: str, identity: str) -> None:
    assert read_number(phone) == Number(None, None, identity)


@pytest.mark.parametrize("opening", ["7", "8", "+7"])
@pytest.mark.parametrize("second", "79")
def test_the_plain_rule_says_what_the_library_says_of_every_prefix(
    opening: str, second: str
) -> None:
    numbers = random.Random(f"{opening}{second}")
    for prefix in range(1000):
        phone = f"{opening}{second}{prefix:03d}{numbers.randrange(10**6):06d}"
        assert read_number(phone) == ask_library(phone)


@given(st.text(st.characters(exclude_categories=[])))
def test_no_text_is_too_strange(phone: str) -> None:
    number = read_number(phone)

    assert number.identity == (number.e164 or number.identity)
    assert (number.e164 is None) <= (number.country is None)
