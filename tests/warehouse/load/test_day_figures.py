"""A day's figures, standing beside held."""

from __future__ import annotations

from dagster_project.warehouse.load import day_figures


def test_figures_stand_beside_each_other_and_absent_ones_are_none() -> None:
    standing = {"rows": 500, "rows with smsStatus": 500, "status delivered": 480}
    held = {"rows": 40, "rows with smsStatus": 40, "status read": 40}
    assert day_figures.compare_figures(standing, held) == {
        "rows": [500, 40],
        "status delivered": [480, 0],
        "status read": [0, 40],
    }, "that every row has the field says nothing"


def test_a_field_that_rows_lost_is_told() -> None:
    standing = {"rows": 500, "rows with smsStatus": 500}
    assert day_figures.compare_figures(standing, {"rows": 500, "rows with smsStatus": 0}) == {
        "rows": [500, 500],
        "rows with smsStatus": [500, 0],
    }


def test_only_what_differs_is_told() -> None:
    figures = {"rows": [500, 500], "status delivered": [480, 0]}
    assert day_figures.describe_changes(figures) == "status delivered 480 → 0"
