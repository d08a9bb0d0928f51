"""``warehouse rejects``: records that could not be loaded, by reason, day and account."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date

import click
from rich.table import Table

from dagster_project.cli.console import echo_json, new_console
from dagster_project.pipeline import services
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.ledger.rejects import RejectedDay, rejected_days, rejected_originals

_ROWS_SHOWN = 50


def rejects(
    *,
    sources: Sequence[str],
    accounts: Sequence[str],
    first: date | None,
    last: date | None,
    originals: bool,
    as_json: bool,
) -> int:
    """Print what is rejected today; what a later answer no longer had is left out.

    Without ``originals`` nothing of a record is shown but its reason. With them each is a line of
    JSON, as the vendor wrote it: personal data.
    """
    warehouse = services.current_warehouse()
    scope = (sources, accounts, first, last)
    with warehouse.connect(what="rejects", autocommit=True) as connection:
        if originals:
            for one in rejected_originals(connection, *scope):
                click.echo(json.dumps(one, ensure_ascii=False))
            return 0
        found = rejected_days(connection, *scope)
    if as_json:
        echo_json([_as_json(group) for group in found])
        return 0
    if found:
        new_console().print(_table(found))
    if len(found) > _ROWS_SHOWN:
        click.echo(f"and {len(found) - _ROWS_SHOWN} more lines (--json has them all)")
    click.echo(f"{pluralize(sum(group.records for group in found), 'record')} rejected.")
    if found:
        click.echo("They are read again with each load of their days. --originals prints them.")
    return 0


def _table(found: Sequence[RejectedDay]) -> Table:
    table = Table("source", "account", "day", "records", "reason", "last seen (UTC)")
    table.columns[3].justify = "right"
    for column in (table.columns[2], table.columns[5]):
        column.no_wrap = True
    for group in found[:_ROWS_SHOWN]:
        day = str(group.day or "no day")
        seen = f"{group.last_seen_at:%Y-%m-%d %H:%M}"
        table.add_row(group.source, group.account, day, f"{group.records:,}", group.reason, seen)
    return table


def _as_json(group: RejectedDay) -> dict[str, object]:
    return {
        "source": group.source,
        "account": group.account,
        "day": group.day.isoformat() if group.day else None,
        "reason": group.reason,
        "records": group.records,
        "last_seen_at": group.last_seen_at.isoformat(timespec="seconds"),
        "extraction": group.extraction_id,
    }
