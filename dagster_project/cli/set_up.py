"""Setting up a warehouse from a command: how it is told, one line for all migrations, and Dagster's part of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.schema.migrate import APPLYING


class SetUp:
    """Takes the lines of ``ready_warehouse``; tells migrations by their number alone."""

    def __init__(self) -> None:
        self.applied = 0

    def report(self, line: str) -> None:
        if not line.startswith(APPLYING):
            click.echo(line, err=True)
            return
        if not self.applied:
            click.echo("making the schema (half a minute) …", err=True)
        self.applied += 1


@contextmanager
def setting_up() -> Iterator[SetUp]:
    """While a warehouse is made ready."""
    found = SetUp()
    yield found
    if found.applied:
        click.echo(f"schema made: {pluralize(found.applied, 'file')} applied", err=True)


def make_storage(warehouse: Warehouse, report: Callable[[str], None]) -> None:
    """Make Dagster's storage, or bring it up to date. Dagster takes seconds to import: here alone."""
    from dagster_project.orchestration.storage import make_storage as make

    make(warehouse, report)
