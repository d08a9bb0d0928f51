from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.errors import AnswerNotTrusted
from dagster_project.model.response import Response
from dagster_project.model.window import Account, Window
from dagster_project.vendors.trust.rows import TABLE, Coverage, to_batch

Sample = Callable[[str], dict[str, Any]]

DAY = date(2024, 5, 14)
ASKED_AT = datetime(2024, 5, 15, 4, 30, tzinfo=UTC)
WINDOW = Window(DAY, DAY, Account("trust", "7", ZoneInfo("America/Santiago")))
DAILY = Coverage(DAY, DAY, is_daily=True)
ROLLING = Coverage(DAY - timedelta(days=6), DAY, is_daily=False)


def answer_of(decoded: Any, coverage: Coverage = DAILY, asked_at: datetime = ASKED_AT) -> Response:
    return Response(
        sequence=1,
        request={"method": "GET", "covers": coverage.as_json()},
        asked_at=asked_at,
        received_at=asked_at,
        status=200,
        content_type="application/json",
        body=json.dumps(decoded).encode(),
    )


def test_a_day_is_one_row_under_the_only_key_of_its_day(sample: Sample) -> None:
    batch = to_batch(answer_of(sample("found")), WINDOW)
    assert len(batch) == batch.received == 1
    assert batch.keys == bytes(16)
    assert batch.days.tolist() == [(DAY - date(2000, 1, 1)).days]


def test_the_same_figures_asked_later_have_the_same_hash(sample: Sample) -> None:
    first = to_batch(answer_of(sample("found")), WINDOW)
    later = to_batch(answer_of(sample("found"), asked_at=ASKED_AT + timedelta(hours=3)), WINDOW)
    assert first.hashes.tolist() == later.hashes.tolist()
    assert first.records != later.records


def test_a_rolling_row_differs_from_a_daily_one_with_the_same_figures(sample: Sample) -> None:
    daily = to_batch(answer_of(sample("found"), DAILY), WINDOW)
    rolling = to_batch(answer_of(sample("found"), ROLLING), WINDOW)
    assert daily.hashes.tolist() != rolling.hashes.tolist()


def test_other_figures_have_another_hash(sample: Sample) -> None:
    found, empty = (
        to_batch(answer_of(sample(name)), WINDOW).hashes.tolist() for name in ("found", "empty")
    )
    assert found != empty


def test_a_figure_that_does_not_add_up_is_loaded_and_counted(sample: Sample) -> None:
    batch = to_batch(answer_of(sample("found")), WINDOW)
    assert len(batch) == 1
    assert batch.counts == {"arithmetic: PRESS_ACTION, CLOSED and UNKNOWN exceed sended": 1}


def test_total_and_received_are_held_against_what_was_sent(sample: Sample) -> None:
    answer = sample("found")
    answer["data"] |= {"total": 9, "actions": {"RECEIVED": 1}}
    counts = to_batch(answer_of(answer), WINDOW).counts
    assert counts == {
        "arithmetic: total is not sended + pending + fails": 1,
        "arithmetic: RECEIVED exceeds sended": 1,
    }


def test_unknown_and_absent_keys_are_counted_by_name(sample: Sample) -> None:
    answer = sample("empty")
    del answer["data"]["campaign"]
    answer["data"] |= {"cost": 1, "actions": {"OPENED": 2}}
    counts = to_batch(answer_of(answer), WINDOW).counts
    assert counts == {
        "unknown_key:cost": 1,
        "unknown_key:actions.OPENED": 1,
        "absent_key:campaign": 1,
    }


def test_a_counter_that_is_not_reported_is_counted_and_held_against_nothing(
    sample: Sample,
) -> None:
    answer = sample("found")
    answer["data"] |= {"sended": None, "actions": {"RECEIVED": None}}
    del answer["data"]["fails"]
    batch = to_batch(answer_of(answer), WINDOW)
    assert (batch.nulls, batch.absent) == ({"sended": 1, "RECEIVED": 1}, {"fails": 1})
    assert (len(batch), batch.counts) == (1, {})


def test_names_of_unknown_keys_cannot_flood_a_receipt(sample: Sample) -> None:
    answer = sample("empty")
    answer["data"] |= {f"{number}{'x' * 10_000}\n": 0 for number in range(50)}
    counts = to_batch(answer_of(answer), WINDOW).counts
    assert len(counts) == 21
    assert counts["unknown_key:(others)"] == 30
    assert max(map(len, counts)) < 80
    assert not any("\n" in name for name in counts)


def test_an_answer_about_a_day_outside_the_window_gives_no_row(sample: Sample) -> None:
    other = Coverage(DAY - timedelta(days=1), DAY - timedelta(days=1), is_daily=True)
    assert len(to_batch(answer_of(sample("found"), other), WINDOW)) == 0


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"covers": None},
        {"covers": {"from": "x", "to": "y", "is_daily": True}},
        {"covers": {"from": "2024-05-14", "to": "2024-05-14"}},
        {"covers": {"from": "2024-05-14", "to": "2024-05-14", "is_daily": "no"}},
    ],
)
def test_a_stored_request_that_does_not_say_what_it_covers_is_refused(
    sample: Sample, request_: dict[str, Any]
) -> None:
    with pytest.raises(AnswerNotTrusted, match="which days"):
        to_batch(replace(answer_of(sample("found")), request=request_), WINDOW)


def test_a_refusal_names_company_and_day(sample: Sample) -> None:
    answer = sample("found")
    answer["message"] = "Error"
    with pytest.raises(AnswerNotTrusted, match=r"trust account 7 2024-05-14: .*message"):
        to_batch(answer_of(answer), WINDOW)


def test_an_answer_with_a_counter_of_another_kind_is_set_aside(sample: Sample) -> None:
    answer = sample("found")
    answer["data"]["fails"] = "3"
    batch = to_batch(answer_of(answer), WINDOW)
    [reject] = batch.rejects
    assert reject.reason == "fails is no whole number from 0 (a text came)"
    assert (len(batch), batch.received, reject.day) == (0, 1, DAY)


@given(st.binary(max_size=200))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with pytest.raises(AnswerNotTrusted):
        to_batch(replace(answer_of(None), body=body), WINDOW)


def test_the_tables_first_columns_are_its_day_and_account() -> None:
    assert [column.name for column in TABLE.columns[:2]] == [TABLE.day_column, TABLE.account_column]
