"""Answers that tell the totals of one day: their rows, their rejects, and keys that nobody documented."""

from __future__ import annotations

from datetime import date

from dagster_project.model.daily_totals import (
    MOST_KEYS_NAMED,
    ONLY_ROW_OF_ITS_DAY,
    count_unknown_keys,
    encode_totals,
    reject_answer,
)
from dagster_project.model.table import Column, Table

DAY = date(2024, 4, 1)
TABLE = Table(
    name="totals",
    day_column="on",
    account_column="account",
    columns=(Column("on", "date"), Column("account", "text"), Column("total", "bigint")),
    key_columns=("on", "account"),
    key_sql="'00000000-0000-0000-0000-000000000000'::uuid",
)


def test_every_day_has_one_row_under_the_same_key() -> None:
    batch = encode_totals(TABLE, [{"on": DAY, "account": "main", "total": 7}])
    assert (len(batch), batch.keys, batch.received) == (1, ONLY_ROW_OF_ITS_DAY, 1)


def test_an_answer_that_cannot_be_read_is_one_reject_of_its_day() -> None:
    batch = reject_answer(TABLE, b'{"SMS": "many"}', DAY, "SMS is no number")
    assert (len(batch), batch.received) == (0, 1)
    [reject] = batch.rejects
    assert (reject.reason, reject.original, reject.day) == (
        "SMS is no number",
        '{"SMS": "many"}',
        DAY,
    )


def test_unknown_keys_are_counted_by_name_without_numbers_and_many_together() -> None:
    assert count_unknown_keys(["PUSH", "+79161234567"]) == {
        "unknown_key:PUSH": 1,
        "unknown_key:\\u2026": 1,
    }
    many = [f"KEY {chr(65 + n)}" for n in range(MOST_KEYS_NAMED + 5)]
    counts = count_unknown_keys(many)
    assert (len(counts), counts["unknown_key:(others)"]) == (MOST_KEYS_NAMED + 1, 5)
