"""Figures in sentences."""

from __future__ import annotations

from datetime import date

import pytest

from dagster_project.text.wording import list_reasons, pluralize, shorten, span_text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 requests"), (1, "1 request"), (2, "2 requests"), (12_345, "12,345 requests")],
)
def test_one_thing_is_singular_and_all_other_counts_are_plural(count: int, text: str) -> None:
    assert pluralize(count, "request") == text


def test_reasons_are_told_the_most_frequent_first_and_of_many_the_first_ones() -> None:
    assert list_reasons({"no phone": 2, "no date": 1_000}) == "1,000 no date, 2 no phone"
    told = list_reasons({f"reason {n}": 1 for n in range(8)})
    assert told.endswith("1 reason 4, 3 for other reasons")


def test_of_many_texts_the_first_are_told_and_how_many_there_are_more() -> None:
    assert shorten(["a", "b"], 2) == ["a", "b"]
    assert shorten(["a", "b", "c", "d"], 2) == ["a", "b", "and 2 more"]
    assert shorten(["a", "b", "c"], 1, "causes") == ["a", "and 2 causes more"]


def test_days_are_written_as_one_or_as_a_span() -> None:
    assert span_text([date(2024, 4, 1)]) == "2024-04-01"
    assert span_text([date(2024, 4, 3), date(2024, 4, 1)]) == "2024-04-01..2024-04-03"
