"""``warehouse held``: days whose newer answer is held back, and what taking it would change."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.table import Table

from dagster_project.cli.console import echo_json, new_console
from dagster_project.pipeline import services
from dagster_project.text.remedies import accept_options
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.ledger.held_days import HeldDay, held_days


def held(*, sources: Sequence[str], accounts: Sequence[str], as_json: bool) -> int:
    """Print each held day with its figures, standing beside held; reads the ledger, asks no vendor."""
    warehouse = services.current_warehouse()
    with warehouse.connect(what="held", autocommit=True) as connection:
        found = [
            day
            for day in held_days(connection)
            if (not sources or day.source in sources) and (not accounts or day.account in accounts)
        ]
    if as_json:
        echo_json([_as_json(day) for day in found])
        return 0
    console = new_console()
    for day in found:
        title = f"{day.source} {day.account} {day.day}: a newer answer is held: it {day.why}."
        console.print(title, markup=False, soft_wrap=True)
        if day.figures:
            console.print(_table(day))
        console.print(f"    {day.hint}", markup=False, soft_wrap=True)
    click.echo(f"{pluralize(len(found), 'day')} held.")
    return 0


def _table(day: HeldDay) -> Table:
    table = Table("", "stands")
    table.add_column("held")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, (standing, answer) in day.figures.items():
        table.add_row(name, str(standing), str(answer))
    return table


def _as_json(day: HeldDay) -> dict[str, object]:
    return {
        "source": day.source,
        "account": day.account,
        "day": day.day.isoformat(),
        "why": day.why,
        "accept_with": accept_options(day.kinds),
        "extraction": day.extraction_id,
        "held_at": day.held_at.isoformat(timespec="seconds") if day.held_at else None,
        "figures": {
            name: {"stands": standing, "held": answer}
            for name, (standing, answer) in day.figures.items()
        },
        "way_out": day.hint,
    }
