"""Whose personal data is where, made from the feeds, with or without credentials."""

from __future__ import annotations

from dagster_project.config.settings import load_settings
from dagster_project.feeds import FEEDS
from dagster_project.pipeline import personal_data

KEY = "a key of the tests, long enough"


def test_every_feed_that_holds_people_can_be_erased_reduced_and_rekeyed() -> None:
    settings = load_settings({}, dotenv=None)
    scopes = {scope.source: scope for scope in personal_data.scopes(settings, KEY)}
    assert set(scopes) == {feed.source for feed in FEEDS if feed.personal is not None}
    reducible = {part.source for part in personal_data.reducible(settings)}
    assert reducible == {feed.source for feed in FEEDS if feed.reduction is not None}
    assert set(scopes) <= reducible


def test_an_account_that_is_no_longer_configured_is_known_in_its_sources_zone() -> None:
    settings = load_settings({}, dotenv=None)
    [scope] = [s for s in personal_data.scopes(settings, KEY) if s.source == "calltouch"]
    account = scope.account_of("101")
    assert (account.source, account.label) == ("calltouch", "101")
    assert account.time_zone.key == "Europe/Moscow"
