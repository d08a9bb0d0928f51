"""Windows through the pipeline: played vendors, a warehouse, and the results taken together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import date, timedelta
from typing import Any

from dagster_project.config.settings import Settings, load_settings
from dagster_project.model.feed import Feed
from dagster_project.model.window import Account, Window
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.outcomes import WindowResult
from dagster_project.pipeline.replay import replay_account
from dagster_project.pipeline.split import load_in_parts
from dagster_project.sandbox.server import Sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.support.operating import KEY, feed_of

QUIET, OTHER = "701", "702"
CALLTOUCH = feed_of("calltouch")
LAST = date(2024, 5, 31)


class Loading:
    """Runs of one feed over the played sites into a warehouse."""

    def __init__(self, warehouse: Warehouse, vendors: Sandbox) -> None:
        self.warehouse = warehouse
        self.vendors = vendors
        vendors.begin_anew()
        vendors.world.calltouch.redraw(undo_changes=True)

    def settings(self, sites: str = QUIET, **given: str) -> Settings:
        env = {**self.vendors.settings_env(), "CALLTOUCH_SITE_IDS": sites, **given}
        return load_settings(env, dotenv=None)

    def run(
        self, feed: Feed = CALLTOUCH, settings: Settings | None = None, **options: Any
    ) -> FeedRun:
        return FeedRun(feed, settings or self.settings(), self.warehouse, KEY, **options)

    def window(self, first: date, last: date | None = None) -> Window:
        """Of the quiet site."""
        [account] = CALLTOUCH.accounts(self.settings())
        return Window(first, last or first, account)

    def calls(self) -> int:
        requests: int = self.vendors.world.stats.requests("calltouch")
        return requests

    def select(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as connection:
            return connection.execute(query.encode(), values).fetchall()

    def extractions(self) -> list[tuple[Any, ...]]:
        """Account, first and last day, requests and outcome, in the order of their beginning."""
        return self.select(
            "SELECT account, first_day, last_day, requests, outcome FROM ops.extraction"
            " ORDER BY extraction_id"
        )

    def days(self, site: str = QUIET) -> list[date]:
        """The days that were loaded."""
        query = "SELECT day FROM ops.day_state WHERE account = %s ORDER BY day"
        return [row[0] for row in self.select(query, site)]

    def rows(self, day: date) -> Counter[tuple[str, str]]:
        """Phone and status of the quiet site's SMS, as they stand."""
        query = (
            "SELECT phone, status FROM warehouse.calltouch_sms WHERE site_id = %s AND sent_on = %s"
        )
        return Counter(self.select(query, int(QUIET), day))

    def truth(self, day: date) -> Counter[tuple[str, str]]:
        """The same, as the vendor has them."""
        rows = self.vendors.world.calltouch.rows(int(QUIET), day, day)
        return Counter((row["phoneNumber"], row["smsStatus"]) for row in rows)


def until_last(count: int) -> list[date]:
    return [LAST - timedelta(days=n) for n in range(count - 1, -1, -1)]


def load(run: FeedRun, window: Window, wanted: Collection[date] | None = None) -> WindowResult:
    """Ask for the window, in as many parts as it takes."""
    return together(load_in_parts(run, window, wanted))


def replay(run: FeedRun, account: Account, days: Collection[date]) -> WindowResult:
    return together(replay_account(run, account, days))


def together(results: Iterator[WindowResult]) -> WindowResult:
    whole = WindowResult()
    for result in results:
        whole.receipts += result.receipts
        whole.problems += result.problems
        whole.left += result.left
        whole.stats.requests += result.stats.requests
        whole.stats.points += result.stats.points
        whole.stats.pages += result.stats.pages
    return whole
