"""Keep the marts of ``bi`` in step with the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed
from dagster_project.model.receipt import Receipt
from dagster_project.model.window import Account
from dagster_project.warehouse import marts
from dagster_project.warehouse.connection import Connection

if TYPE_CHECKING:
    from dagster_project.pipeline.feed_run import AfterRows, FeedRun


def marts_keeper(feed: Feed, settings: Settings) -> AfterRows:
    """The callback that updates the marts of ``bi`` with the feed's rows, in the rows' transaction."""
    section = settings.section(feed.settings)
    currency = feed.currency(section) if section else None

    def after_rows(connection: Connection, account: Account, receipts: list[Receipt]) -> None:
        marts.after_load(
            connection, feed.vendor, account, receipts, sms_mask=feed.sms_mask, currency=currency
        )

    return after_rows


def sms_mask() -> marts.Mask:
    """The function that masks an SMS's text for the marts, from the feed whose rows they count."""
    return next(feed.sms_mask for feed in FEEDS if feed.sms_mask)


def refresh_stale_marts(feed_run: FeedRun, *, passed_only: bool = False) -> int:
    """Recount what a load could only mark as stale (months of reach and of bad numbers)."""
    sites = [int(label) for label in feed_run.finished] if feed_run.feed.sms_mask else []
    with feed_run.connections.reading() as connection:
        return marts.refresh_stale(connection, sms_mask(), passed_only=passed_only, finished=sites)
