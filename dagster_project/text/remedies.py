"""The commands that mend what is wrong, and the days that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from dagster_project.text.day_runs import runs_of

SPANS_SHOWN: Final = 12


def backfill_lines(
    source: str, account: str | None, days: Sequence[date], *, verb: str = "backfill"
) -> list[str]:
    """The commands that load these days of an account again, one for each run of days."""
    who = f" --account {account}" if account else ""
    return [
        f"warehouse {verb} --source {source}{who} --from {span[0]} --to {span[-1]}"
        for span in runs_of(days)
    ]


def spans_text(days: Sequence[date]) -> str:
    """``2024-04-01, 2024-04-03..2024-04-05``."""
    found = runs_of(days)
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in found]
    if len(texts) > SPANS_SHOWN:
        left = sum(len(run) for run in found[SPANS_SHOWN:])
        texts[SPANS_SHOWN:] = [f"and {left} more days until {found[-1][-1]}"]
    return ", ".join(texts)
