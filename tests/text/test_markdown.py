"""Tables in Markdown."""

from __future__ import annotations

from dagster_project.text.markdown import markdown_table


def test_numbers_stand_to_the_right_of_the_columns_on_the_left() -> None:
    assert markdown_table(["account", "rows"], [("101", 3)], left=1) == (
        "| account | rows |\n| --- | ---: |\n| 101 | 3 |"
    )
    assert markdown_table(["a", "b"], []) == "| a | b |\n| --- | --- |"


def test_what_would_end_a_cell_or_a_row_does_not() -> None:
    assert markdown_table(["why"], [("a | b\nc",)]) == "| why |\n| --- |\n| a \\| b c |"
