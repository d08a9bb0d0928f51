"""Days of a feed, taken through the walk chunk by chunk: the plain function under every run.

Newest days go first unless asked otherwise. Within a chunk the accounts go side by side; one
account's failure leaves the others loading. A day is *done* when every configured account of the
source has committed it; whoever called logs its materialization then, so that a later failure
keeps the earlier days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from itertools import pairwise
from time import monotonic

from dagster_project.errors import (
    AccessDenied,
    CredentialsRefused,
    QuotaSpent,
    RequestRefused,
    WarehouseError,
)
from dagster_project.feed import Feed, Outcome, Reach, Walk
from dagster_project.model import ONE_DAY, Account, Tally, Window
from dagster_project.settings import Settings
from dagster_project.warehouse import ledger
from dagster_project.warehouse.ledger import Receipt

_HOPELESS = (CredentialsRefused, AccessDenied, RequestRefused, QuotaSpent)
"""After one of these the account's other windows of the run would fail alike: they are not asked."""


@dataclass
class ChunkDone:
    """What one chunk of days ended with.

    ``days`` are done: their receipts, one for each account that this run (or, re-executed, the
    run before it) committed. ``committed`` has the receipts of days that wait for other accounts.
    """

    days: dict[date, list[Receipt]] = field(default_factory=dict)
    committed: list[Receipt] = field(default_factory=list)
    problems: list[WarehouseError] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0


Step = Callable[[Account, Sequence[date]], Outcome]


class DayRunner:
    """Takes days of one feed through one kind of step: refresh, extract or replay."""

    def __init__(
        self,
        walk: Walk,
        settings: Settings,
        accounts: Collection[str] = (),
        already: Mapping[tuple[str, date], Receipt] | None = None,
    ) -> None:
        self.walk = walk
        self.feed: Feed = walk.feed
        self.settings = settings
        self.configured = self.feed.accounts(settings)
        self.accounts = [a for a in self.configured if not accounts or a.label in accounts]
        self.already = already or {}
        self._hopeless: dict[str, WarehouseError] = {}

    def refresh(self, days: Collection[date], *, newest_first: bool = True) -> Iterator[ChunkDone]:
        """Ask the vendor for these days and load them."""
        return self._chunks(days, self._refresh, newest_first)

    def extract(self, days: Collection[date], *, newest_first: bool = True) -> Iterator[ChunkDone]:
        """Ask the vendor for these days and store the responses only."""
        return self._chunks(days, self._extract, newest_first)

    def replay(self, days: Collection[date], *, newest_first: bool = True) -> Iterator[ChunkDone]:
        """Rebuild these days from stored responses."""
        return self._chunks(days, self._replay, newest_first)

    def _chunks(
        self, days: Collection[date], step: Step, newest_first: bool
    ) -> Iterator[ChunkDone]:
        length = len(days) if self.feed.reach is Reach.HISTORY else self.feed.window_days
        with ThreadPoolExecutor(
            max_workers=max(1, min(4, len(self.accounts))), thread_name_prefix=self.feed.source
        ) as pool:
            for chunk in chunks_of(days, max(1, length), newest_first=newest_first):
                started = monotonic()
                outcomes = list(pool.map(partial(self._one, chunk, step), self.accounts))
                done = self._chunk_done(chunk, outcomes)
                done.seconds = monotonic() - started
                yield done

    def _one(self, chunk: Sequence[date], step: Step, account: Account) -> Outcome:
        """The step for one account, without the days that an earlier try of the run committed."""
        known = [
            self.already[account.label, day]
            for day in chunk
            if (account.label, day) in self.already
        ]
        left = [day for day in chunk if (account.label, day) not in self.already]
        outcome = Outcome(receipts=known)
        if not left:
            return outcome
        hopeless = self._hopeless.get(account.label)
        if hopeless is not None:
            return outcome
        outcome.add(step(account, left))
        for problem in outcome.problems:
            if isinstance(problem, _HOPELESS):
                self._hopeless[account.label] = problem
        return outcome

    def _refresh(self, account: Account, days: Sequence[date]) -> Outcome:
        outcome = Outcome()
        for window in self.windows(account, days):
            outcome.add(self.walk.refresh(window, wanted=days))
            if any(isinstance(problem, _HOPELESS) for problem in outcome.problems):
                break
        return outcome

    def _extract(self, account: Account, days: Sequence[date]) -> Outcome:
        outcome = Outcome()
        for window in self.windows(account, days):
            outcome.add(self.walk.extract(window))
        return outcome

    def _replay(self, account: Account, days: Sequence[date]) -> Outcome:
        return self.walk.replay(account, days)

    def windows(self, account: Account, days: Sequence[date]) -> list[Window]:
        """The windows to ask for: runs of neighbouring days, or the whole history once."""
        if self.feed.reach is Reach.HISTORY:
            last = max(*days, datetime.now(account.time_zone).date(), self.settings.start_date)
            return [Window(self.settings.start_date, last, account)]
        return [Window(run[0], run[-1], account) for run in runs_of(days)]

    def _chunk_done(self, chunk: Sequence[date], outcomes: Sequence[Outcome]) -> ChunkDone:
        done = ChunkDone()
        by_day: dict[date, dict[str, Receipt]] = defaultdict(dict)
        for outcome in outcomes:
            done.problems += outcome.problems
            done.tally.requests += outcome.tally.requests
            done.tally.points += outcome.tally.points
            done.tally.pages += outcome.tally.pages
            for receipt in outcome.receipts:
                by_day[receipt.day][receipt.account] = receipt
        done.committed = [r for receipts in by_day.values() for r in receipts.values()]
        for day in sorted(chunk, reverse=True):
            if self._is_done(day, by_day[day]):
                done.days[day] = list(by_day[day].values())
        return done

    def _is_done(self, day: date, committed: Mapping[str, Receipt]) -> bool:
        if not all(account.label in committed for account in self.accounts):
            return False
        others = [a for a in self.configured if a.label not in committed]
        if not others:
            return True
        with self.walk.reading() as connection:
            return all(
                ledger.day_states(connection, self.feed.source, account.label, [day])
                for account in others
            )


def runs_of(days: Sequence[date]) -> list[list[date]]:
    """Ascending runs of neighbouring days."""
    ordered = sorted(days)
    runs = [[ordered[0]]] if ordered else []
    for before, day in pairwise(ordered):
        if day - before == ONE_DAY:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def chunks_of(
    days: Collection[date], length: int, *, newest_first: bool = True
) -> list[list[date]]:
    """Chunks of at most ``length`` days in the order they are to be taken."""
    ordered = sorted(set(days), reverse=newest_first)
    return [sorted(ordered[at : at + length]) for at in range(0, len(ordered), length)]
