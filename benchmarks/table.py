"""The table that ``make bench`` prints: a figure, what it is held against, and whether the goal is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.scene import Run


@dataclass(frozen=True)
class Line:
    """One figure. ``met`` is None where load-design sets no goal."""

    figure: str
    value: str
    against: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None
    spread: str = ""
    cpu: str = ""
    memory: str = ""


def seconds(runs: Sequence[Run]) -> float:
    return median(run.seconds for run in runs)


def cpu(runs: Sequence[Run]) -> float:
    return median(run.cpu + run.server_cpu for run in runs)


def spread(values: Sequence[float]) -> str:
    """From fastest to slowest, over the median."""
    return f"±{(max(values) - min(values)) / median(values) / 2:.0%}"


def of_runs(
    figure: str,
    ours: Sequence[Run],
    theirs: Sequence[Run],
    against: str,
    goal: float | None = None,
    *,
    scale: float = 1.0,
) -> Line:
    """How many times as fast our runs are as theirs; ``scale``: their rows over ours."""
    ratio = seconds(theirs) / seconds(ours) / scale
    cpu_ratio = cpu(theirs) / cpu(ours) / scale
    return Line(
        figure,
        f"{seconds(ours):.2f} s",
        f"{against}: {seconds(theirs) / scale:.2f} s",
        f"{ratio:.2f}x (CPU {cpu_ratio:.2f}x)",
        "" if goal is None else f">= {goal}x",
        None if goal is None else ratio >= goal,
        f"{spread([r.seconds for r in ours])} / {spread([r.seconds for r in theirs])}",
        f"{median(r.cpu for r in ours):.1f} + {median(r.server_cpu for r in ours):.1f} s",
        f"{max(r.peak_mb for r in ours):.0f} MB",
    )


def show(lines: Sequence[Line], title: str) -> None:
    table = Table(title=title)
    for name in ("figure", "value", "against", "ratio", "goal", "met", "spread", "CPU", "peak"):
        table.add_column(name)
    for line in lines:
        met = {None: "", True: "yes", False: "NO"}[line.met]
        table.add_row(
            *(line.figure, line.value, line.against, line.ratio, line.goal),
            *(met, line.spread, line.cpu, line.memory),
        )
    Console(width=190).print(table)
