"""Tables of the terminal: laid out as Rich does, at less cost."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence

import pytest
from rich.console import Console

from dagster_project.cli.console import drawn_table, print_table

HEADERS = ["source", "account", "last good\nday", "rows"]
ROWS = [
    ["calltouch", "101", "2024-05-31", "1,234,567"],
    ["trust", "Магазин", "none", "0"],
    ["tellody_activity", "広告", "2024-05-31", ""],
]


def shown(show: Callable[[Console], None], width: int = 80) -> str:
    file = io.StringIO()
    show(Console(width=width, file=file, highlight=False))
    return file.getvalue()


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], []])
@pytest.mark.parametrize("width", [80, 54, 53, 45])
def test_a_table_is_laid_out_as_rich_does_and_folded_where_it_is_too_wide(
    rows: Sequence[Sequence[str]], width: int
) -> None:
    drawn = shown(lambda console: console.print(drawn_table(HEADERS, rows, left=3)), width)
    assert shown(lambda console: print_table(console, HEADERS, rows, left=3), width) == drawn
    if rows:
        assert "1,234,567" in drawn


def test_a_table_of_a_thousand_accounts_takes_a_fraction_of_what_rich_takes() -> None:
    rows = [["calltouch", str(number), "2024-05-31", "20,000"] for number in range(1000)]

    def seconds(show: Callable[[Console], None]) -> float:
        begun = time.process_time()
        shown(show)
        return time.process_time() - begun

    ours = min(seconds(lambda c: print_table(c, HEADERS, rows, left=3)) for _ in range(3))
    assert ours < seconds(lambda c: c.print(drawn_table(HEADERS, rows, left=3))) / 3
