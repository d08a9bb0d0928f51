"""How a command tells of setting up a warehouse: one line for all migrations, not one each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from dagster_project.text.wording import pluralize
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
