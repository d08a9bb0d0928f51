"""Why windows failed: each cause once, with its accounts, its days and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from dagster_project.errors import WarehouseError
from dagster_project.text.remedies import join_commands, spans_text
from dagster_project.text.wording import shorten

SHOWN = 20
"""Causes that a message names; how many more there are, it says."""


@dataclass
class Cause:
    """One kind of failure with one text, whichever windows it befell."""

    kind: str
    what: str
    accounts: set[str] = field(default_factory=set)
    days: set[date] = field(default_factory=set)
    ways_out: dict[str, None] = field(default_factory=dict)

    def __str__(self) -> str:
        """``TryLater: the host does not answer. (40202, 40203; 2024-04-01..2024-04-07) Way out: …``"""
        where = "; ".join(
            part
            for part in (", ".join(sorted(self.accounts)), spans_text(sorted(self.days)))
            if part
        )
        text = f"{self.kind}: {self.what}{f' ({where})' if where else ''}"
        ways = join_commands(self.ways_out)
        return f"{text} Way out: {'; '.join(ways)}" if ways else text


def group_causes(problems: Iterable[WarehouseError]) -> list[Cause]:
    """The causes in the order in which they came."""
    found: dict[tuple[str, str], Cause] = {}
    for problem in problems:
        kind = type(problem).__name__
        cause = found.setdefault((kind, problem.what), Cause(kind, problem.what))
        if problem.account:
            cause.accounts.add(problem.account)
        cause.days |= problem.days_of_window()
        if problem.hint:
            cause.ways_out[problem.hint] = None
    return list(found.values())


def cause_lines(problems: Iterable[WarehouseError]) -> list[str]:
    """A line a cause; of many the first ones, and how many are left."""
    return shorten([str(cause) for cause in group_causes(problems)], SHOWN, "causes")
