"""A page of purchases, cut into its records as the vendor wrote them."""

from __future__ import annotations

import pytest

from dagster_project.text.raw_json import NotJson
from dagster_project.vendors.tellody.payment_page import (
    MOST_PURCHASES,
    SUPERSEDED,
    NotPaymentPage,
    current_positions,
    read_page,
    whole_number,
)


def test_records_keep_their_characters_and_are_known_by_their_payment() -> None:
    page = read_page(
        b'{"extras": {}, "count": 3, "data": [{"paymentId": 7, "amount": 4.90}, 5, {}]}'
    )
    assert page.records == [b'{"paymentId": 7, "amount": 4.90}', b"5", b"{}"]
    assert page.identities == [7, b"5", b"{}"]
    assert page.fields[0]["amount"] == b"4.90"
    assert page.count == 3


def test_an_account_without_purchases_may_answer_null() -> None:
    assert read_page(b'{"count": 0, "data": null}').records == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[1]", "no object, but a list"),
        (b'{"data": []}', "count is missing"),
        (b'{"count": 1.5, "data": []}', "count is missing or no whole number"),
        (b'{"count": -1, "data": []}', "no whole number from 0"),
        (b'{"count": %d, "data": []}' % (MOST_PURCHASES + 1), "a number of 7 digits"),
        (b'{"count": 2, "data": null}', "data is missing or no list"),
        (b'{"count": 2}', "data is missing or no list"),
        (b'{"count": 0, "data": []} and more', "there is other text after the JSON"),
    ],
)
def test_another_form_is_refused_without_quoting_it(body: bytes, says: str) -> None:
    with pytest.raises(NotPaymentPage, match=says):
        read_page(body)


def test_json_that_breaks_off_is_no_json() -> None:
    with pytest.raises(NotJson):
        read_page(b'{"count": 2, "data": [{"pay')


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"7", 7),
        (b"-7", -7),
        (b"9223372036854775807", 2**63 - 1),
        (b"9223372036854775808", None),
        (b"07", None),
        (b"7.0", None),
        (b'"7"', None),
        (None, None),
    ],
)
def test_a_whole_number_is_one_that_a_bigint_holds(text: bytes | None, number: int | None) -> None:
    assert whole_number(text) == number


def test_of_a_purchase_that_came_twice_the_newest_stands_unless_it_is_superseded() -> None:
    page = read_page(
        b'{"count": 2, "data": [{"paymentId": 7}, {"paymentId": 8}, {"paymentId": 7}]}'
    )
    assert current_positions(page, {}) == [0, 1]
    assert current_positions(page, {SUPERSEDED: [1]}) == [0]
