"""``warehouse remove-account``: an account that was loaded by mistake, taken out for good."""

from __future__ import annotations

from collections import Counter

import click

from dagster_project.cli.set_up import make_storage
from dagster_project.config.settings import Settings
from dagster_project.errors import SettingsError
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.window import Account
from dagster_project.pipeline import services
from dagster_project.pipeline.marts_upkeep import sms_mask
from dagster_project.privacy import account_removal
from dagster_project.privacy.account_removal import AccountData
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.pg_errors import safe_errors


def remove_account(*, source: str, account: str, dry_run: bool) -> int:
    """Remove it, or count what would be; says how many rows of which table."""
    settings = services.settings()
    feed = next(feed for feed in FEEDS if feed.source == source)
    _refuse_configured(feed, settings, account)
    data = AccountData(
        Account(source, account, feed.time_zone(settings)),
        feed.vendor,
        feed.table,
        lock_whole=feed.query_scope is QueryScope.HISTORY,
    )
    _refuse_no_label(data)
    if dry_run:
        warehouse = services.current_warehouse()
        with safe_errors("counting"):
            counts = account_removal.count_account(warehouse, data)
        _show(counts)
        click.echo(f"{source} {account}: {_total(counts)} would be removed. Nothing was changed.")
        return 0
    warehouse = services.ready_warehouse(make_storage)
    with safe_errors("removing an account"):
        removed = account_removal.remove_account(
            warehouse, data, sms_mask(), lambda line: click.echo(line, err=True)
        )
    _show(removed)
    click.echo(f"{source} {account}: {_total(removed)} removed.")
    return 0


def _refuse_configured(feed: Feed, settings: Settings, account: str) -> None:
    if account not in {one.label for one in feed.accounts(settings)}:
        return
    setting = feed.settings.accounts_setting
    raise SettingsError(
        f"it is configured ({setting or f'the settings of {feed.settings.title}'}), and would be loaded again.",
        source=feed.source,
        account=account,
        hint=f"take it out of {setting or 'them'} on every host, and restart what runs there.",
    )


def _refuse_no_label(data: AccountData) -> None:
    """Of sources whose accounts are numbers, another text cannot be one."""
    try:
        _ = data.of_account
    except ValueError:
        source, label = data.names
        raise SettingsError(
            "accounts of this source are whole numbers.", source=source, account=label
        ) from None


def _show(counts: Counter[str]) -> None:
    width = max(map(len, counts), default=0)
    for table, count in sorted(counts.items()):
        click.echo(f"  {table:<{width}}  {count:>12,}")


def _total(counts: Counter[str]) -> str:
    return f"{pluralize(counts.total(), 'row')} of {pluralize(len(counts), 'table')}"
