"""Days of a feed, taken through the walk: the plain function under every run.

Accounts go side by side, each through windows of its own, newest first unless asked otherwise; one
account's failure leaves the others loading. A day is *done* when every account that was to be asked
for it has committed it and every other configured account of the source has it already; whoever
called logs its materialization then, so that a later failure keeps the earlier days.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from queue import SimpleQueue
from time import monotonic
from typing import Any

from dagster_project import clock
from dagster_project.config.settings import Settings
from dagster_project.errors import (
    AccessDenied,
    CredentialsRefused,
    QuotaSpent,
    RequestRefused,
    SettingsError,
    TryLater,
    WarehouseError,
)
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.receipt import Receipt
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import Account, Window
from dagster_project.pipeline.calls_left import calls_left
from dagster_project.pipeline.concurrency import Job, run_concurrently
from dagster_project.pipeline.due_days import expectation, limits_of
from dagster_project.pipeline.load_window import WindowPipeline
from dagster_project.pipeline.outcomes import FEWEST_ABREAST, Stopped, WindowResult, too_little_read
from dagster_project.pipeline.planner import next_window, planned_windows
from dagster_project.warehouse.ledger import load_receipts

__all__ = ["Cost", "DayRunner", "WindowDone"]

SIDE_BY_SIDE = 4
STOPPING_SECONDS = 10.0
HOPELESS = (CredentialsRefused, AccessDenied, RequestRefused)
"""After one of these the account's other windows of the run would fail alike: they are not asked."""
MOST_ABREAST = 6
ROWS_ABREAST = 200_000
FAILURES_IN_A_ROW = 3
"""So many windows in a row, and the vendor (or the database) is taken to be down."""


@dataclass
class Cost:
    """What the windows cost that a day was asked in, one for each account, and the days they cover.

    ``notes`` is what the vendors' clients noted while they asked.
    """

    requests: int = 0
    points: int = 0
    pages: int = 0
    seconds: float = 0.0
    rows: int = 0
    days: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    def add(self, other: Cost) -> None:
        self.requests += other.requests
        self.points += other.points
        self.pages += other.pages
        self.seconds += other.seconds
        self.rows += other.rows
        self.days = max(self.days, other.days)
        self.notes |= other.notes


@dataclass
class WindowDone:
    """What one window of one account ended with.

    ``days`` are done by it: their receipts, one for each account that this run (or, re-executed, the
    run before it) committed. ``committed`` has the window's own receipts. ``left`` are days of the
    account for which its budget had no room.
    """

    days: dict[date, list[Receipt]] = field(default_factory=dict)
    costs: dict[date, Cost] = field(default_factory=dict)
    committed: list[Receipt] = field(default_factory=list)
    problems: list[WarehouseError] = field(default_factory=list)
    left: list[date] = field(default_factory=list)
    stats: ExtractStats = field(default_factory=ExtractStats)
    seconds: float = 0.0

    @property
    def doubts(self) -> list[WarehouseError]:
        """What is to be said of days that were loaded for the first time, and of which too little
        could be read: one error for each account and reason. What could be read is committed."""
        days: dict[tuple[str, str, str], list[date]] = defaultdict(list)
        for receipt in self.committed:
            if receipt.doubt and not receipt.already_there:
                days[receipt.source, receipt.account, receipt.doubt].append(receipt.day)
        return [
            too_little_read(source, account, of_reason, why)
            for (source, account, why), of_reason in days.items()
        ]


def refuse_unknown_accounts(
    wanted: Collection[str], configured: Sequence[str], *, source: str | None = None
) -> None:
    """See that a person named accounts that there are.

    Raises:
        SettingsError: some are not. They are counted and not quoted: who mistypes may have pasted
            something that must not stand in a log.
    """
    if unknown := len(set(wanted) - set(configured)):
        raise SettingsError(
            f"no such account: {unknown} of {len(set(wanted))} named.",
            source=source,
            way_out=f"use one of {', '.join(configured)}.",
        )


class _Pace:
    """How many windows of an account may be under way at once: one, until the vendor was seen to
    answer and while it does not; several where no budget decides which of them comes next."""

    def __init__(self) -> None:
        self.is_clear = False
        self._width = 1

    def suit(self, rows: int) -> None:
        """As many as suit windows of so many rows, to bound memory."""
        self._width = max(FEWEST_ABREAST, min(ROWS_ABREAST // max(rows, 1), MOST_ABREAST))

    def width(self) -> int:
        return self._width if self.is_clear else 1


Step = Callable[[Account, Collection[date]], Iterator[WindowResult]]
_Report = tuple[Account, WindowResult | BaseException | None, float]


class DayRunner:
    """Takes days of one feed through one kind of step: refresh, extract or replay.

    Args:
        accounts: only these; empty: all that are configured.
        already: receipts of an earlier try of the run; those days are not asked again.
        due: for each account the days that are to be asked for; None: all.
    """

    def __init__(
        self,
        walk: WindowPipeline,
        settings: Settings,
        accounts: Collection[str] = (),
        already: Mapping[tuple[str, date], Receipt] | None = None,
        due: Mapping[str, Collection[date]] | None = None,
    ) -> None:
        self.walk = walk
        self.feed: Feed = walk.feed
        self.settings = settings
        self.configured = self.feed.accounts(settings)
        self.accounts = [a for a in self.configured if not accounts or a.label in accounts]
        self.already = already or {}
        self.due = due
        self._newest_first = True

    def refresh(self, days: Collection[date], *, newest_first: bool = True) -> Iterator[WindowDone]:
        """Ask the vendor for these days and load them."""
        return self._side_by_side(days, self._refresh, newest_first)

    def extract(self, days: Collection[date], *, newest_first: bool = True) -> Iterator[WindowDone]:
        """Ask the vendor for these days and store the responses only."""
        return self._side_by_side(days, self._extract, newest_first)

    def replay(self, days: Collection[date], *, newest_first: bool = True) -> Iterator[WindowDone]:
        """Rebuild these days from stored responses."""
        return self._side_by_side(days, self._replay, newest_first)

    def _side_by_side(
        self, days: Collection[date], step: Step, newest_first: bool
    ) -> Iterator[WindowDone]:
        """Each account in a thread; what their windows end with, as it comes."""
        self._newest_first = newest_first
        board = _Board(self, days)
        yield from board.begin()
        reports: SimpleQueue[_Report] = SimpleQueue()
        turns = threading.Semaphore(SIDE_BY_SIDE)
        threads = [
            threading.Thread(
                target=self._work,
                args=(account, board.to_ask[account.label], step, turns, reports),
                name=f"{self.feed.source} {account.label}",
                daemon=True,
            )
            for account in self.accounts
            if board.to_ask[account.label]
        ]
        for thread in threads:
            thread.start()
        try:
            working = len(threads)
            while working:
                account, outcome, seconds = reports.get()
                if isinstance(outcome, WindowResult):
                    yield board.take(account, outcome, seconds)
                    continue
                working -= 1
                if outcome is not None:
                    raise outcome
        except BaseException:
            self.walk.stop()
            raise
        finally:
            give_up = monotonic() + STOPPING_SECONDS
            for thread in threads:
                thread.join(max(0.0, give_up - monotonic()))

    def _work(
        self,
        account: Account,
        days: Collection[date],
        step: Step,
        turns: threading.Semaphore,
        reports: SimpleQueue[_Report],
    ) -> None:
        """One account's windows; whatever ends them is reported."""
        end: BaseException | None = None
        with turns:
            began = monotonic()
            try:
                for outcome in step(account, days):
                    now = monotonic()
                    reports.put((account, outcome, now - began))
                    began = now
            except Stopped:
                pass
            except WarehouseError as problem:
                problem.at(source=self.feed.source, account=account.label)
                reports.put((account, WindowResult(problems=[problem]), monotonic() - began))
            except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
                end = error
        reports.put((account, end, 0.0))

    def _refresh(self, account: Account, days: Collection[date]) -> Iterator[WindowResult]:
        stats = ExtractStats()
        if self.due is not None and self.feed.day_rule is not None:
            try:
                days = self.feed.day_rule.answerable(self.walk.client, account, days, stats)
            except WarehouseError as problem:
                yield WindowResult(problems=[problem.at(account=account.label)], stats=stats)
                return
            if not days:
                yield WindowResult(stats=stats)
        if self.feed.reach is QueryScope.HISTORY:
            for window in self.windows(account, days):
                yield from self.walk.parts(window, days, stats)
            return
        left: list[date] = []
        refusal: WarehouseError | None = None
        in_a_row = 0
        pace, todo = _Pace(), set(days)
        windows = self._windows_in_turn(account, todo, left, stats, pace)
        hopeless = False
        for outcome in run_concurrently(windows, pace.width, MOST_ABREAST):
            if outcome.left:
                left += outcome.left
                refusal = refusal or outcome.problems[0]
                continue
            yield outcome
            pace.is_clear = not outcome.problems
            if any(isinstance(problem, HOPELESS) for problem in outcome.problems):
                hopeless = True
                todo.clear()
            down = [problem for problem in outcome.problems if isinstance(problem, TryLater)]
            in_a_row = in_a_row + 1 if down else 0
            if in_a_row == FAILURES_IN_A_ROW:
                yield WindowResult(problems=[self._given_up(account, down[-1])])
                todo.clear()
        if left and not hopeless:
            yield WindowResult(problems=[self._no_room(account, left, refusal)], left=left)

    def _windows_in_turn(
        self, account: Account, todo: set[date], left: list[date], stats: ExtractStats, pace: _Pace
    ) -> Iterator[Job[WindowResult]]:
        """The days in windows, each chosen by what the ones before it told of rows and points."""
        limits = limits_of(self.feed)
        while todo:
            with self.walk.reading() as connection:
                rows = expectation(connection, account, todo)
                calls = calls_left(self.feed, self.settings, connection, account)
            if left:  # the budget has refused a day: no more is spent on days of unknown size
                rows = {day: each for day, each in rows.items() if each.basis != "unknown"}
            window, passed = next_window(rows, limits, calls, newest_first=self._newest_first)
            left += passed
            if not window:
                left += todo - set(passed)
                return
            todo -= {*window, *passed}
            if calls is None and self.feed.reach is QueryScope.RANGE:
                pace.suit(sum(rows[day].rows for day in window))
            yield partial(self.walk.parts, Window(window[0], window[-1], account), None, stats)
            stats = ExtractStats()

    def _no_room(
        self, account: Account, left: Sequence[date], refusal: WarehouseError | None
    ) -> WarehouseError:
        """The one refusal that tells of all the account's days that the budget had no room for."""
        days = "1 day does" if len(left) == 1 else f"{len(left)} days do"
        what = refusal.what if refusal else f"{days} not fit into what is left of today's points."
        setting = self.feed.quota.setting if self.feed.quota else "the budget"
        return QuotaSpent(
            what,
            source=self.feed.source,
            account=account.label,
            window=Window(min(left), max(left), account),
            way_out=(
                f"run again after midnight {account.time_zone.key}, raise {setting}, or let the"
                f" nightly runs do it: warehouse backfill --spread --source {self.feed.source} --account {account.label} --from {min(left)} --to {max(left)}"
            ),
        )

    def _given_up(self, account: Account, last: WarehouseError) -> WarehouseError:
        return TryLater(
            f"{FAILURES_IN_A_ROW} windows in a row failed, and the account's other days of this run"
            f" were not asked for. The last of them: {last.what}",
            source=self.feed.source,
            account=account.label,
            way_out="run again later; a nightly run takes what is missing by itself.",
        )

    def _extract(self, account: Account, days: Collection[date]) -> Iterator[WindowResult]:
        for window in self.windows(account, days):
            yield self.walk.extract(window)

    def _replay(self, account: Account, days: Collection[date]) -> Iterator[WindowResult]:
        return self.walk.replays(account, sorted(days, reverse=True))

    def windows(self, account: Account, days: Collection[date]) -> list[Window]:
        """The windows to ask for by what stands: days that cost least together, or the whole history."""
        if self.feed.reach is QueryScope.HISTORY:
            last = max(*days, clock.today(account.time_zone), self.settings.start_date)
            return [Window(self.settings.start_date, last, account)]
        with self.walk.reading() as connection:
            rows = expectation(connection, account, days)
        windows = planned_windows(rows, limits_of(self.feed))
        return [Window(window[0], window[-1], account) for window in windows]


class _Board:
    """Which account has committed which day, and which days are done by that."""

    def __init__(self, runner: DayRunner, days: Collection[date]) -> None:
        self.runner = runner
        self.days = set(days)
        self.to_ask: dict[str, set[date]] = {}
        self._open: dict[date, set[str]] = defaultdict(set)
        self._receipts: dict[date, dict[str, Receipt]] = defaultdict(dict)
        self._costs: dict[date, Cost] = defaultdict(Cost)
        for account in runner.accounts:
            label = account.label
            wanted = self.days if runner.due is None else self.days & set(runner.due.get(label, ()))
            known = {day for day in wanted if (label, day) in runner.already}
            self.to_ask[label] = wanted - known
            for day in wanted - known:
                self._open[day].add(label)
            for day in known:
                self._receipts[day][label] = runner.already[label, day]

    def begin(self) -> Iterator[WindowDone]:
        """Days that an earlier try of the run had finished but for the word of it."""
        receipts = [r for of_day in self._receipts.values() for r in of_day.values()]
        if receipts:
            done = WindowDone(committed=receipts)
            self._close(done, list(self._receipts))
            yield done

    def take(self, account: Account, outcome: WindowResult, seconds: float) -> WindowDone:
        """One window of one account has ended."""
        done = WindowDone(
            committed=outcome.receipts,
            problems=outcome.problems,
            left=outcome.left,
            stats=outcome.stats,
            seconds=seconds,
        )
        cost = Cost(
            outcome.stats.requests,
            outcome.stats.points,
            outcome.stats.pages,
            seconds,
            sum(receipt.rows_received for receipt in outcome.receipts),
            len(outcome.receipts),
            dict(outcome.stats.notes),
        )
        for receipt in outcome.receipts:
            self._receipts[receipt.day][account.label] = receipt
            self._costs[receipt.day].add(cost)
            self._open[receipt.day].discard(account.label)
        self._close(done, [receipt.day for receipt in outcome.receipts])
        return done

    def _close(self, done: WindowDone, days: Collection[date]) -> None:
        """Move the days that nobody is waited for any more into ``done``."""
        ready = [day for day in days if day in self.days and not self._open[day]]
        for day in sorted(set(ready) - self._missing_elsewhere(ready), reverse=True):
            done.days[day] = list(self._receipts[day].values())
            done.costs[day] = self._costs[day]

    def _missing_elsewhere(self, days: Collection[date]) -> set[date]:
        """Days that an account which was not to be asked has never had."""
        missing: set[date] = set()
        for account in self.runner.configured:
            label = account.label
            others = [day for day in days if label not in self._receipts[day]]
            if not others:
                continue
            with self.runner.walk.reading() as connection:
                states = load_receipts.day_states(
                    connection, self.runner.feed.source, label, others
                )
            missing |= set(others) - set(states)
        return missing
