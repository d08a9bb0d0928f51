"""Tells Dagster of days that are committed, many at once, and goes on where its storage takes nothing.

A day's rows stand whether or not its events could be written. What could not be told is tried again
with each window that ends, and at the end of the run; what is left then is told by the next run of the
source, by the receipts that nobody marked as reported.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from time import monotonic

from dagster_project.errors import WarehouseError
from dagster_project.model.receipt import Receipt
from dagster_project.orchestration import liveness
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.outcomes import Cost, WindowDone
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.ledger import load_receipts

Write = Callable[[WindowDone], None]

FAILURES_IN_A_ROW = 2
"""So many, and Dagster's storage is taken to be down until the next window ends."""
MOST_DAYS = 100
"""That are written together: a transaction of a second at most, and few days to try again."""
WAITING_SECONDS = 0.3
"""Days wait so long for others, so that Dagster shows them within a second of their commit."""
HEARTBEAT_SECONDS = 0.25
"""How often to see whether they have waited that long."""


@dataclass(frozen=True)
class _Waiting:
    chunk: WindowDone
    write: Write


class Reporter:
    """Writes events; what cannot be written waits. Left as a context, however, it writes what waits."""

    def __init__(self, feed_run: FeedRun) -> None:
        self._feed_run = feed_run
        self._waiting: deque[_Waiting] = deque()
        self._failure: Exception | None = None
        self._is_down = False
        self._new = 0
        self._oldest = 0.0

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.write()

    def add(self, chunk: WindowDone, write: Write) -> None:
        """Have the chunk written soon, days first, and what is not of a day last."""
        if not self._new:
            self._oldest = monotonic()
        self._new += max(1, len(chunk.days))
        for day, receipts in chunk.days.items():
            of_day = replace(chunk, days={day: receipts}, problems=[])
            self._waiting.append(_Waiting(of_day, write))
        if chunk.problems or not chunk.days:
            self._waiting.append(_Waiting(replace(chunk, days={}), write))
        self.write_due()

    def write_due(self) -> None:
        """Write what was added, once it has waited for others or is enough."""
        has_waited = monotonic() - self._oldest >= WAITING_SECONDS
        if self._new and (has_waited or self._new >= MOST_DAYS):
            self.write()

    def write(self) -> None:
        """Try all that waits once: together, and one by one where that fails."""
        self._new = 0
        left, self._waiting = self._waiting, deque()
        failures = 0
        while left and failures < FAILURES_IN_A_ROW:
            group = _next_group(left)
            if len(group) > 1 and self._try(_together(group)):
                continue
            for number, one in enumerate(group):
                if failures == FAILURES_IN_A_ROW:
                    left.extendleft(reversed(group[number:]))
                    break
                failures = 0 if self._try(one) else failures + 1
        self._waiting.extendleft(reversed(left))

    def _try(self, one: _Waiting) -> bool:
        """Write it; what a single one's failure leaves waits for the next time."""
        try:
            one.write(one.chunk)
        except Exception as error:  # noqa: BLE001 - whatever keeps Dagster from being told
            self._failure, self._is_down = error, True
            if len(one.chunk.days) <= 1:
                self._waiting.append(one)
            return False
        self._is_down = False
        told = _receipts_of(one.chunk)
        # Not marked is told once more by the next run: no reason to stop this one.
        with suppress(WarehouseError), self._feed_run.connections.reading() as connection:
            load_receipts.mark_reported(connection, told)
        return True

    def tell(self, line: Callable[[], None]) -> None:
        """Write a line of the run's log; where Dagster's storage is down, the run goes on without."""
        if self._is_down:
            return
        try:
            line()
        except Exception as error:  # noqa: BLE001 - whatever keeps Dagster from being told
            self._failure, self._is_down = error, True

    @property
    def problem(self) -> str:
        """What Dagster does not know, and how it will; empty: it knows all."""
        if not self._waiting:
            return ""
        days = {day for waiting in self._waiting for day in waiting.chunk.days}
        what = f"{pluralize(len(days), 'day')} loaded that" if days else "checks that"
        return (
            f"{what} Dagster could not be told of, since its storage takes no events"
            f" ({type(self._failure).__name__}). The rows are committed; the next run of"
            f" {self._feed_run.feed.source} reports what this one could not."
        )


@dataclass(frozen=True)
class UnreportedDays:
    """Days that an earlier run committed and Dagster does not know of."""

    run_id: str
    chunk: WindowDone
    asked: bool


def read_unreported(
    feed_run: FeedRun, but: Collection[tuple[str, date]]
) -> Iterator[UnreportedDays]:
    """What runs that are over have left, of days that every account has; ``but``: what comes anyway."""
    accounts = [account.label for account in feed_run.feed.accounts(feed_run.settings)]
    by_run: dict[str, dict[date, list[Receipt]]] = defaultdict(lambda: defaultdict(list))
    with feed_run.connections.reading() as connection:
        left = load_receipts.unreported(connection, feed_run.feed.source)
        over = {run for run in left if liveness.is_over(connection, run)}
        days = {receipt.day for run in over for receipt in left[run]}
        whole = load_receipts.days_of_all(connection, feed_run.feed.source, accounts, sorted(days))
    for run in over:
        for receipt in left[run]:
            if receipt.day in whole and (receipt.account, receipt.day) not in but:
                by_run[run][receipt.day].append(receipt)
    for run, of_run in by_run.items():
        chunk = WindowDone(days=dict(of_run), costs=dict.fromkeys(of_run, Cost()))
        yield UnreportedDays(run, chunk, not all(r.is_replay for r in _receipts_of(chunk)))


def _next_group(waiting: deque[_Waiting]) -> list[_Waiting]:
    """Take off what comes next: days that are written alike, or what is not of a day."""
    group = [waiting.popleft()]
    while group[0].chunk.days and waiting and len(group) < MOST_DAYS:
        if waiting[0].write != group[0].write or not waiting[0].chunk.days:
            break
        group.append(waiting.popleft())
    return group


def _together(group: Sequence[_Waiting]) -> _Waiting:
    chunks = [one.chunk for one in group]
    days = {day: receipts for chunk in chunks for day, receipts in chunk.days.items()}
    costs = {day: cost for chunk in chunks for day, cost in chunk.costs.items()}
    return _Waiting(WindowDone(days=days, costs=costs), group[0].write)


def _receipts_of(chunk: WindowDone) -> list[Receipt]:
    return [receipt for receipts in chunk.days.values() for receipt in receipts]
