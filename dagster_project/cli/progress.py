"""Progress of long work: a bar in a terminal, plain lines in a log."""

from __future__ import annotations

import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

import click

from dagster_project.pipeline.outcomes import WindowDone
from dagster_project.text.wording import pluralize

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_LINE_EVERY_SECONDS = 5.0


class Progress:
    """Counts days of one source as they commit, with rows and requests so far.

    A day counts once all of its accounts have it; they go side by side.
    """

    def __init__(self, title: str, days: int, accounts: int = 1) -> None:
        self.title = title
        self.days = days
        self.accounts = accounts
        self.committed = 0
        self.rows = 0
        self.requests = 0
        self._started = monotonic()
        self._last_line = monotonic()
        self._terminal = sys.stderr.isatty()
        self._bar: RichProgress | None = None

    def __enter__(self) -> Progress:
        if self._terminal:
            self._bar = _new_bar()
            self._bar.add_task(self.title, total=self.days, detail="")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def done(self) -> int:
        return min(self.committed // self.accounts, self.days)

    @property
    def _so_far(self) -> str:
        return f"{pluralize(self.rows, 'row')}, {pluralize(self.requests, 'request')}"

    def advance(self, chunk: WindowDone) -> None:
        """Take in a chunk that has ended."""
        self.committed += len({(receipt.account, receipt.day) for receipt in chunk.receipts})
        self.rows += sum(receipt.rows_received for receipt in chunk.receipts)
        self.requests += chunk.stats.requests
        if self._bar is not None:
            (task,) = self._bar.task_ids
            self._bar.update(task, completed=self.done, detail=self._so_far)
            for problem in chunk.problems:
                line = f"{type(problem).__name__}: {problem}"
                self._bar.console.print(line, markup=False, highlight=False)
            return
        for problem in chunk.problems:
            click.echo(f"{self.title}: {type(problem).__name__}: {problem}", err=True)
        now = monotonic()
        if now - self._last_line >= _LINE_EVERY_SECONDS or self.done >= self.days:
            self._last_line = now
            click.echo(
                f"{self.title}: {self.done} of {pluralize(self.days, 'day')}, {self._so_far},"
                f" {now - self._started:.0f} s",
                err=True,
            )


def _new_bar() -> RichProgress:
    """Rich's bar, imported only where a person looks on."""
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description:<18}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("days  {task.fields[detail]}"),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
    )
