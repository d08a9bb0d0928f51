"""Rows that come back in another order or on other pages: they are not encoded again."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from dagster_project.model.response import ExtractStats, Response
from dagster_project.pipeline.load_window import load_window
from dagster_project.pipeline.repeated_pages import RepeatedPages
from tests.pipeline.reloading import LEDGER, ROWS, House, house_of, page
from tests.support.loading import Loading
from tests.vendors.calltouch.played import WINDOW, sms


@pytest.fixture
def house(loading: Loading) -> Iterator[House]:
    with house_of(loading, [sms(n) for n in range(ROWS)]) as house:
        yield house


def hash_rows(response: Response) -> NDArray[np.uint64]:
    return np.frombuffer(response.body, np.uint8).astype(np.uint64)


@pytest.mark.parametrize(
    ("come", "taken", "are_all"),
    [
        pytest.param([(5, 9), (7, 5)], [True, True], True, id="other pages"),
        pytest.param([(9, 7, 5, 5), ()], [True, True], True, id="an empty page"),
        pytest.param([(5, 9), (7, 7)], [True, True], False, id="another row twice"),
        pytest.param([(5, 9), (7,)], [True, True], False, id="a row less"),
        pytest.param([(5, 9), (7, 5), (5,)], [True, True, True], False, id="a row more"),
        pytest.param([(5, 9), (7, 8)], [True, False], False, id="another row"),
    ],
)
def test_rows_are_taken_in_any_order_as_often_as_they_are_expected(
    come: list[tuple[int, ...]], taken: list[bool], are_all: bool
) -> None:
    stored = {1: (1, 2), 2: (7, 5), 3: (5, 9)}
    pages = RepeatedPages(
        (),
        {1: b"a", 2: b"b", 3: b"c"},
        hash_rows,
        lambda numbers: np.array([row for n in numbers for row in stored[n]], np.uint64),
    )
    assert pages.take(page(1, 1, 2), b"a")
    found = [pages.take(page(n, *rows), b"other") for n, rows in enumerate(come, start=2)]
    assert found == taken
    assert pages.are_all == are_all


def test_rows_in_another_order_are_not_encoded_again(loading: Loading) -> None:
    """Rows twice the same, a status that is not known, a NUL: all is as if they had been."""
    rows = [sms(n) for n in range(ROWS)] + [sms(3), sms(3)]
    rows[7] |= {"smsStatus": "odd", "smsStatusDetail": "Нечто"}
    rows[8] |= {"smsMessage": "ноль \x00 внутри"}
    found = []
    with house_of(loading, rows) as house:
        load_window(house.run, WINDOW, None, ExtractStats())
        random.Random(8).shuffle(rows)
        for is_encoded in (False, True):
            if is_encoded:
                house.forget_encodings()
            house.encoded.clear()
            load_window(house.run, WINDOW, None, ExtractStats())
            assert sorted(house.encoded) == ([1, 2, 3, 4] if is_encoded else [])
            found.append({name: loading.select(query) for name, query in LEDGER.items()})
    skipped, usual = found
    for name in LEDGER:
        assert skipped[name] == usual[name], name


@pytest.mark.parametrize("place", [0, 15, ROWS - 1])
def test_in_another_order_with_a_row_changed_every_row_is_as_the_vendor_has_it(
    house: House, place: int
) -> None:
    house.load()
    house.vendor.rows[place] |= {"smsStatus": "error", "smsStatusDetail": "Недоступный номер"}
    house.vendor.rows.reverse()
    assert house.load().rows_updated == 1
    assert sorted(house.encoded) == [1, 2, 3, 4], "each page once"


def test_a_row_in_place_of_another_that_is_there_twice_is_noticed(house: House) -> None:
    """Each row of the answer was there before, and one of those was is missing."""
    house.vendor.rows[3] = dict(house.vendor.rows[4])
    house.load()
    house.vendor.rows[4] = dict(house.vendor.rows[5])
    house.vendor.rows.reverse()
    receipt = house.load()
    assert (receipt.rows_inserted, receipt.rows_deleted) == (1, 1)


def test_where_a_stored_page_cannot_be_read_rows_in_another_order_are_encoded(house: House) -> None:
    house.load()
    house.change("UPDATE raw.response SET body = '' WHERE sequence = 2")
    house.vendor.rows.reverse()
    assert not house.load().changed
    assert sorted(house.encoded) == [1, 2, 3, 4]
