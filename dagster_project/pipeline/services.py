"""What a run needs open: settings, the warehouse, a feed's run. One place, for assets and command line."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial

from dagster_project.concurrency import thread_beside
from dagster_project.config.settings import Settings, load_settings
from dagster_project.errors import SettingsError, WarehouseError
from dagster_project.model.feed import Feed
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.malloc_arenas import limit_malloc_arenas
from dagster_project.pipeline.marts_upkeep import marts_keeper, refresh_stale_marts
from dagster_project.privacy.pseudonym_key import check_fingerprint, pii_hash_key
from dagster_project.text import remedies
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import PATIENCE_SECONDS, Report, Warehouse
from dagster_project.warehouse.fitness import clock_warning, refuse_unfit
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.restored import refuse_restored
from dagster_project.warehouse.schema.migrate import MakeStorage, migrate, pending
from dagster_project.warehouse.server import embedded

log = logging.getLogger(__name__)

PASSED_MONTHS_SECONDS = 5.0


@cache
def settings() -> Settings:
    """The process's settings, read when first asked for."""
    return load_settings()


@cache
def warehouse() -> Warehouse:
    """The process's warehouse; starts the embedded server where it is one."""
    own = settings()
    if own.embedded and not embedded.exists(own.home):
        log.warning("making a new warehouse in %s", own.home)
    return Warehouse.open(own)


def ready_warehouse(make_storage: MakeStorage, report: Report = lambda line: None) -> Warehouse:
    """The process's warehouse with today's schema: the embedded one is migrated, another must be.

    ``make_storage`` is called only where Dagster's storage is behind: Dagster takes seconds to import.

    Raises:
        SettingsError: a server of somebody else waits for ``warehouse migrate``.
    """
    found = warehouse()
    if found.is_embedded:
        migrate(found, report, storage=partial(_renew_storage, make_storage))
    else:
        refuse_behind(found)
    return found


def current_warehouse() -> Warehouse:
    """The same for a command that only reads: a warehouse is neither made nor changed.

    Raises:
        SettingsError: there is none, or its schema waits for ``warehouse migrate``.
    """
    refuse_absent()
    found = warehouse()
    refuse_behind(found)
    return found


def refuse_absent() -> None:
    """See that the embedded warehouse was made, if it is the one.

    Raises:
        SettingsError: it was not; names the command that makes it.
    """
    if settings().embedded and not embedded.exists(settings().home):
        raise SettingsError(
            f"there is no warehouse in {settings().home} yet.", hint=remedies.MAKE_WAREHOUSE
        )


def refuse_behind(found: Warehouse) -> None:
    """
    Raises:
        SettingsError: the schema, or all of it, waits for ``warehouse migrate``.
    """
    if waiting := pending(found):
        raise SettingsError(
            f"the database's schema is behind by {pluralize(len(waiting), 'migration')}.",
            hint=remedies.MIGRATE,
        )


def _renew_storage(make_storage: MakeStorage, found: Warehouse, report: Report) -> None:
    if not found.storage.is_up_to_date():
        make_storage(found, report)


def refuse_unfit_server(found: Warehouse, *, patience: float = 0) -> None:
    """
    Raises:
        SettingsError: the server takes no writes, or keeps no UTF-8. A clock that is off is told.
    """
    with (
        safe_errors("beginning"),
        found.connect(what="begin", autocommit=True, patience=patience) as connection,
    ):
        refuse_unfit(connection)
        if warning := clock_warning(connection):
            log.warning(warning)


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
    key = pii_hash_key(settings())
    refuse_unfit_server(warehouse(), patience=PATIENCE_SECONDS)
    check_fingerprint(warehouse(), key, patience=PATIENCE_SECONDS)
    refuse_restored(warehouse(), patience=PATIENCE_SECONDS)
    for sentence in settings().unknown:
        log.warning(sentence)
    _tell_other_zones(feed)
    with FeedRun(
        feed,
        settings(),
        warehouse(),
        key,
        run_id=run_id,
        accept_shrink=accept_shrink,
        accept_rejects=accept_rejects,
        after_rows=marts_keeper(feed, settings()),
    ) as feed_run:
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


def _tell_other_zones(feed: Feed) -> None:
    """Say in the log which days were loaded under another time zone setting."""
    with (
        safe_errors("reading time zones"),
        warehouse().connect(what="begin", autocommit=True, patience=PATIENCE_SECONDS) as connection,
    ):
        for account in feed.accounts(settings()):
            for text, command in load_receipts.days_of_other_zones(connection, account):
                log.warning(f"{text} Way out: {command}")


def _count_passed_months(feed_run: FeedRun, ended: threading.Event) -> None:
    """What fails here stays in the queue, for the end of the run."""
    while not ended.wait(PASSED_MONTHS_SECONDS):
        with suppress(WarehouseError):
            refresh_stale_marts(feed_run, passed_only=True)
