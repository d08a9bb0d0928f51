"""``warehouse backfill --spread`` and ``--withdraw``: days that the nightly runs are to load, within the budget."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import click

from dagster_project.cli.plan import forecasts
from dagster_project.cli.scope import check_days, chosen_feeds
from dagster_project.cli.set_up import make_storage
from dagster_project.model.feed import Feed
from dagster_project.pipeline import services
from dagster_project.pipeline.forecast import Forecast
from dagster_project.text import remedies, wording
from dagster_project.warehouse.ledger import owed_days


def spread(*, sources: Sequence[str], first: date, last: date, accounts: Sequence[str]) -> int:
    """Note that the nightly runs are to load these days; say what that takes."""
    settings = services.settings()
    warehouse = services.ready_warehouse(make_storage)
    for feed in chosen_feeds(settings, sources, accounts):
        check_days(feed, settings, first, last)
        chosen = feed.chosen_accounts(settings, accounts)
        with warehouse.connect(what="wanted", autocommit=True) as connection:
            for account in chosen:
                owed_days.request_backfill(connection, account, first, last)
        for each in forecasts(feed, settings, warehouse, chosen, first, last):
            click.echo(f"noted: {_wish(feed, each, first, last)}")
    click.echo(f"the nightly runs do it, newest days first; {remedies.WATCH_NIGHTS}")
    return 0


def withdraw(*, sources: Sequence[str], first: date, last: date, accounts: Sequence[str]) -> int:
    """Take back what was noted for these days."""
    settings = services.settings()
    taken_back = 0
    with services.ready_warehouse(make_storage).connect(
        what="wanted", autocommit=True
    ) as connection:
        for feed in chosen_feeds(settings, sources, accounts):
            for account in feed.chosen_accounts(settings, accounts):
                taken_back += owed_days.withdraw(connection, account, first, last)
    click.echo(
        f"taken back: {taken_back}" if taken_back else "nothing was asked for within these days"
    )
    return 0


def _wish(feed: Feed, each: Forecast, first: date, last: date) -> str:
    nights = each.nights
    if nights is None:
        when = (
            f"never: the nightly runs need all of the {each.daily_calls} calls a day themselves;"
            f" raise {feed.quota.setting if feed.quota else 'the budget'}"
        )
    else:
        when = "next night" if nights == 1 else f"about {nights} nights"
    surely = "" if each.high is not None else "at least "
    return (
        f"{each.source} {each.account} {first}..{last},"
        f" {surely}{wording.pluralize(each.requests, 'request')}, {when}"
    )
