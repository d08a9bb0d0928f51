"""``warehouse status``: one screen for every source and account."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import date

import click
from rich.console import Console
from rich.table import Table

from dagster_project.command.backfill import last_day
from dagster_project.days import runs_of
from dagster_project.feeds import FEEDS
from dagster_project.orchestration import services
from dagster_project.warehouse.overview import Standing, standings


def status(*, sources: Sequence[str], as_json: bool) -> int:
    """Print how every account stands; sources without credentials are named with what is missing."""
    settings = services.settings()
    found: list[Standing] = []
    left_out: dict[str, tuple[str, ...]] = {}
    with services.ready_warehouse().connect(what="status", autocommit=True) as connection:
        for feed in FEEDS:
            if sources and feed.source not in sources:
                continue
            accounts = [account.label for account in feed.accounts(settings)]
            if not accounts:
                left_out[feed.source] = settings.missing.get(feed.source.split("_")[0], ())
            until = last_day(feed, settings)
            found += standings(connection, feed.source, accounts, until)
    if as_json:
        click.echo(
            json.dumps({"accounts": [s.as_json() for s in found], "left_out": left_out}, indent=2)
        )
        return 0
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(_table(found))
    for source, missing in left_out.items():
        console.print(f"{source}: left out, no credentials ({', '.join(missing)} not set)")
    for standing in found:
        for line in _details(standing):
            console.print(line, markup=False)
    return 0


def _table(found: Sequence[Standing]) -> Table:
    table = Table()
    for name in ("source", "account", "last good day"):
        table.add_column(name)
    for name in ("days", "rows", "gaps", "unsettled", "rejects"):
        table.add_column(name, justify="right")
    table.add_column("last loaded (UTC)")
    for s in found:
        table.add_row(
            s.source,
            s.account,
            str(s.last_day or "none"),
            f"{s.days:,}",
            f"{s.rows:,}",
            str(len(s.gaps)),
            str(len(s.unsettled)),
            str(s.rejects),
            f"{s.last_loaded_at:%Y-%m-%d %H:%M}" if s.last_loaded_at else "never",
        )
    return table


def _details(standing: Standing) -> list[str]:
    """What is wrong, each with the line that mends it."""
    who = f"{standing.source} {standing.account}"
    lines = []
    if standing.gaps:
        spans = [_span(run) for run in runs_of(standing.gaps)]
        lines.append(
            f"{who}: no receipt for {', '.join(spans[:5])}{' …' if len(spans) > 5 else ''}:"
            f" warehouse backfill --source {standing.source} --account {standing.account}"
            f" --from {standing.gaps[0]} --to {standing.gaps[-1]}"
        )
    lines += [f"{who}: {day} is held: {reason}" for day, reason in standing.held]
    failed, loaded = standing.last_failed_at, standing.last_loaded_at
    if failed is not None and standing.last_failure and (loaded is None or failed > loaded):
        lines.append(f"{who}: last failure {failed:%Y-%m-%d %H:%M} UTC: {standing.last_failure}")
    return lines


def _span(run: Sequence[date]) -> str:
    return str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}"
