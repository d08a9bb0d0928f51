"""The picture of what was loaded, in a terminal that is none."""

from __future__ import annotations

import re
from datetime import date
from io import StringIO

import pandas as pd
from rich.console import Console

from dagster_project.cli.console import WIDTH
from dagster_project.cli.picture import loaded_table, outcome_chart


def test_each_table_and_account_is_a_line_with_its_days_and_rows() -> None:
    days = [date(2024, 5, 1), date(2024, 5, 3)]
    states = pd.DataFrame(
        {
            "source": ["calltouch", "calltouch", "trust"],
            "account": ["101", "101", "7"],
            "day": [*days, days[0]],
            "rows": [1000, 234, 1],
        }
    )
    lines = printed(states)
    assert lines[0].strip() == "Loaded into schema warehouse"
    [sms] = [line for line in lines if "calltouch_sms" in line]
    assert sms.split() == [
        "calltouch_sms",
        "101",
        "2",
        "2024-05-01",
        "2024-05-03",
        "1,234",
    ]
    assert sum("calltouch_sms" in line or "trust_campaign" in line for line in lines) == 2


def test_the_table_fits_80_columns_with_millions_of_rows_and_a_long_label() -> None:
    days = [date(2024, 5, 1), date(2024, 5, 3)]
    labels = ["1234567", "7654321"]
    states = pd.DataFrame(
        {"source": ["trust"] * 2, "account": labels, "day": days, "rows": [1_234_567, 9_000_000]}
    )
    lines = printed(states)
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines if "trust_campaign" in line] == [
        ["trust_campaign_statistics", "1234567", "1", "2024-05-01", "2024-05-01", "1,234,567"],
        ["trust_campaign_statistics", "7654321", "1", "2024-05-03", "2024-05-03", "9,000,000"],
    ]


def printed(states: pd.DataFrame) -> list[str]:
    console = Console(width=WIDTH, record=True, file=StringIO())
    console.print(loaded_table(states))
    return console.export_text().splitlines()


def test_the_chart_has_a_day_without_sms_too_and_fits_the_width() -> None:
    sms = pd.DataFrame(
        {
            "sent_on": pd.to_datetime(["2024-05-01", "2024-05-03"]),
            "outcome": ["delivered", "failed"],
            "messages": [500, 40],
        }
    )
    chart = outcome_chart(sms, 80)
    assert "SMS a day by outcome" in chart
    assert all(f"2024-05-0{day}" in chart for day in (1, 2, 3)), "dates in ISO 8601"
    assert max(map(len, chart.splitlines())) <= 80
    assert "\x1b" not in chart, "no colours where nobody looks on"


def test_of_many_days_some_dates_are_shown_whole() -> None:
    days = pd.date_range("2024-03-01", periods=60)
    sms = pd.DataFrame({"sent_on": days, "outcome": "delivered", "messages": 5})
    chart = outcome_chart(sms, 80)
    shown = re.findall(r"2024-\d\d-\d\d", chart)
    assert 4 <= len(shown) <= 6
    assert shown[0] == "2024-03-01"
    assert max(map(len, chart.splitlines())) <= 80
