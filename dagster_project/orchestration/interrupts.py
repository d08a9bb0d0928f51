"""Ctrl-C during a run that the command line executes: the run ends as canceled, not as failed.

Dagster takes an interrupt that nobody requested through it for a crash. A person at the terminal did
request it, so that is noted before Dagster looks; whoever launched the run learns of it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from dagster import DagsterExecutionInterruptedError

INTERRUPTS = (KeyboardInterrupt, DagsterExecutionInterruptedError)


@dataclass
class Terminal:
    """Whether the person at this process's terminal interrupted a run."""

    interrupted: bool = False


_terminals: list[Terminal] = []


@contextmanager
def from_terminal() -> Iterator[Terminal]:
    """An interrupt inside is a person's wish."""
    terminal = Terminal()
    _terminals.append(terminal)
    try:
        yield terminal
    finally:
        _terminals.remove(terminal)


@contextmanager
def never_started(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Let an interrupt inside leave no run behind that was made and never begun.

    Raises:
        KeyboardInterrupt: whichever way the interrupt came.
    """
    try:
        yield
    except INTERRUPTS as error:
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_canceled(run, "Interrupted at the terminal before it began.")
        raise KeyboardInterrupt from error


@contextmanager
def noted(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Let an interrupt inside end the run as canceled, where a person at the terminal sent it."""
    try:
        yield
    except INTERRUPTS:
        if _terminals:
            _terminals[-1].interrupted = True
            context.instance.report_run_canceling(context.run, "Interrupted at the terminal.")
        raise
