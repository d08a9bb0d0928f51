"""Figures in sentences."""

from __future__ import annotations

import pytest

from dagster_project.text.wording import pluralize


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 requests"), (1, "1 request"), (2, "2 requests"), (12_345, "12,345 requests")],
)
def test_one_thing_is_singular_and_all_other_counts_are_plural(count: int, text: str) -> None:
    assert pluralize(count, "request") == text
