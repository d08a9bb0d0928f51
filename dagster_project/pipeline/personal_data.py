"""Whose personal data is where: what erasure, reduction and rekeying work on, made from the feeds."""

from __future__ import annotations

from typing import Any

from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.window import Account
from dagster_project.privacy.personal_data import PersonalDataScope, Reducible
from dagster_project.text.pseudonyms import PseudonymKeys


def scopes(settings: Settings, key: str) -> list[PersonalDataScope]:
    """Of every feed that holds people, with or without credentials; rows made with ``key``."""
    return [
        PersonalDataScope(
            **_reducible(feed, settings),
            personal=feed.personal,
            keys=PseudonymKeys.from_secret(key),
        )
        for feed in FEEDS
        if feed.personal is not None
    ]


def reducible(settings: Settings) -> list[Reducible]:
    """Of every feed whose old days hold personal data, with or without credentials."""
    return [Reducible(**_reducible(feed, settings)) for feed in FEEDS if feed.reduction is not None]


def _reducible(feed: Feed, settings: Settings) -> dict[str, Any]:
    configured = {account.label: account for account in feed.accounts(settings)}

    def account_of(label: str) -> Account:
        known = configured.get(label)
        return known or Account(feed.source, label, feed.time_zone(settings))

    return {
        "source": feed.source,
        "table": feed.table,
        "account_of": account_of,
        "reduction": feed.reduction,
        "lock_whole": feed.query_scope is QueryScope.HISTORY,
    }
