"""``warehouse backfill`` and ``warehouse replay``: range runs of Dagster, executed in this process."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from time import monotonic
from typing import Any
from uuid import uuid4

import click

from dagster_project.cli.console import WIDTH
from dagster_project.cli.progress import Progress
from dagster_project.cli.scope import check_days, chosen_feeds
from dagster_project.cli.set_up import make_storage
from dagster_project.config.settings import Settings
from dagster_project.errors import SettingsError, WarehouseError
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.window import each_day
from dagster_project.monitoring.causes import cause_lines
from dagster_project.pipeline import services
from dagster_project.pipeline.fast_imports import gc_paused
from dagster_project.pipeline.outcomes import WindowDone
from dagster_project.pipeline.planner import chunks_of
from dagster_project.text.day_runs import runs_of
from dagster_project.text.remedies import show_rejects
from dagster_project.text.wording import list_reasons, pluralize
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.restored import refuse_restored_dump


@dataclass
class Done:
    """What the runs of one source did, added up.

    ``asked`` and ``loaded`` are days of accounts, ``days`` those that a window of any account ended with.
    """

    feed: Feed
    days: int = 0
    asked: int = 0
    accounts: int = 1
    loaded: set[tuple[str, date]] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    rejected_days: set[date] = field(default_factory=set)
    began: float = field(default_factory=monotonic)
    ended: float | None = None
    runs: list[str] = field(default_factory=list)
    problems: list[WarehouseError] = field(default_factory=list)
    failed: bool = False

    def add(self, chunk: WindowDone) -> None:
        self.days += len(chunk.days)
        self.counts.update(requests=chunk.stats.requests, points=chunk.stats.points)
        self.problems += [*chunk.problems, *chunk.doubts]
        for receipt in chunk.receipts:
            self.loaded.add((receipt.account, receipt.day))
            self.counts.update(received=receipt.rows_received, rejected=receipt.rows_rejected)
            self.reasons.update(receipt.rejected_reasons)
            if receipt.rows_rejected:
                self.rejected_days.add(receipt.day)
            if receipt.already_there:
                self.counts.update(unchanged=receipt.rows)
                continue
            self.counts.update(
                inserted=receipt.rows_inserted,
                updated=receipt.rows_updated,
                deleted=receipt.rows_deleted,
                unchanged=receipt.rows_unchanged,
            )

    @property
    def seconds(self) -> float:
        """Since it began, until now or until its end."""
        return (self.ended or monotonic()) - self.began

    @property
    def changed(self) -> bool:
        return any(self.counts[change] for change in ("inserted", "updated", "deleted"))


@dataclass(frozen=True)
class RunOptions:
    """How days are loaded. Not ``ask``: from the stored responses; no ``accounts``: all of them."""

    ask: bool = True
    accounts: Sequence[str] = ()
    chunk_days: int | None = None
    accept_shrink: bool = False
    accept_rejects: bool = False
    oldest_first: bool = False


def backfill(
    *,
    sources: Sequence[str],
    first: date,
    last: date,
    spread: bool,
    withdraw: bool,
    **options: Any,
) -> int:
    """Load the days, or leave them to the nightly runs; answers the exit status."""
    chosen = RunOptions(**options)
    if not (spread or withdraw):
        return _load(sources, first, last, chosen)
    if (spread and withdraw) or chosen != RunOptions(accounts=chosen.accounts):
        raise click.UsageError(
            "--spread and --withdraw go with --source, --account, --from and --to alone."
        )
    from dagster_project.cli import wishes

    note = wishes.spread if spread else wishes.withdraw
    return note(sources=sources, first=first, last=last, accounts=chosen.accounts)


def replay(*, sources: Sequence[str], first: date, last: date, **options: Any) -> int:
    """Build the days' rows again from the stored responses; answers the exit status."""
    return _load(sources, first, last, RunOptions(ask=False, **options))


def _load(sources: Sequence[str], first: date, last: date, options: RunOptions) -> int:
    """At Ctrl-C it says what stands, and ends."""
    settings = services.settings()
    feeds = chosen_feeds(settings, sources, options.accounts)
    for feed in feeds:
        check_days(feed, settings, first, last)
    done: list[Done] = []
    try:
        run(feeds, list(each_day(first, last)), options, done)
    except KeyboardInterrupt:
        for line in summary_lines(done):
            click.echo(line, err=True)
        click.echo(_after_interrupt(done), err=True)
        raise
    for line in summary_lines(done):
        click.echo(line)
    status = exit_status(done)
    if status:
        click.echo(f"exit status {status}: not all of it is loaded")
    return status


def exit_status(results: Sequence[Done]) -> int:
    """0: all is loaded; 2: nothing was tried, since settings are wrong; else 1."""
    failed = [done for done in results if done.failed]
    if not failed:
        return 0
    only_settings = all(
        not done.loaded
        and done.problems
        and all(isinstance(p, SettingsError) for p in done.problems)
        for done in results
    )
    return 2 if only_settings else 1


def _after_interrupt(done: Sequence[Done]) -> str:
    text = "interrupted: what is committed stays; the same command does the whole range again"
    runs = [run for part in done for run in part.runs]
    return f"{text}, re-executing run {runs[-1]} in the UI only the rest" if runs else text


def run(
    feeds: Sequence[Feed],
    days: Sequence[date],
    options: RunOptions,
    results: list[Done] | None = None,
) -> list[Done]:
    """Range runs of these feeds over these days, one after another, with progress on the way.

    ``results`` is filled as they come, and answered.
    """
    with gc_paused():
        from dagster_project.orchestration import launch, liveness
        from dagster_project.orchestration.instance import opened_instance
        from dagster_project.orchestration.jobs import definitions_of_feed

    settings = services.settings()
    warehouse = services.ready_warehouse(make_storage)
    with (
        safe_errors("beginning"),
        warehouse.connect(what="begin", autocommit=True) as connection,
    ):
        services.refuse_unfit_server(connection)
        refuse_restored_dump(connection, warehouse.seen_erasures)
    results = [] if results is None else results
    with opened_instance(settings, warehouse) as instance:
        liveness.fail_dead_runs(instance, warehouse)
        for feed in feeds:
            start = partial(launch.launch, definitions_of_feed(feed, settings), instance, feed)
            _run_feed(start, feed, days, options, results)
    return results


def _run_feed(
    start: Callable[..., bool],
    feed: Feed,
    days: Sequence[date],
    options: RunOptions,
    results: list[Done],
) -> None:
    """The runs of one feed, added up in a new entry of ``results``."""
    from dagster_project.orchestration import report

    settings = services.settings()
    labels = [account.label for account in feed.accounts(settings)]
    chosen = [label for label in labels if label in options.accounts]
    asked = len(chosen or labels)
    done = Done(feed, asked=len(days) * asked, accounts=asked)
    results.append(done)
    config = {
        "accounts": chosen,
        "accept_shrink": options.accept_shrink,
        "accept_rejects": options.accept_rejects,
        "oldest_first": options.oldest_first,
    }
    with Progress(feed.source, len(days), asked) as progress:

        def on_window(window: WindowDone) -> None:
            done.add(window)
            progress.advance(window)

        for chunk in run_ranges(feed, settings, days, options):
            run_id = str(uuid4())
            done.runs.append(run_id)
            with report.listen(on_window):
                success = start(chunk, run_id=run_id, ask=options.ask, config=config)
            done.failed |= not success
    done.ended = monotonic()


def run_ranges(
    feed: Feed, settings: Settings, days: Sequence[date], options: RunOptions
) -> list[list[date]]:
    """The days of each run: neighbouring, at most the run's length; a whole history is one run."""
    if feed.query_scope is QueryScope.HISTORY:
        return runs_of(days)
    length = options.chunk_days or settings.range_days
    return chunks_of(days, length, newest_first=not options.oldest_first)


def summary_lines(results: Sequence[Done]) -> list[str]:
    """What the runs did, a line a source, and each cause of what went wrong with the way out."""
    lines = []
    for done in results:
        counts, seconds = done.counts, done.seconds
        rate = f", {counts['received'] / seconds:,.0f} rows/s" if counts["received"] else ""
        lines += textwrap.wrap(
            f"{done.feed.source}: {_days(done)}{_changes(done)}", WIDTH, subsequent_indent="  "
        )
        lines.append(
            f"  {pluralize(counts['requests'], 'request')}, {pluralize(counts['points'], 'point')},"
            f" {seconds:.1f} s{rate}"
        )
        lines += [f"  {line}" for line in (*_rejected(done), *cause_lines(done.problems))]
        if done.failed:
            lines.append(f"  failed runs can be re-executed in the UI: {', '.join(done.runs[-3:])}")
    return lines


def _days(done: Done) -> str:
    if not done.failed:
        return pluralize(done.days, "day")
    of_accounts = f" of {pluralize(done.accounts, 'account')}" if done.accounts > 1 else ""
    failed = done.asked - len(done.loaded)
    return f"{len(done.loaded):,} of {pluralize(done.asked, 'day')}{of_accounts} loaded, {failed:,} failed"


def _rejected(done: Done) -> list[str]:
    """Why records were rejected, and where to look at them."""
    if not done.rejected_days:
        return []
    first, last = min(done.rejected_days), max(done.rejected_days)
    look = show_rejects(done.feed.source, None, first, last)
    why = list_reasons(done.reasons)
    rejected = f"{done.counts['rejected']:,} rejected{f': {why}' if why else ''}"
    return [rejected, f"  look at them: {look}"]


def _changes(done: Done) -> str:
    if not done.loaded:
        return ""
    counts = done.counts
    rejected = f", {counts['rejected']:,} rejected" if done.rejected_days else ""
    if not done.changed:
        stand = "stands" if counts["unchanged"] == 1 else "stand"
        return f", nothing changed ({pluralize(counts['unchanged'], 'row')} {stand}){rejected}"
    changes = (
        f"{counts[change]:,} {change}" for change in ("inserted", "updated", "deleted", "unchanged")
    )
    return f", {', '.join(changes)}{rejected}"
