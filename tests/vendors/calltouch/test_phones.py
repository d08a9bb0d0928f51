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
        "+8 920 938-36-54",
        "+8(920)9383654",
        "тел. +8–920–938–36–54",
        "+7 8 920 938-36-54",
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
        ("+8 701 123-45-67", "+77011234567", "KZ"),
        ("+8 (800) 555-35-35", "+78005553535", "RU"),
        ("+8 812 333-44-55", "+78123334455", "RU"),
        ("+84 951 234 567", "+84951234567", "VN"),
        ("+86 138 0013 8000", "+8613800138000", "CN"),
        ("8 10 375 29 123-45-67", "+375291234567", "BY"),
        ("7771234567", "+77771234567", "KZ"),
        ("8123334455", "+78123334455", "RU"),
        ("8 920 938-36-54 доб. 12", "+79209383654", "RU"),
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


@pytest.mark.parametrize("opening", ["7", "8", "+7", "+8", ""])
@pytest.mark.parametrize("dropped", range(1, 10))
def test_a_mobile_that_lacks_a_digit_is_nobodys(opening: str, dropped: int) -> None:
    numbers = random.Random(f"{opening}{dropped}")
    for _ in range(100):
        mobile = f"9{numbers.randrange(10**9):09d}"
        short = opening + mobile[:dropped] + mobile[dropped + 1 :]
        digits = short.removeprefix("+")
        assert read_number(short) == Number(None, None, digits)
        masked = f"{opening} ({short[len(opening) :][:3]}) {short[len(opening) :][3:]}"
        assert read_number(masked) == Number(None, None, digits)


@pytest.mark.parametrize("opening", ["7", "8", "+7", "+8"])
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
