"""Load one window of a feed: ask the vendor, store its responses, load their rows, commit.

Grain: one account and a run of whole local days, in one transaction. Each response goes through the
same steps as it comes: redacted, stored, encoded as rows, written. Nothing of a page is kept while the
next one is waited for: a page of SMS takes megabytes.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from datetime import date
from typing import NamedTuple

from dagster_project.errors import AnswerNotTrusted, WarehouseError
from dagster_project.model.batch import Batch
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.privacy import Rules
from dagster_project.model.receipt import Extraction, Receipt
from dagster_project.model.response import ExtractStats, Response, Restart
from dagster_project.model.window import Window
from dagster_project.pipeline.commit import add_stored, commit_load, note_unreadable, prepare_load
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.lending import ConnectionPair
from dagster_project.pipeline.outcomes import (
    TooManyRows,
    WindowResult,
    error_context,
    extraction_outcome,
)
from dagster_project.pipeline.privacy_rules import encode_rows, privacy_rules, redact_response
from dagster_project.pipeline.repeated_pages import RepeatedPages, find_repeated
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger import extractions, responses
from dagster_project.warehouse.load.window_load import WindowLoad


class Received(NamedTuple):
    """A redacted response, and the storing of it, which has begun and returns its SHA-256."""

    response: Response
    stored: Future[bytes]


def load_window(
    run: FeedRun, window: Window, wanted: Collection[date] | None, stats: ExtractStats
) -> WindowResult:
    """Ask the vendor for a window, and make the warehouse equal to what it answers.

    ``wanted`` are the days that get a receipt where the vendor answers with its whole history.

    Raises:
        TooManyRows: the first page tells of more rows than one transaction should hold.
        WarehouseError: the window failed, and its old rows stand.
    """
    with (
        opened(run, window) as (pair, rules),
        note_unreadable(pair.ledger, window.account, wanted or window.days),
    ):
        with recorded_extraction(run, window, pair.ledger, stats) as extraction:
            load = _load_rows(run, window, wanted, extraction, pair, rules, stats)
        return commit_load(run, load, pair, rules, stats)


def extract_window(run: FeedRun, window: Window) -> WindowResult:
    """Ask the vendor for a window and store its responses; rows are left as they stand."""
    stats = ExtractStats()
    try:
        with (
            opened(run, window) as (pair, rules),
            recorded_extraction(run, window, pair.ledger, stats) as extraction,
            closing(receive(run, window, extraction, pair.ledger, rules, stats)) as all_received,
        ):
            for received in all_received:
                if isinstance(received, Received):
                    received.stored.result()
                del received
    except WarehouseError as problem:
        return WindowResult(problems=[problem], stats=stats)
    account = window.account
    receipts = [
        Receipt(account.source, account.label, day, extraction.extraction_id, extraction.started_at)
        for day in window.days
    ]
    return WindowResult(receipts, stats=stats)


@contextmanager
def opened(run: FeedRun, window: Window) -> Iterator[tuple[ConnectionPair, Rules]]:
    """What one window needs until it has committed; what is raised inside names the window."""
    with (
        run.window_permits,
        run.connections.pair() as pair,
        error_context(window),
        privacy_rules(run.feed, pair.ledger, window.account, run.pii_key) as rules,
    ):
        yield pair, rules


@contextmanager
def recorded_extraction(
    run: FeedRun, window: Window, connection: Connection, stats: ExtractStats
) -> Iterator[Extraction]:
    """An extraction, recorded from its beginning to its end, however it ends."""
    extraction = extractions.begin_extraction(connection, window, run.run_id)
    try:
        yield extraction
    except BaseException as error:
        with suppress(Exception):
            extractions.end_extraction(connection, extraction, stats, *extraction_outcome(error))
        raise
    extractions.end_extraction(connection, extraction, stats, "complete")


def _load_rows(
    run: FeedRun,
    window: Window,
    wanted: Collection[date] | None,
    extraction: Extraction,
    pair: ConnectionPair,
    rules: Rules,
    stats: ExtractStats,
) -> WindowLoad:
    """A load of all rows that the vendor answers with, up to its ``finish``."""
    reading = _Reading(run, window, wanted, extraction, pair, rules)
    all_received = receive(run, window, extraction, pair.ledger, rules, stats)
    try:
        with closing(all_received):
            for received in all_received:
                if isinstance(received, Restart):
                    reading.restart()
                    continue
                reading.begin(stats)
                if reading.repeated.are_compared:
                    is_repeated = reading.repeated.take(received.response, received.stored.result())
                    del received
                    if is_repeated:
                        continue
                else:
                    with run.encoders.lend() as encoder:
                        batch = encode_rows(run.feed, encoder, received.response, window, rules)
                        stored = received.stored
                        del received  # nothing of a page is kept while the next one is waited for
                        stored.result()
                        reading.add(batch)
                        del batch, stored
                reading.encode_taken()
        return reading.conclude()
    except BaseException:
        reading.abandon()
        raise


class _Reading:
    """One reading of a window: its load from the first page on, and which pages came again as they were."""

    def __init__(
        self,
        run: FeedRun,
        window: Window,
        wanted: Collection[date] | None,
        extraction: Extraction,
        pair: ConnectionPair,
        rules: Rules,
    ) -> None:
        self._run, self._window, self._wanted = run, window, wanted
        self._extraction, self._pair, self._rules = extraction, pair, rules
        self._load: WindowLoad | None = None
        self.repeated = RepeatedPages()

    def begin(self, stats: ExtractStats) -> None:
        """Begin the load at the first page, which tells how many rows there are."""
        if self._load is not None:
            return
        _refuse_too_many_rows(self._run.feed, self._window, stats)
        self._load = prepare_load(
            self._run,
            self._pair.load,
            self._window,
            self._extraction,
            self._rules,
            wanted=self._wanted,
        ).begin()
        self.repeated = find_repeated(self._load, self._run.feed.hash_rows)

    def add(self, batch: Batch) -> None:
        """Add the rows of a page that is stored."""
        assert self._load is not None, "a page is added after the load has begun"
        self._load.add(batch)

    def encode_taken(self) -> None:
        """Compare no further page; add the rows of those that were taken without being encoded."""
        if (earlier := self.repeated.give_up()) and self._load is not None:
            add_stored(self._run, self._pair.ledger, self._load, self._rules, earlier)

    def conclude(self) -> WindowLoad:
        """The load with all rows of the answer, when there is no further page."""
        if self._load is None:
            raise AnswerNotTrusted("the vendor's client came back without any answer.")
        if self.repeated.are_all:
            self._load.repeat(self.repeated.receipts)
        else:
            self.encode_taken()
        return self._load

    def restart(self) -> None:
        """Forget all pages: the vendor is asked again."""
        self.abandon()
        self._load, self.repeated = None, RepeatedPages()

    def abandon(self) -> None:
        if self._load is not None:
            self._load.abandon()


def receive(
    run: FeedRun,
    window: Window,
    extraction: Extraction,
    ledger: Connection,
    rules: Rules,
    stats: ExtractStats,
) -> Generator[Received | Restart, None, None]:
    """The vendor's responses as they come, each redacted and on its way into ``raw.response``."""
    attempt = 1
    run.raise_if_stopped()
    with responses.ResponseWriter(ledger, extraction.extraction_id) as storing:
        for response in run.client.extract(window, stats):
            run.raise_if_stopped()
            if isinstance(response, Restart):
                attempt += 1
                yield response
                continue
            response = redact_response(run.feed, response, rules)
            received = [Received(response, storing.store(attempt, response))]
            del response
            yield received.pop()  # the caller's alone, to be let go when it has read it


def _refuse_too_many_rows(feed: Feed, window: Window, stats: ExtractStats) -> None:
    rows = stats.vendor_total or 0
    can_be_split = feed.query_scope is QueryScope.RANGE and len(window.days) > 1
    if can_be_split and rows > feed.window_rows:
        raise TooManyRows(rows)
