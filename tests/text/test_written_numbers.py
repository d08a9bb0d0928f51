"""Numbers found however they are written, and hardly ever where they are not."""

from __future__ import annotations

from random import Random

import pytest

from dagster_project.model.privacy import Suppression, identity_of
from dagster_project.text import written_numbers
from dagster_project.vendors.calltouch.segments import segments_of
from dagster_project.vendors.calltouch.suppressed_phones import (
    identify,
    identities_of,
    own_phones,
)
from tests.support.spellings import ABROAD, AT_HOME, DIGITS, OTHERS, PHONES, TEXTS

KEY = b"k" * 32
NUMBERS = ("+79161234567", "+375291234567")
ORDERS, ERASED_PEOPLE = 20_000, 1_000
MOST_FALSE = 1
"""Of so many random order numbers with so many people on the list; 0.07 are to be expected."""


def suppressing(*numbers: str) -> Suppression:
    empty = Suppression(KEY)
    tails = [identity_of(number).tail or "" for number in numbers]
    return Suppression(
        KEY,
        frozenset(map(empty.hash_of, numbers)),
        frozenset(map(empty.hash_of, tails)),
        tuple(sorted(set(map(len, tails)))),
    )


LIST = suppressing(*NUMBERS)


@pytest.mark.parametrize("spelling", [*TEXTS, *AT_HOME])
def test_in_a_text_every_digit_of_it_becomes_a_zero(spelling: str) -> None:
    text = f"Перезвоните: {spelling}, Иван"
    after = LIST.mask_numbers(text)
    assert not LIST.occurs_in(after)
    assert len(after) == len(text)
    assert segments_of(after * 3) == segments_of(text * 3)
    digits = "".join(run.digits for run in written_numbers.digit_runs(after))
    assert DIGITS not in digits
    assert ABROAD not in digits
    assert LIST.mask_numbers(after) == after


@pytest.mark.parametrize("phone", [*PHONES, *AT_HOME])
def test_a_phone_field_that_holds_it_is_the_persons_own(phone: str) -> None:
    assert own_phones([phone, "79210000000"], LIST) == {phone}


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_another_number_or_stands_too_far_apart_stays(text: str) -> None:
    assert LIST.mask_numbers(text) == text


@pytest.mark.parametrize("phone", ["73752912345", "79162912345", "+79291234567", "8 929 123-45-67"])
def test_a_field_that_is_another_whole_number_is_anothers(phone: str) -> None:
    assert own_phones([phone], suppressing("+375291234567")) == set()


def test_random_order_numbers_are_hardly_ever_hit() -> None:
    draw = Random("order numbers")
    codes = ("+79", "+77", "+37529", "+38050", "+99890", "+37491")
    lengths = (12, 12, 13, 13, 13, 12)
    people = []
    while len(people) < ERASED_PEOPLE:
        code, length = draw.choice(list(zip(codes, lengths, strict=True)))
        people.append(code + "".join(draw.choices("0123456789", k=length - len(code))))
    listed = suppressing(*people)
    orders = ["".join(draw.choices("0123456789", k=draw.randint(12, 16))) for _ in range(ORDERS)]
    assert sum(listed.occurs_in(f"Заказ {order} готов") for order in orders) <= MOST_FALSE
    assert all(listed.occurs_in(f"Заказ {number[1:]}") for number in people)


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("79209380003", "+79209380003"),
        ("+7 (920) 938-00-03", "+79209380003"),
        ("8 920 938 00 03", "+79209380003"),
        ("+8 920 938 00 03", "+79209380003"),
        ("920 938 00 03", "+79209380003"),
        ("٧٩٢٠٩٣٨٠٠٠٣", "+79209380003"),
        ("8\u00a0920\u200b938\u201100\u201103", "+79209380003"),
        ("+375 29 123-45-67", "+375291234567"),
        ("375291234567", "+375291234567"),
        ("8 10 375 29 123-45-67", "+375291234567"),
        ("+1 202 555 0123", "+12025550123"),
    ],
)
def test_a_line_that_is_one_full_number_is_read(typed: str, number: str) -> None:
    identity = identify(typed)
    assert identity is not None
    assert identity.number == number


@pytest.mark.parametrize(
    "typed",
    [
        "79209380003, 79209380004",
        "79209380003 79209380003",
        "79209380003/04",
        "79209380003.0",
        "79209380003 доб. 12",
        "79209380003 Иван",
        "тел. 79209380003",
        "7920938000",
        "+7 920 938 00 0",
        "792093800030",
        "8 029 123-45-67",
        "029 123-45-67",
        "1234567",
        "+7",
        "7920 .... 9380003",
        "++79209380003",
        "0000000000",
        "-",
    ],
)
def test_a_line_that_is_anything_else_is_none(typed: str) -> None:
    assert identify(typed) is None


@pytest.mark.parametrize(
    ("number", "tail"),
    [
        ("+79161234567", "9161234567"),
        ("+375291234567", "291234567"),
        ("+5491123456789", "23456789"),
        ("+393201234567", "3201234567"),
        ("+29022158", "29022158"),
        ("55123", None),
    ],
)
def test_the_tail_is_what_all_spellings_end_with(number: str, tail: str | None) -> None:
    assert identity_of(number).tail == tail


def test_readings_that_are_another_persons_number_are_left_out() -> None:
    readings = identities_of(identity_of("+375291234567"))
    assert {"+375291234567", "+70291234567", "80291234567"} <= readings
    assert "+79291234567" not in readings
