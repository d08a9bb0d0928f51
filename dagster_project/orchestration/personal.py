"""Whose personal data is where: what erasure, reduction and rekeying work on, made from the feeds."""

from __future__ import annotations

from dagster_project.feed import Feed
from dagster_project.feeds import FEEDS
from dagster_project.model import Account
from dagster_project.settings import Settings
from dagster_project.warehouse.erase import Belongings


def belongings(settings: Settings, key: str) -> list[Belongings]:
    """Of every feed that holds personal data, with or without credentials; rows made with ``key``."""
    return [_of(feed, settings, key) for feed in FEEDS if feed.personal is not None]


def _of(feed: Feed, settings: Settings, key: str) -> Belongings:
    assert feed.personal is not None
    configured = {account.label: account for account in feed.accounts(settings)}

    def account_of(label: str) -> Account:
        known = configured.get(label)
        return known or Account(feed.source, label, feed.time_zone(settings))

    return Belongings(
        source=feed.source,
        table=feed.table,
        account_of=account_of,
        personal=feed.personal,
        context=feed.row_context(settings, key),
    )
