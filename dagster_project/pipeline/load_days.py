"""Load days that are asked for one by one; those of which nothing changed are committed together.

Grain: one account. A day's answer is stored and its rows are encoded as ever. Where they have the checksum that
stands, only receipts are left to write, and the day waits a moment for others. The comparison that counts, row
by row under the days' locks, is made then. Every other day is a transaction of its own, at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import partial
from time import monotonic
from typing import Final

from dagster_project.errors import AnswerNotTrusted, WarehouseError
from dagster_project.model.batch import Batch
from dagster_project.model.receipt import Extraction
from dagster_project.model.response import ExtractStats, Restart
from dagster_project.model.window import Account, Window
from dagster_project.pipeline.commit import (
    commit_load,
    load_stored,
    note_unreadable,
    prepare_load,
    write_after_rows,
)
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.load_window import opened, receive, recorded_extraction
from dagster_project.pipeline.outcomes import Stopped, WindowResult, error_context, forget_locals
from dagster_project.pipeline.privacy_rules import NO_RULES, encode_rows
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.load.day_counts import checksum_of_batch
from dagster_project.warehouse.load.unchanged_days import compare_days, write_unchanged
from dagster_project.warehouse.load.window_load import WindowLoad

MOST_DAYS: Final = 32
"""That are committed together."""
WAITING_SECONDS: Final = 1.0
"""A day waits no longer for others: so much of its reading is lost if the process dies."""


def load_days(
    run: FeedRun, account: Account, days: Iterator[date], stats: ExtractStats
) -> Iterator[WindowResult]:
    """Load the days in turn, up to the first that fails; yield what became of them as it is committed.

    ``stats`` has the cost of finding out what can be requested; it counts for the first day.
    """
    unchanged = _UnchangedDays(run, account)
    for day in days:
        try:
            result = _load_day(run, Window(day, day, account), stats, unchanged)
        except Stopped:
            yield from unchanged.commit()
            raise
        except WarehouseError as problem:
            forget_locals(problem)
            yield from unchanged.commit()
            yield WindowResult(problems=[problem], stats=stats)
            return
        if result is not None:
            yield result
        if unchanged.has_waited:
            yield from unchanged.commit()
        stats = ExtractStats()
    yield from unchanged.commit()


def _load_day(
    run: FeedRun, window: Window, stats: ExtractStats, unchanged: _UnchangedDays
) -> WindowResult | None:
    """Ask the vendor for a day and load it; None: it is as it was, and is committed with others."""
    with (
        opened(run, window) as (pair, rules),
        note_unreadable(pair.ledger, window.account, window.days),
    ):
        load: WindowLoad | None = None
        try:
            with recorded_extraction(run, window, pair.ledger, stats) as extraction:
                batches: list[Batch] = []
                all_received = receive(run, window, extraction, pair.ledger, rules, stats)
                with closing(all_received):
                    for received in all_received:
                        if isinstance(received, Restart):
                            batches.clear()
                            continue
                        with run.encoders.lend() as encoder:
                            response = received.response
                            batches.append(encode_rows(run.feed, encoder, response, window, rules))
                        received.stored.result()
                if not batches:
                    raise AnswerNotTrusted("the vendor's client came back without any answer.")
                is_as_loaded = unchanged.is_as_loaded(pair.ledger, window.first_day, batches)
                if not is_as_loaded:
                    load = prepare_load(run, pair.load, window, extraction, rules).begin()
                    for batch in batches:
                        load.add(batch)
            if load is not None:
                return commit_load(run, load, pair, rules, stats)
        except BaseException:
            if load is not None:
                load.abandon()
            raise
    unchanged.add(_UnchangedDay(window, extraction, batches[0], stats))
    return None


@dataclass(frozen=True, slots=True)
class _UnchangedDay:
    """A day that was read, and seems to be as it was."""

    window: Window
    extraction: Extraction
    batch: Batch
    stats: ExtractStats


class _UnchangedDays:
    """Days of one account that wait to be committed together."""

    def __init__(self, run: FeedRun, account: Account) -> None:
        self._run, self._account = run, account
        self._days: list[_UnchangedDay] = []
        self._since = 0.0
        self._checksums: Mapping[date, str] | None = None
        # The rules of personal data hold from the reading of a day to its commit.
        self._may_wait = run.feed.personal is None and run.feed.reduction is None

    @property
    def has_waited(self) -> bool:
        """Whether it is time to commit them."""
        is_old = monotonic() - self._since >= WAITING_SECONDS
        return bool(self._days) and (is_old or len(self._days) >= MOST_DAYS)

    def is_as_loaded(self, connection: Connection, day: date, batches: list[Batch]) -> bool:
        """Whether the answer seems to be what stands."""
        if not self._may_wait or len(batches) != 1 or batches[0].rejects:
            return False
        if self._checksums is None:
            self._checksums = load_receipts.read_checksums(connection, self._account)
        return self._checksums.get(day) == checksum_of_batch(self._run.feed.table, batches[0])

    def add(self, day: _UnchangedDay) -> None:
        if not self._days:
            self._since = monotonic()
        self._days.append(day)

    def commit(self) -> Iterator[WindowResult]:
        """Commit the days that wait; if one did change meanwhile, each by itself, as it was stored."""
        days, self._days = self._days, []
        if not days:
            return
        every = [day.window.first_day for day in days]
        try:
            result = self._commit_together(days, Window(min(every), max(every), self._account))
        except WarehouseError as problem:
            forget_locals(problem)
            yield WindowResult(problems=[problem], stats=_sum_up(days))
            return
        if result is not None:
            yield result
            return
        for day in days:
            yield self._commit_alone(day)

    def _commit_together(self, days: list[_UnchangedDay], span: Window) -> WindowResult | None:
        run = self._run
        with run.window_permits, run.connections.pair() as pair, error_context(span):
            loads = [
                (prepare_load(run, pair.load, day.window, day.extraction, NO_RULES), day.batch)
                for day in days
            ]
            if compare_days(loads):
                after_rows = partial(write_after_rows, run, self._account)
                receipts = write_unchanged([load for load, _ in loads], after_rows, run.run_id)
                pair.load.commit()
                return WindowResult(receipts, stats=_sum_up(days))
            for load, _ in loads:
                load.abandon()
            return None

    def _commit_alone(self, day: _UnchangedDay) -> WindowResult:
        run, window = self._run, day.window
        try:
            with opened(run, window) as (pair, rules):
                load = load_stored(
                    run,
                    pair,
                    window,
                    day.extraction,
                    rules,
                    window.days,
                    is_replay=False,
                )
                return commit_load(run, load, pair, rules, day.stats)
        except WarehouseError as problem:
            forget_locals(problem)
            return WindowResult(problems=[problem], stats=day.stats)


def _sum_up(days: list[_UnchangedDay]) -> ExtractStats:
    """What the days cost together."""
    total = ExtractStats()
    for day in days:
        total.requests += day.stats.requests
        total.points += day.stats.points
        total.pages += day.stats.pages
        total.notes |= day.stats.notes
    return total
