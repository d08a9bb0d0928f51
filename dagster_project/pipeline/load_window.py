"""The one walk from a window to its receipts.

Grain: the walk takes one window of one feed (an account and whole local days) from the vendor to the
warehouse: ask → store the response → read
its rows → load → receipt. Each step is a plain function that knows nothing of Dagster.

Two connections serve a window. The ledger's commits at once: extractions and responses outlive a
failure. The load's holds the window's transaction: rows, rejects and receipts, all or nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from datetime import date
from functools import partial
from queue import LifoQueue
from typing import Any

import psycopg

from dagster_project.config.settings import Settings
from dagster_project.errors import (
    AnswerNotTrusted,
    AnswerTooLarge,
    QuotaSpent,
    WarehouseError,
)
from dagster_project.model.batch import Batch
from dagster_project.model.feed import Feed, QueryScope, VendorClient
from dagster_project.model.privacy import Rules
from dagster_project.model.receipt import Extraction, Receipt
from dagster_project.model.response import ExtractStats, Response, Restart
from dagster_project.model.window import Account, Window
from dagster_project.pipeline.calls_left import calls_left
from dagster_project.pipeline.concurrency import run_concurrently
from dagster_project.pipeline.connections import ConnectionPairs
from dagster_project.pipeline.outcomes import (
    FEWEST_ABREAST,
    MOST_READING_ROWS,
    MOST_WINDOWS,
    AfterRows,
    Stopped,
    TooManyRows,
    WindowResult,
    error_context,
    forget_locals,
    hold,
    how_it_ended,
    nothing_stored,
    split,
    without,
)
from dagster_project.pipeline.settlement import is_settled
from dagster_project.privacy import suppression
from dagster_project.warehouse.connection import Connection, Warehouse
from dagster_project.warehouse.ledger import extractions, load_receipts, responses
from dagster_project.warehouse.ledger.rejects import redact_rejects
from dagster_project.warehouse.load.holds import HeldDays, RejectGuard, ShrinkGuard
from dagster_project.warehouse.load.partitions import PartitionManager, refresh_statistics
from dagster_project.warehouse.load.window_load import WindowLoad
from dagster_project.warehouse.vendor_store import WarehouseStore


class WindowPipeline:
    """Walks windows of one feed; safe to use from several threads, each window on connections of its own."""

    def __init__(
        self,
        feed: Feed,
        settings: Settings,
        warehouse: Warehouse,
        pii_key: str,
        *,
        run_id: str | None = None,
        accept_shrink: bool = False,
        accept_rejects: bool = False,
        after_rows: AfterRows | None = None,
    ) -> None:
        self.feed = feed
        self.settings = settings
        self.warehouse = warehouse
        self.run_id = run_id
        self.guard = (
            None
            if accept_shrink
            else ShrinkGuard(settings.hold_from_rows, settings.hold_below_share)
        )
        self.reject_guard = (
            None
            if accept_rejects
            else RejectGuard(settings.rejects_above_records, settings.rejects_above_share)
        )
        self.after_rows = after_rows
        self._pii_key = pii_key
        self._local = threading.local()
        self.months = PartitionManager(warehouse)
        self._client: VendorClient | None = None
        self._stopping = threading.Event()
        self._opening = threading.Lock()
        self._connections = ConnectionPairs(warehouse)
        self._contexts: LifoQueue[Any] = LifoQueue()
        for _ in range(MOST_READING_ROWS):
            self._contexts.put(None)
        self._turns = threading.Semaphore(MOST_WINDOWS)
        self._fresh_days: set[date] = set()

    def __enter__(self) -> WindowPipeline:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._client is not None:
            self._client.close()
        self.refresh_statistics()
        self.months.close()
        self._connections.close()

    @contextmanager
    def _row_context(self) -> Iterator[Any]:
        """What turns answers into rows keeps memories of megabytes: few exist, lent for an answer each.

        Made when first needed; the one used last is lent first, and waited for where all are lent.
        """
        context = self._contexts.get()
        try:
            if context is None:
                context = self.feed.row_context(self.settings, self._pii_key)
            yield context
        finally:
            self._contexts.put(context)

    @property
    def client(self) -> VendorClient:
        """The vendor's client, made when first asked for: a replay never makes one."""
        with self._opening:
            if self._client is None:
                self._client = self.feed.client(self.settings, WarehouseStore(self.warehouse))
            return self._client

    def stop(self) -> None:
        """Give up what is under way after its next answer, and ask for nothing more."""
        self._stopping.set()

    def refresh_statistics(self) -> None:
        """Renew the planner's statistics of months that grew: once a walk, not once a window.

        Where that fails, autovacuum will do it later: the rows stand.
        """
        days, self._fresh_days = sorted(self._fresh_days), set()
        if days:
            with suppress(WarehouseError), self.reading() as connection:
                refresh_statistics(connection, self.feed.table, days)

    def refresh(self, window: Window, wanted: Collection[date] | None = None) -> WindowResult:
        """Ask the vendor for the window and make the warehouse equal to its answer; see ``parts``."""
        outcome = WindowResult()
        for part in self.parts(window, wanted):
            outcome.add(part)
        return outcome

    def parts(
        self,
        window: Window,
        wanted: Collection[date] | None = None,
        stats: ExtractStats | None = None,
    ) -> Iterator[WindowResult]:
        """Ask for the window, and answer with each part of it as it commits, newest first.

        What went wrong is in an outcome's ``problems``; the old rows of those days stand untouched.
        A window of more rows than one transaction should hold is split; of one that does not fit what
        is left of the budget the newest days are taken that do. ``stats`` is what it cost to find out
        that the window can be asked for; it counts for the first part.
        """
        todo = [window]
        left: list[Window] = []
        refusal: QuotaSpent | None = None
        while todo:
            part, cost = todo.pop(), stats or ExtractStats()
            stats = None
            try:
                outcome = self._ask(part, wanted, cost)
            except TooManyRows as many:
                yield WindowResult(stats=cost)
                parts = split(part, -(-many.rows // self._aim()))
                if self._is_unbounded(window.account):
                    asked = [partial(self.parts, smaller, wanted) for smaller in parts]
                    yield from run_concurrently(asked, lambda: FEWEST_ABREAST, FEWEST_ABREAST)
                else:
                    todo += reversed(parts)
                continue
            except AnswerTooLarge as large:
                if self.feed.reach is QueryScope.RANGE and len(part.days) > 1:
                    yield WindowResult(stats=cost)
                    todo += reversed(split(part, 2))
                    continue
                outcome = WindowResult(problems=[large], stats=cost)
            except QuotaSpent as spent:
                outcome = WindowResult(stats=cost)
                refusal = refusal or spent
                fitting = self._newest_that_fit(part, spent.calls_left, cost.vendor_total)
                left += [*todo, *without(part, fitting)]
                todo = [fitting] if fitting else []
            except WarehouseError as problem:
                forget_locals(problem)
                outcome = WindowResult(problems=[problem], stats=cost)
            yield outcome
        if refusal is not None:
            first, last = min(w.first_day for w in left), max(w.last_day for w in left)
            refusal.window = str(Window(first, last, window.account))
            refusal.args = (str(refusal),)
            yield WindowResult(problems=[refusal], left=[day for w in left for day in w.days])

    def _ask(
        self, window: Window, wanted: Collection[date] | None, cost: ExtractStats
    ) -> WindowResult:
        with (
            self._turns,
            self._connections.pair() as pair,
            error_context(window),
            self._rules(pair[0], window.account),
        ):
            return self._refresh(window, wanted, cost, *pair)

    def _is_unbounded(self, account: Account) -> bool:
        """Whether no budget decides which window is asked next: then they may go abreast."""
        with self.reading() as connection:
            return calls_left(self.feed, self.settings, connection, account) is None

    def _aim(self) -> int:
        """Rows that a part is to hold: fewer than it may, since days differ."""
        return max(1, self.feed.window_rows * 3 // 4)

    def _newest_that_fit(self, window: Window, calls: int, total: int | None) -> Window | None:
        """The newest days of a refused window that so many calls should suffice for.

        Rows are taken as spread evenly where the vendor told their total, else as they stand.
        """
        days, page = window.days, self.feed.rows_a_call
        if calls < 1 or len(days) == 1 or not page:
            return None
        with self.reading() as connection:
            rows = load_receipts.rows_of_days(connection, window)
        even = None if total is None else total / len(days)
        room, taken = float(calls * page), 0
        for day in reversed(days[1:]):
            room -= rows.get(day, 0) if even is None else even
            if room < 0:
                break
            taken += 1
        return Window(days[-taken], days[-1], window.account) if taken else None

    def _refresh(
        self,
        window: Window,
        wanted: Collection[date] | None,
        cost: ExtractStats,
        ledger_connection: Connection,
        connection: Connection,
    ) -> WindowResult:
        load: WindowLoad | None = None
        with self._extraction(window, ledger_connection, cost) as (extraction, stats):
            asked = self._answers(window, stats, extraction, ledger_connection)
            try:
                with closing(asked) as answers:
                    for answer, stored in answers:
                        if isinstance(answer, Restart):
                            if load is not None:
                                load.abandon()
                            load = None
                            continue
                        if load is None:
                            self._check_size(window, stats)
                            load = self._begin(connection, window, extraction, wanted=wanted)
                        with self._row_context() as context:
                            batch = self._to_batch(answer, window, context)
                            del answer  # nothing of a page is kept while the next one is waited for
                            stored.result()
                            load.add(batch)
                            del batch, stored
            except BaseException:
                if load is not None:
                    load.abandon()
                raise
        if load is None:
            raise AnswerNotTrusted("the vendor's client came back without any answer.")
        return self._commit(load, connection, ledger_connection, stats)

    def extract(self, window: Window) -> WindowResult:
        """Ask the vendor for the window and store its responses; rows are left as they stand."""
        stats = ExtractStats()
        try:
            with (
                self._connections.pair() as (ledger_connection, _),
                error_context(window),
                self._rules(ledger_connection, window.account),
                self._extraction(window, ledger_connection, stats) as (extraction, _),
            ):
                asked = self._answers(window, stats, extraction, ledger_connection)
                with closing(asked) as answers:
                    for _, stored in answers:
                        stored.result()
                bare = [
                    Receipt(
                        self.feed.source,
                        window.account.label,
                        day,
                        extraction.extraction_id,
                        extraction.started_at,
                    )
                    for day in window.days
                ]
                return WindowResult(bare, stats=stats, extractions=[extraction])
        except WarehouseError as problem:
            return WindowResult(problems=[problem], stats=stats)

    @contextmanager
    def _extraction(
        self, window: Window, connection: Connection, stats: ExtractStats
    ) -> Iterator[tuple[Extraction, ExtractStats]]:
        """An extraction from its opening to its end: complete, failed, split into parts, or given up."""
        extraction = extractions.begin_extraction(connection, window, self.run_id)
        try:
            yield extraction, stats
        except BaseException as error:
            with suppress(Exception):
                extractions.end_extraction(connection, extraction, stats, *how_it_ended(error))
            raise
        extractions.end_extraction(connection, extraction, stats, "complete")

    def _check_size(self, window: Window, stats: ExtractStats) -> None:
        rows = stats.vendor_total or 0
        if (
            self.feed.reach is QueryScope.RANGE
            and len(window.days) > 1
            and rows > self.feed.window_rows
        ):
            raise TooManyRows(rows)

    def replay(self, account: Account, days: Sequence[date]) -> WindowResult:
        """Rebuild days from their stored responses, without a vendor call; see ``replays``."""
        outcome = WindowResult()
        for part in self.replays(account, days):
            outcome.add(part)
        return outcome

    def replays(self, account: Account, days: Sequence[date]) -> Iterator[WindowResult]:
        """Rebuild days from their stored responses; answers with each extraction's as it commits.

        A day's responses are the latest complete extraction whose window covers it. Days of which
        none is stored are problems in an outcome; nothing of theirs changes.
        """
        with self._connections.pair() as (ledger_connection, connection):
            latest = extractions.latest_complete(
                ledger_connection, self.feed.source, account.label, days
            )
            absent = [day for day in days if day not in latest]
            if absent:
                source = self.feed.source
                yield WindowResult(
                    problems=[nothing_stored(source, account, day) for day in absent]
                )
            for extraction in sorted(set(latest.values()), key=lambda e: e.last_day, reverse=True):
                if self._stopping.is_set():
                    raise Stopped
                window = Window(extraction.first_day, extraction.last_day, account)
                wanted = {day for day, from_ in latest.items() if from_ == extraction}
                try:
                    with error_context(window), self._rules(ledger_connection, account):
                        load = self._load_stored(
                            ledger_connection, connection, window, extraction, wanted, ()
                        )
                        outcome = self._commit(load, connection, ledger_connection, ExtractStats())
                except WarehouseError as problem:
                    with suppress(psycopg.Error):
                        connection.rollback()
                    outcome = WindowResult(problems=[problem])
                yield outcome

    def _answers(
        self,
        window: Window,
        stats: ExtractStats,
        extraction: Extraction,
        ledger_connection: Connection,
    ) -> Generator[tuple[Response | Restart, Future[None]], None, None]:
        """The client's answers, each with the storing of it, which has begun."""
        attempt = 1
        nothing_to_store: Future[None] = Future()
        nothing_to_store.set_result(None)
        if self._stopping.is_set():
            raise Stopped
        with responses.ResponseWriter(ledger_connection, extraction.extraction_id) as storing:
            for answer in self.client.extract(window, stats):
                if self._stopping.is_set():
                    raise Stopped
                if isinstance(answer, Restart):
                    attempt += 1
                    yield answer, nothing_to_store
                else:
                    answer = self._redacted(answer)
                    yield answer, storing.store(attempt, answer)
                    del answer

    @contextmanager
    def _rules(self, connection: Connection, account: Account) -> Iterator[None]:
        """What this thread's window goes by for privacy, until it has committed.

        Outside of it nothing of a feed that holds personal data can be stored or read: that raises.
        """
        if self.feed.reduction is None:
            yield
            return
        with suppression.rules(connection, account, self._pii_key) as rules:
            self._finish_rejects(connection, rules)
            self._local.rules = rules
            try:
                yield
            finally:
                del self._local.rules

    def _finish_rejects(self, connection: Connection, rules: Rules) -> None:
        """While an erasure is under way, or was stopped: rejects without the numbers, as they will come.

        A record that a load met before would look like a new one otherwise, and its day be held.
        """
        personal = self.feed.personal
        if personal is None or not rules.suppression or not suppression.is_erasing(connection):
            return
        redact_rejects(
            connection,
            self.feed.source,
            lambda original: personal.redact_reject(original, rules.suppression),
        )

    def _redacted(self, answer: Response) -> Response:
        """The answer without the numbers that were erased: what is stored, and read."""
        if self.feed.personal is None:
            return answer
        rules: Rules = self._local.rules
        return self.feed.personal.redact(answer, rules.suppression) if rules.suppression else answer

    def _to_batch(self, answer: Response, window: Window, context: Any) -> Batch:
        """The answer's rows, those of old days reduced."""
        batch = self.feed.to_batch(answer, window, context)
        if self.feed.reduction is None:
            return batch
        rules: Rules = self._local.rules
        if window.first_day >= rules.reduced_before:
            return batch
        return self.feed.reduction.reduce_batch(
            batch, window, rules.reduced_before, rules.reduction_key
        )

    def _refuse_reduced(
        self,
        connection: Connection,
        extraction: Extraction,
        window: Window,
        wanted: Collection[date],
    ) -> None:
        """A reduction may have come between choosing the responses and locking their days."""
        if self.feed.reduction is None or not wanted:
            return
        before = extractions.reduced_before(connection, extraction)
        if before is not None and min(wanted) < before:
            raise nothing_stored(self.feed.source, window.account, min(wanted))

    def _begin(
        self,
        connection: Connection,
        window: Window,
        extraction: Extraction,
        *,
        wanted: Collection[date] | None = None,
        skip: Collection[date] = (),
        held: Collection[date] = (),
        is_replay: bool = False,
    ) -> WindowLoad:
        load = WindowLoad(
            connection,
            self.feed.table,
            window,
            extraction,
            ensure_month=self.months.ensure,
            skip=skip,
            held=held,
            wanted_days=wanted if self.feed.reach is QueryScope.HISTORY else None,
            is_replay=is_replay,
            guard=self.guard,
            reject_guard=self.reject_guard,
            lock_whole=self.feed.reach is QueryScope.HISTORY,
            is_settled=partial(self._is_settled, window.account),
        )
        load.begin()
        return load

    def _load_stored(
        self,
        ledger_connection: Connection,
        connection: Connection,
        window: Window,
        extraction: Extraction,
        wanted: Collection[date],
        held: Collection[date],
        *,
        is_replay: bool = True,
    ) -> WindowLoad:
        """A load from stored responses of the wanted days of a window, up to its ``finish``."""
        is_history = self.feed.reach is QueryScope.HISTORY
        load = self._begin(
            connection,
            window,
            extraction,
            wanted=wanted,
            skip=() if is_history else set(window.days) - set(wanted),
            held=held,
            is_replay=is_replay,
        )
        try:
            self._refuse_reduced(ledger_connection, extraction, window, wanted)
            for answer in responses.read_responses(ledger_connection, extraction.extraction_id):
                with self._row_context() as context:
                    load.add(self._to_batch(self._redacted(answer), window, context))
        except BaseException:
            load.abandon()
            raise
        return load

    def _commit(
        self,
        load: WindowLoad,
        connection: Connection,
        ledger_connection: Connection,
        stats: ExtractStats,
        problems: Sequence[WarehouseError] = (),
    ) -> WindowResult:
        """Finish the load and commit; days that are to be held back are, the others are loaded."""
        try:
            receipts = load.finish(self._after_rows(load.window.account), self.run_id)
        except HeldDays as days:
            connection.rollback()
            problems = [*problems, *hold(ledger_connection, load, days.held)]
            again = self._load_stored(
                ledger_connection,
                connection,
                load.window,
                load.extraction,
                load.wanted_days if load.wanted_days is not None else load.window.days,
                {*load.held, *days.held},
                is_replay=load.is_replay,
            )
            return self._commit(again, connection, ledger_connection, stats, problems)
        if load.superseded:
            # A later observation stands already: for these days there was nothing left to do.
            receipts += load_receipts.read_receipts(
                connection,
                self.feed.source,
                load.extraction.account,
                [day for day in load.superseded if day in (load.wanted_days or load.window.days)],
            )
        connection.commit()
        if load.fresh_rows:
            self._fresh_days.update(
                r.day for r in receipts if r.rows_inserted and not r.already_there
            )
        return WindowResult(receipts, list(problems), stats=stats, extractions=[load.extraction])

    def _after_rows(self, account: Account) -> Callable[[Connection, list[Receipt]], None]:
        def bring_up_to_date(connection: Connection, receipts: list[Receipt]) -> None:
            if self.after_rows is not None:
                self.after_rows(connection, account, receipts)

        return bring_up_to_date

    def _is_settled(self, account: Account, receipt: Receipt) -> bool:
        """A day of which too little could be read is asked again, and so is one whose only answer was not."""
        nothing = self.feed.reach is QueryScope.DAY and receipt.rows_rejected and not receipt.rows
        if receipt.doubt or nothing:
            return False
        return self.feed.settles_at_once(receipt) or is_settled(
            receipt.day,
            account.time_zone,
            receipt.observed_at,
            rows=receipt.rows,
            rows_final=receipt.rows_final,
            settle_days=self.feed.settle_days(self.settings),
        )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that commits at once, for looking things up."""
        with self._connections.pair() as (connection, _):
            yield connection
