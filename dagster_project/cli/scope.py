"""Which feeds and days a command is about; what cannot be asked for is refused before anything is done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.errors import SettingsError
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed
from dagster_project.model.window import ONE_DAY
from dagster_project.pipeline.runner import refuse_unknown_accounts


def chosen_feeds(
    settings: Settings, sources: Sequence[str], accounts: Sequence[str] = ()
) -> list[Feed]:
    """The feeds named, or all that have credentials; of them those that have one of the accounts."""
    by_source = {feed.source: feed for feed in FEEDS}
    if sources:
        feeds = [by_source[source] for source in dict.fromkeys(sources)]
        for feed in feeds:
            if not feed.accounts(settings):
                feed.section(settings)  # says what is missing
    else:
        feeds = [feed for feed in FEEDS if feed.accounts(settings)]
        if not feeds:
            raise SettingsError(
                "no source has credentials.",
                hint=" ".join(
                    [
                        "set those of one (see docs/settings.md), or try `make demo`.",
                        *settings.unknown,
                    ]
                ),
            )
    if not accounts:
        return feeds
    known = {account.label for feed in feeds for account in feed.accounts(settings)}
    refuse_unknown_accounts(accounts, sorted(known))
    return [f for f in feeds if any(a.label in accounts for a in f.accounts(settings))]


def check_days(feed: Feed, settings: Settings, first: date, last: date) -> None:
    """Refuse days that have no partition, before anything is asked."""
    if last < first:
        raise SettingsError(f"--to {last} is before --from {first}.", hint="swap them.")
    newest = last_day(feed, settings)
    if last > newest:
        raise SettingsError(
            f"--to {last} has not ended in {feed.time_zone(settings)}; the last whole day is {newest}.",
            source=feed.source,
            hint=f"use --to {newest}.",
        )
    if first < settings.start_date:
        raise SettingsError(
            f"--from {first} is before the first partition, {settings.start_date}.",
            source=feed.source,
            hint="set WAREHOUSE_START_DATE to the first day you want.",
        )


def last_day(feed: Feed, settings: Settings) -> date:
    """The newest day that can be asked for: yesterday in the source's zone, or today."""
    today = clock.today(feed.time_zone(settings))
    return today if feed.loads_today else today - ONE_DAY
