"""``warehouse labels``: what accounts and templates are called in ``bi``, and what SMS cost, from CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from dagster_project.cli.set_up import make_storage
from dagster_project.errors import SettingsError
from dagster_project.pipeline import services
from dagster_project.pipeline.marts_upkeep import sms_mask
from dagster_project.text.wording import pluralize
from dagster_project.warehouse import labels as labelling
from dagster_project.warehouse import marts
from dagster_project.warehouse.ledger.manual_acts import note_act
from dagster_project.warehouse.pg_errors import safe_errors


def labels(*, files: Sequence[Path]) -> int:
    """Take the files and say what they changed."""
    changed, months = take_texts([(file.name, _text(file)) for file in files])
    for file, changes in zip(files, changed, strict=True):
        click.echo(f"{file.name}: {pluralize(len(changes), 'change')}")
        for change in changes:
            click.echo(f"  {change}")
    if months:
        click.echo(f"{months} months counted afresh")
    return 0


def take_texts(files: Sequence[tuple[str, str]]) -> tuple[list[list[str]], int]:
    """Take the files, each a name and its text, all or none, then count afresh the days whose categories changed.

    Returns:
        What changed, by file, and how many months were counted afresh.
    """
    warehouse = services.ready_warehouse(make_storage)
    with (
        safe_errors("labelling"),
        warehouse.connect(autocommit=True, what="labels") as connection,
    ):
        with connection.transaction():
            changed = [
                labelling.load_labels(connection, text.splitlines(keepends=True), name)
                for name, text in files
            ]
            note_act(connection, "labels", f"{pluralize(sum(map(len, changed)), 'label')} changed")
        return changed, marts.refresh_stale(connection, sms_mask())


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{file.name} is not UTF-8.", hint="save it as CSV UTF-8.") from None
