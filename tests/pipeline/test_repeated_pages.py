"""A window that comes back byte for byte: its rows are not encoded again, and everything is as if they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dagster_project.errors import AnswerNotTrusted
from dagster_project.model.response import ExtractStats
from dagster_project.pipeline.load_window import load_window
from dagster_project.pipeline.repeated_pages import RepeatedPages
from dagster_project.pipeline.replay import replay_account
from tests.pipeline.reloading import LEDGER, PAGES, ROWS, House, house_of, page
from tests.support.loading import Loading
from tests.vendors.calltouch.played import DAY, SITE, WINDOW, Spoilt, sms


@pytest.fixture
def house(loading: Loading) -> Iterator[House]:
    with house_of(loading, [sms(n) for n in range(ROWS)]) as house:
        yield house


def test_pages_that_came_before_are_not_encoded_again(house: House) -> None:
    house.load()
    assert sorted(house.encoded) == [1, 2, 3, 4]
    for _ in range(2):
        receipt = house.load()
        assert house.encoded == []
        assert (receipt.rows_received, receipt.rows_unchanged) == (ROWS, ROWS)
        assert not receipt.changed


def test_everything_is_as_if_the_rows_had_been_encoded_again(loading: Loading) -> None:
    """Rows twice the same, and a status that is not known: it is noted of the window."""
    rows = [sms(n) for n in range(ROWS)] + [sms(3), sms(3)]
    rows[7] |= {"smsStatus": "odd", "smsStatusDetail": "Нечто"}
    found = []
    with house_of(loading, rows) as house:
        house.load()
        for again in range(2):
            if again:
                house.forget_encodings()
            house.load()
            assert sorted(house.encoded) == ([1, 2, 3, 4] if again else [])
            found.append({name: loading.select(query) for name, query in LEDGER.items()})
    skipped, usual = found
    assert skipped["receipt"][0][0]["notes"]["in_window"], "something was noted"
    for name in LEDGER:
        assert skipped[name] == usual[name], name
    own = [replace(r, receipt_id=0, extraction_id=0, observed_at=None) for [r] in house.told[1:]]  # type: ignore[arg-type]
    assert own[0] == own[1], "marts and checks are told the same"


@pytest.mark.parametrize("place", [0, 15, ROWS - 1])
def test_where_one_page_differs_every_row_is_loaded_as_the_vendor_has_it(
    house: House, place: int
) -> None:
    house.load()
    calls = len(house.vendor.questions)
    house.vendor.rows[place] |= {"smsStatus": "error", "smsStatusDetail": "Недоступный номер"}
    receipt = house.load()
    assert receipt.rows_updated == 1
    assert sorted(house.encoded) == [1, 2, 3, 4], "each page once"
    assert len(house.vendor.questions) == calls + PAGES, "no page was asked for again"


def test_pages_before_one_that_differs_are_read_from_where_they_were_stored(house: House) -> None:
    house.load()
    house.vendor.spoilt[4] = Spoilt(rows=[sms(n) for n in (30, 31, 32, 33, 77)])
    house.encoded.clear()
    [receipt] = load_window(house.run, WINDOW, None, ExtractStats()).receipts
    assert (receipt.rows_inserted, receipt.rows_deleted) == (1, 1)
    assert sorted(house.encoded) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM warehouse.calltouch_sms WHERE phone LIKE '%12'",
        "UPDATE warehouse.calltouch_sms SET status = 'error', content_hash = 1 WHERE phone LIKE '%12'",
        "INSERT INTO warehouse.calltouch_sms SELECT (jsonb_populate_record(t, jsonb_build_object("
        "'sms_key', gen_random_uuid(), 'phone', '70000000000'))).* FROM warehouse.calltouch_sms t"
        " WHERE phone LIKE '%12'",
    ],
)
def test_rows_that_somebody_changed_are_put_right(house: House, statement: str) -> None:
    house.load()
    house.change(statement)
    assert house.load().changed
    assert sorted(house.encoded) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ops.load_receipt SET encoding = 'of other code'",
        "UPDATE raw.response SET redacted_at = now() WHERE sequence = 2",
        "DELETE FROM raw.response WHERE sequence = 2",
        "DELETE FROM raw.response",
        "UPDATE ops.day_state SET held = 'would lose rows', held_kinds = '{shrink}'",
        "UPDATE ops.day_state SET checksum = '35:0000000000000001'",
        "UPDATE ops.extraction SET reduced_before = '2020-01-01'",
        "UPDATE ops.extraction SET first_day = first_day - 1",
    ],
)
def test_where_it_is_not_certain_what_rows_are_of_they_are_encoded(
    house: House, statement: str
) -> None:
    house.load()
    house.change(statement)
    assert not house.load().changed
    assert sorted(house.encoded) == [1, 2, 3, 4]


def test_a_window_with_rejects_is_read_again(loading: Loading) -> None:
    rows: list[dict[str, Any]] = [sms(n) for n in range(ROWS)]
    with house_of(loading, [*rows, {**sms(1), "dateSent": "soon"}]) as house:
        for _ in range(2):
            house.encoded.clear()
            load_window(house.run, WINDOW, None, ExtractStats())
            assert len(house.encoded) == PAGES


def test_a_second_reading_is_compared_from_its_beginning(house: House) -> None:
    house.load()
    house.vendor.spoilt[3] = Spoilt(total=99, times=1)
    receipt = house.load()
    assert not receipt.changed
    assert house.encoded == []


def test_an_answer_that_is_not_trusted_changes_nothing(house: House) -> None:
    house.load()
    house.vendor.spoilt[4] = Spoilt(total=99)
    with pytest.raises(AnswerNotTrusted):
        load_window(house.run, WINDOW, None, ExtractStats())
    assert house.rows() == house.truth()


def test_a_replay_always_encodes_and_its_rows_may_be_compared_with(house: House) -> None:
    house.load()
    house.forget_encodings()
    house.encoded.clear()
    [result] = replay_account(house.run, SITE, [DAY])
    assert not result.problems
    assert sorted(house.encoded) == [1, 2, 3, 4]
    house.load()
    assert house.encoded == []


def test_after_any_changes_on_either_side_rows_are_the_vendors(house: House) -> None:
    """Each time some of: a status, a row more, a row less, another order, rows changed by hand."""
    drawn = random.Random(20240401)
    rows, skipped = house.vendor.rows, 0
    for turn in range(25):
        for act in drawn.choices(range(8), k=drawn.choice([0, 0, 1, 2])):
            if act == 0 and rows:
                row = drawn.choice(rows)
                row["smsStatus"] = drawn.choice(["sent", "delivered", "error"])
            elif act == 1:
                rows.append(sms(100 + turn))
            elif act == 2:
                rows.append(dict(drawn.choice(rows)))
            elif act == 3 and len(rows) > ROWS - 3:
                rows.pop(drawn.randrange(len(rows)))
            elif act == 4:
                drawn.shuffle(rows)
            elif act == 5:
                house.change(
                    "DELETE FROM warehouse.calltouch_sms WHERE ctid ="
                    " (SELECT min(ctid) FROM warehouse.calltouch_sms)"
                )
            elif act == 6 and turn:
                house.change("UPDATE warehouse.calltouch_sms SET content_hash = content_hash + 7")
        house.load()
        skipped += not house.encoded
    assert 5 < skipped < 25, "both ways were taken"


def test_pages_are_taken_until_one_differs() -> None:
    pages = RepeatedPages((), {1: b"a", 2: b"b", 3: b"c"})
    assert pages.take(page(2), b"b")
    assert not pages.are_all
    assert not pages.take(page(1), b"other")
    assert pages.give_up() == [2, 1], "the one that differs, too"
    assert not pages.awaited, "no other page is compared"
    assert pages.give_up() == []
    assert not pages.are_all


def test_all_pages_and_no_other_came_again() -> None:
    pages = RepeatedPages((), {1: b"a"})
    assert pages.take(page(1), b"a")
    assert pages.are_all
    assert not RepeatedPages().are_all, "nothing to compare with"
