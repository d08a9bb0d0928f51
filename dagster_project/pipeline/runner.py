"""Run days of a feed through windows: the plain functions under every run.

Accounts run concurrently, each through windows of its own, newest first unless asked otherwise; one
account's failure leaves the others loading. A day is *done* when every account that was to be asked for
it has committed it and every other configured account of the source has it already; the caller logs
its materialization then, so that a later failure keeps the earlier days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from time import monotonic

from dagster_project.concurrency import run_accounts
from dagster_project.errors import SettingsError, WarehouseError
from dagster_project.model.receipt import Receipt
from dagster_project.model.window import Account
from dagster_project.pipeline.account_windows import extract_account, refresh_account
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.outcomes import HEARTBEAT, Cost, Stopped, WindowDone, WindowResult
from dagster_project.pipeline.replay import replay_account
from dagster_project.warehouse.ledger import load_receipts


@dataclass(frozen=True)
class RunScope:
    """Which days of which accounts a run takes.

    ``accounts``: only these; empty: all that are configured. ``already``: receipts of an earlier try of
    the run; those days are not asked again. ``due``: for each account the days that are to be asked for;
    None: all. ``heartbeat``: where no window ends for so many seconds, ``HEARTBEAT`` is yielded.
    """

    days: Collection[date]
    accounts: Collection[str] = ()
    already: Mapping[tuple[str, date], Receipt] = field(default_factory=dict)
    due: Mapping[str, Collection[date]] | None = None
    newest_first: bool = True
    heartbeat: float | None = None

    def days_of(self, account: Account) -> set[date]:
        """The account's days, those of an earlier try among them."""
        days = set(self.days)
        return days if self.due is None else days & set(self.due.get(account.label, ()))


class DayProgress:
    """Which account has committed which day, and which days are done by that.

    Args:
        to_ask: by account, the days that it is asked for.
        already: receipts of the others, committed by an earlier try of the run.
    """

    def __init__(
        self,
        run: FeedRun,
        days: Collection[date],
        to_ask: Mapping[str, Collection[date]],
        already: Collection[Receipt],
    ) -> None:
        self._run = run
        self._days = set(days)
        self._open: dict[date, set[str]] = defaultdict(set)
        self._receipts: dict[date, dict[str, Receipt]] = defaultdict(dict)
        self._costs: dict[date, Cost] = defaultdict(Cost)
        for label, of_account in to_ask.items():
            for day in of_account:
                self._open[day].add(label)
        for receipt in already:
            self._receipts[receipt.day][receipt.account] = receipt

    def begin(self) -> Iterator[WindowDone]:
        """Days that an earlier try of the run had finished but for the word of it."""
        receipts = [r for of_day in self._receipts.values() for r in of_day.values()]
        if receipts:
            done = WindowDone(receipts)
            self._close(done, list(self._receipts))
            yield done

    def take(self, account: Account, result: WindowResult, seconds: float) -> WindowDone:
        """Note that one window of one account has ended."""
        stats = result.stats
        done = WindowDone(**vars(result), seconds=seconds)
        cost = Cost(
            stats.requests,
            stats.points,
            stats.pages,
            seconds,
            sum(receipt.rows_received for receipt in result.receipts),
            len(result.receipts),
            dict(stats.notes),
        )
        for receipt in result.receipts:
            self._receipts[receipt.day][account.label] = receipt
            self._costs[receipt.day].add(cost)
            self._open[receipt.day].discard(account.label)
        self._close(done, [receipt.day for receipt in result.receipts])
        return done

    def _close(self, done: WindowDone, days: Collection[date]) -> None:
        """Move the days that nobody is waited for any more into ``done``."""
        ready = [day for day in days if day in self._days and not self._open[day]]
        for day in sorted(set(ready) - self._missing_elsewhere(ready), reverse=True):
            done.days[day] = list(self._receipts[day].values())
            done.costs[day] = self._costs[day]

    def _missing_elsewhere(self, days: Collection[date]) -> set[date]:
        """Days that an account which was not to be asked has never had."""
        run = self._run
        others = [
            (account.label, day)
            for account in run.feed.accounts(run.settings)
            for day in days
            if account.label not in self._receipts[day]
        ]
        if not others:
            return set()
        with run.connections.reading() as connection:
            return load_receipts.missing_days(connection, run.feed.source, others)


def refresh_days(run: FeedRun, scope: RunScope) -> Iterator[WindowDone]:
    """Ask the vendor for these days and load them."""
    step = partial(
        refresh_account,
        run,
        is_due_only=scope.due is not None,
        newest_first=scope.newest_first,
    )
    return _run_days(run, scope, step)


def extract_days(run: FeedRun, scope: RunScope) -> Iterator[WindowDone]:
    """Ask the vendor for these days and store the responses only."""
    return _run_days(run, scope, partial(extract_account, run))


def replay_days(run: FeedRun, scope: RunScope) -> Iterator[WindowDone]:
    """Rebuild these days from stored responses."""
    return _run_days(run, scope, partial(replay_account, run))


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
            hint=f"use one of {', '.join(configured)}.",
        )


Step = Callable[[Account, Collection[date]], Iterator[WindowResult]]


def _run_days(run: FeedRun, scope: RunScope, step: Step) -> Iterator[WindowDone]:
    """Take each account's days through the step; yields what each window ended with, as it comes."""
    accounts = run.feed.chosen_accounts(run.settings, scope.accounts)
    to_ask: dict[str, set[date]] = {}
    already: list[Receipt] = []
    for account in accounts:
        days = scope.days_of(account)
        known = {day for day in days if (account.label, day) in scope.already}
        to_ask[account.label] = days - known
        already += [scope.already[account.label, day] for day in known]
    progress = DayProgress(run, scope.days, to_ask, already)
    yield from progress.begin()
    jobs = {
        f"{run.feed.source} {account.label}": partial(
            _run_account, run, step, account, to_ask[account.label]
        )
        for account in accounts
        if to_ask[account.label]
    }
    with closing(run_accounts(jobs, run.stop, scope.heartbeat)) as results:
        for ended in results:
            yield HEARTBEAT if ended is None else progress.take(*ended)


def _run_account(
    run: FeedRun, step: Step, account: Account, days: Collection[date]
) -> Iterator[tuple[Account, WindowResult, float]]:
    """One account's results, each with the seconds since the one before; an error ends them as a result."""
    began = monotonic()
    try:
        for result in step(account, days):
            now = monotonic()
            yield account, result, now - began
            began = now
    except Stopped:
        return
    except WarehouseError as problem:
        problem.add_context(source=account.source, account=account.label)
        yield account, WindowResult(problems=[problem]), monotonic() - began
    run.note_finished(account)
