"""The picture of what was loaded, in a terminal that is none."""

from __future__ import annotations

from datetime import date
from io import StringIO

import pandas as pd
from rich.console import Console

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
    console = Console(width=120, record=True, file=StringIO())
    console.print(loaded_table(states))
    lines = console.export_text().splitlines()
    [sms] = [line for line in lines if "warehouse.calltouch_sms" in line]
    assert [word for word in sms.replace("│", " ").split() if word] == [
        "warehouse.calltouch_sms",
        "101",
        "2",
        "2024-05-01",
        "2024-05-03",
        "1,234",
    ]
    assert sum("warehouse." in line for line in lines) == 2


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
    assert "02.05" in chart
    assert max(map(len, chart.splitlines())) <= 80
    assert "\x1b" not in chart, "no colours where nobody looks on"
