"""``warehouse plan``: what a backfill would cost, told from receipts; ``--probe`` asks the vendor a little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

import click

from dagster_project import clock
from dagster_project.cli.console import FOLDED, echo_json, new_console, print_table
from dagster_project.cli.scope import check_days, chosen_feeds
from dagster_project.config.settings import Settings
from dagster_project.errors import WarehouseError
from dagster_project.model.feed import Feed
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import Account, Window, each_day
from dagster_project.pipeline import forecast, services
from dagster_project.pipeline.due_days import expect_rows
from dagster_project.pipeline.forecast import Forecast, windows_to_probe
from dagster_project.text import remedies, wording
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.vendor_store import WarehouseStore

BASES = {
    "receipt": "from receipts",
    "counted": "counted by the vendor",
    "weekday": "by their weekday",
    "mean": "by the mean of all days",
    "unknown": "unknown",
}


def plan(
    *,
    sources: Sequence[str],
    first: date,
    last: date,
    accounts: Sequence[str],
    probe: bool,
    as_json: bool,
) -> int:
    """Print what asking for these days would cost; asks no vendor unless to probe."""
    settings = services.settings()
    warehouse = services.current_warehouse()
    found: list[Forecast] = []
    for feed in chosen_feeds(settings, sources, accounts):
        check_days(feed, settings, first, last)
        chosen = feed.chosen_accounts(settings, accounts)
        found += forecasts(feed, settings, warehouse, chosen, first, last, probe=probe)
    if as_json:
        echo_json([_as_json(each) for each in found])
        return 0
    console = new_console()
    print_table(console, _HEADERS, [_cells(each) for each in found], left=2)
    if lines := [line for each in found for line in _in_words(each)]:
        console.print("\n".join(lines), markup=False)
    return 0


def forecasts(
    feed: Feed,
    settings: Settings,
    warehouse: Warehouse,
    accounts: Sequence[Account],
    first: date,
    last: date,
    *,
    probe: bool = False,
) -> list[Forecast]:
    """What these days would cost each account."""
    days = list(each_day(first, last))
    with warehouse.connect(what="plan", autocommit=True) as connection:
        counted = {}
        if probe and feed.count is not None:
            counted = {
                account: _probed(connection, feed, settings, warehouse, account, days)
                for account in accounts
            }
        return forecast.forecasts(connection, warehouse, feed, settings, accounts, days, counted)


def _probed(
    connection: Connection,
    feed: Feed,
    settings: Settings,
    warehouse: Warehouse,
    account: Account,
    days: Sequence[date],
) -> dict[Window, int]:
    """What the vendor counts in days of which there is no receipt; a call a window."""
    assert feed.count is not None
    counted: dict[Window, int] = {}
    windows = windows_to_probe(feed, account, expect_rows(connection, account, days))
    client = feed.client(settings, WarehouseStore(warehouse))
    try:
        for window in windows:
            counted[window] = feed.count(client, window, ExtractStats())
    except WarehouseError as error:
        click.echo(f"no more probes of it: {error}", err=True)
    finally:
        client.close()
    if counted:
        calls = wording.pluralize(len(counted), "call")
        points = wording.pluralize(len(counted) * feed.points_a_call, "point")
        click.echo(f"{feed.source} {account.label}: probed with {calls}, {points}", err=True)
    return counted


_HEADERS = ("source", FOLDED, "days", "rows", "requests", "points", "nights", "minutes")


def _cells(each: Forecast) -> list[str]:
    known = each.high is not None
    return [
        each.source,
        each.account,
        f"{each.days:,}",
        "" if not each.by_rows else f"{each.rows:,}" if known else "?",
        f"{each.requests:,}",
        f"{each.points:,}" if each.points else "",
        "never" if each.nights is None else f"{each.nights:,}" if known else "?",
        _minutes(each),
    ]


def _range(each: Forecast) -> str:
    if each.high is None:
        return f"from {each.low:,}"
    return "" if each.low == each.high else f"{each.low:,} to {each.high:,}"


def _minutes(each: Forecast) -> str:
    if each.high is None:
        return "?"
    minutes = each.seconds / 60
    return f"{minutes:,.0f}" if minutes >= 10 else f"{minutes:.1f}"


def _how_sure(each: Forecast) -> str:
    if not each.by_rows:
        if each.requests == 1:
            return "certain: one call"
        more = "" if each.requests == each.days else ", and one a run"
        return f"certain: a call a day{more}"
    return ", ".join(
        f"{each.bases[basis]:,} {words}"  # type: ignore[index]
        for basis, words in BASES.items()
        if each.bases.get(basis)  # type: ignore[call-overload]
    )


def _in_words(each: Forecast) -> list[str]:
    who = f"{each.source} {each.account}:"
    requests = f"{_range(each)} requests; " if _range(each) else ""
    lines = [f"{who} {requests}{_how_sure(each)}."]
    if each.high is None:
        lines.append(
            f"{who} nothing is known of its days yet: --probe asks how many rows they hold."
        )
    if not each.timed:
        lines.append(f"{who} no request was timed yet: the minutes are a guess.")
    if each.left_today is not None:
        room = "fits into" if each.fits_today else "is more than"
        lines.append(
            f"{who} {room} the {each.left_today} calls that are left of today's"
            f" {each.daily_calls}; a night itself needs {each.nightly_calls}."
        )
        if not each.fits_today:
            lines.append(f"{who} {remedies.SPREAD} leaves it to the nightly runs.")
    return lines


def _as_json(each: Forecast) -> dict[str, object]:
    return {
        **asdict(each),
        "nights": each.nights,
        "fits_today": each.fits_today,
        "as_of": clock.now().isoformat(),
    }
