"""Opening a feed's run with the process's settings: what must be right before, what goes on beside it and after it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dagster_project.concurrency import thread_beside
from dagster_project.errors import WarehouseError
from dagster_project.model.feed import Feed
from dagster_project.pipeline import services
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.malloc_arenas import limit_malloc_arenas
from dagster_project.pipeline.marts_upkeep import marts_keeper, refresh_stale_marts
from dagster_project.privacy.pseudonym_key import compare_fingerprint, pii_hash_key
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.restored import refuse_restored_dump

log = logging.getLogger(__name__)

PASSED_MONTHS_SECONDS = 5.0


@contextmanager
def open_pipeline(
    feed: Feed,
    *,
    run_id: str | None = None,
    accept_shrink: bool = False,
    accept_rejects: bool = False,
) -> Iterator[FeedRun]:
    """A run of this feed with the process's settings.

    Raises:
        SettingsError: the server takes no writes; the PII key is not the one that this warehouse was loaded with; or this is a
            restored dump to which the suppression list was not applied yet.
    """
    limit_malloc_arenas()
    key = pii_hash_key(services.settings())
    warehouse = services.warehouse()
    with FeedRun(
        feed,
        services.settings(),
        warehouse,
        key,
        run_id=run_id,
        accept_shrink=accept_shrink,
        accept_rejects=accept_rejects,
        after_rows=marts_keeper(feed, services.settings()),
    ) as feed_run:
        with feed_run.connections.reading() as connection, safe_errors("beginning"):
            services.refuse_unfit_server(connection)
            compare_fingerprint(connection, key)
            refuse_restored_dump(connection, warehouse.seen_erasures)
            for sentence in services.settings().unknown:
                log.warning(sentence)
            _tell_other_zones(connection, feed)
        ended = threading.Event()
        with thread_beside("marts") as beside:
            try:
                beside.submit(_count_passed_months, feed_run, ended)
                yield feed_run
            finally:
                ended.set()
                statistics = beside.submit(feed_run.refresh_statistics)
                refresh_stale_marts(feed_run)
                statistics.result()


def _tell_other_zones(connection: Connection, feed: Feed) -> None:
    """Say in the log which days were loaded under another time zone setting."""
    accounts = feed.accounts(services.settings())
    for text, command in load_receipts.days_of_other_zones(connection, accounts):
        log.warning(f"{text} Way out: {command}")


def _count_passed_months(feed_run: FeedRun, ended: threading.Event) -> None:
    """What fails here stays in the queue, for the end of the run."""
    while not ended.wait(PASSED_MONTHS_SECONDS):
        with suppress(WarehouseError):
            refresh_stale_marts(feed_run, passed_only=True)
