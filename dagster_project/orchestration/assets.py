"""Assets made from feeds: for each, the stored responses and the rows, in daily partitions.

Both assets of a feed are one ``multi_asset``: what is selected says what a run does. Both: ask the
vendor, store, load. The rows alone: rebuild them from stored responses, without a vendor call. The
responses alone: ask and store.

A run takes a range of days. Each day's materialization is logged as it commits, so a later failure
keeps the earlier days, and a re-executed run does only the days that its predecessors left.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import dagster as dg
from pydantic import BaseModel, Field

from dagster_project.config.settings import Settings
from dagster_project.errors import WarehouseError
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.receipt import Receipt
from dagster_project.orchestration import (
    checks,
    interrupts,
    literal_config,
    liveness,
    nights,
    report,
)
from dagster_project.orchestration.day_events import DayEvents
from dagster_project.orchestration.event_log import event_batch
from dagster_project.orchestration.instance import keep_connections
from dagster_project.orchestration.names import op_name
from dagster_project.orchestration.relations import RESPONSES, table_metadata
from dagster_project.orchestration.reporter import (
    HEARTBEAT_SECONDS,
    Reporter,
    UnreportedDays,
    read_unreported,
)
from dagster_project.pipeline import opening, services
from dagster_project.pipeline.due_days import Due
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.outcomes import HEARTBEAT, WindowDone
from dagster_project.pipeline.runner import (
    RunScope,
    extract_days,
    refresh_days,
    refuse_unknown_accounts,
    replay_days,
)
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.ledger.manual_acts import note_act

ACCEPTING = ("accept_shrink", "accept_rejects")
"""Settings of a run that take what would be held back."""


class RefreshConfig(BaseModel):
    """What a person may set for a run in the launchpad, in literal values.

    ``accounts``: only these (sites, account labels, companies); empty: all. ``accept_shrink``: take
    days that came back with far fewer rows. ``accept_rejects``: take days of which records, or a
    field, can no longer be read. ``oldest_first``: the other way round. ``only_due``: of
    the run's days ask each account only for those that are due tonight, as the nightly runs do; what
    its budget has no room for is left for another night.
    """

    accounts: list[str] = Field(default_factory=list)
    accept_shrink: bool = False
    accept_rejects: bool = False
    oldest_first: bool = False
    only_due: bool = False


def partitions_of(feed: Feed, settings: Settings) -> dg.DailyPartitionsDefinition:
    """Daily partitions in the source's time zone, from the first partition to the last ended day."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(),
        timezone=str(feed.time_zone(settings)),
        end_offset=1 if feed.loads_today else 0,
    )


def assets_of(feed: Feed, settings: Settings) -> dg.AssetsDefinition:
    """The two assets of a feed."""
    partitions = partitions_of(feed, settings)
    table = f"warehouse.{feed.table.name}"
    raw = dg.AssetSpec(
        list(feed.raw_asset),
        partitions_def=partitions,
        skippable=True,
        group_name=feed.asset[0],
        kinds={"http", "postgres"},
        description=(
            f"{feed.title}: the vendor's answers as received, in `raw.response`. "
            "Materializing this asset alone asks the vendor and stores; rows stay as they are."
        ),
        owners=settings.owners,
        metadata=table_metadata(RESPONSES),
    )
    rows = dg.AssetSpec(
        list(feed.asset),
        deps=[raw],
        partitions_def=partitions,
        skippable=True,
        group_name=feed.asset[0],
        kinds={"postgres", "table"},
        owners=settings.owners,
        metadata={"table": table, **table_metadata(table)},
        description=(
            f"{feed.title}: the rows of `{table}`. Materializing this asset "
            "alone **replays**: the rows are rebuilt from the stored responses, without a call to "
            f"the vendor. Select both assets (job `refresh_{feed.source}`) to ask the vendor again."
        ),
    )

    @dg.multi_asset(
        name=op_name(feed),
        specs=[raw, rows],
        can_subset=True,
        pool=feed.source,
        backfill_policy=_backfill_policy(feed, settings),
        check_specs=checks.specs_of(feed, rows, partitions),
        op_tags={"source": feed.source},
        config_schema=literal_config.schema_of(RefreshConfig),
    )
    def refresh(context: dg.AssetExecutionContext) -> Iterator[dg.Output[None]]:
        with report.telling_causes(feed):
            _run(context, feed, RefreshConfig(**context.op_execution_context.op_config))
        # The checks were told of by day; without their outputs each run would log that they are absent.
        with event_batch(context.instance):
            for name in context.assets_def.check_specs_by_output_name:
                yield dg.Output(None, name)

    return refresh


def _backfill_policy(feed: Feed, settings: Settings) -> dg.BackfillPolicy:
    if feed.query_scope is QueryScope.HISTORY:
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(max_partitions_per_run=settings.range_days)


@dataclass(frozen=True)
class _Task:
    """What a run is to do. ``due``: of a nightly run, what is due tonight, by account.

    ``ask``: the vendor, else what is stored; ``load``: the rows, else responses are stored alone.
    """

    context: dg.AssetExecutionContext
    config: RefreshConfig
    days: Sequence[date]
    due: Mapping[str, Due] | None
    ask: bool
    load: bool


def _run(context: dg.AssetExecutionContext, feed: Feed, config: RefreshConfig) -> None:
    settings = services.settings()
    keep_connections(context.instance)
    _check_accounts(feed, settings, config.accounts)
    task = _Task(
        context,
        config,
        [date.fromisoformat(key) for key in context.partition_keys],
        nights.due_of_accounts(feed, settings, services.warehouse()) if config.only_due else None,
        ask=dg.AssetKey(feed.raw_asset) in context.selected_asset_keys,
        load=dg.AssetKey(feed.asset) in context.selected_asset_keys,
    )
    with (
        interrupts.noted(context),
        liveness.alive(services.warehouse(), context.run.run_id),
        opening.open_pipeline(
            feed,
            run_id=context.run.run_id,
            accept_shrink=config.accept_shrink,
            accept_rejects=config.accept_rejects,
        ) as feed_run,
    ):
        _note_acceptance(task, feed_run)
        reporter = Reporter(feed_run)
        problems = _run_days(task, feed_run, reporter)
    if reporter.problem:
        context.log.error(reporter.problem)
    if problems:
        raise report.failure(feed, problems, asked=task.ask)
    if reporter.problem:
        raise dg.Failure(f"{feed.source}: {reporter.problem}", allow_retries=False)


def _run_days(task: _Task, feed_run: FeedRun, reporter: Reporter) -> list[WarehouseError]:
    """Take the days through their steps, and report each as it is committed; returns what failed."""
    already = _committed_before(task, feed_run)
    if task.load:
        for late in read_unreported(feed_run, but=already):
            _report_late(task.context, feed_run, reporter, late)
    scope = RunScope(
        task.days,
        task.config.accounts,
        already,
        _days_to_ask(feed_run.feed, task.due),
        newest_first=not task.config.oldest_first,
        heartbeat=HEARTBEAT_SECONDS,
    )
    events = DayEvents(task.context, feed_run, asked=task.ask, loaded=task.load)
    step = (refresh_days if task.load else extract_days) if task.ask else replay_days
    problems: list[WarehouseError] = []
    done = 0
    with reporter:
        for chunk in step(feed_run, scope):
            if chunk is HEARTBEAT:
                reporter.write_due()
                continue
            reporter.add(chunk, events.write)
            done += len(chunk.days)
            total = len(task.days)
            report.progress(task.context, feed_run.feed, chunk, done, total, reporter.tell)
            problems += _problems_of(task, chunk, reporter)
    if task.load:
        reporter.add(WindowDone(), events.write_source)
    reporter.write()
    return problems


def _problems_of(task: _Task, chunk: WindowDone, reporter: Reporter) -> list[WarehouseError]:
    """What failed in a window; that days wait for another night's budget is no failure."""
    doubts = chunk.doubts if task.load else []
    if task.due is not None and nights.may_wait(task.due, chunk):
        reporter.tell(partial(task.context.log.info, nights.waiting_message(chunk)))
        return [*doubts]
    return [*chunk.problems, *doubts]


def _committed_before(task: _Task, feed_run: FeedRun) -> Mapping[tuple[str, date], Receipt]:
    """What the runs committed that this one re-executes: it is not asked for again."""
    if not (task.ask and task.load):
        return {}
    tries = _earlier_tries(task.context)
    with feed_run.connections.reading() as connection:
        return load_receipts.committed_by_runs(connection, feed_run.feed.source, tries)


def _report_late(
    context: dg.AssetExecutionContext,
    feed_run: FeedRun,
    reporter: Reporter,
    late: UnreportedDays,
) -> None:
    """Tell Dagster now of days that an earlier run committed and could not tell of, or was killed."""
    context.log.info(
        f"{pluralize(len(late.chunk.days), 'day')} that run {late.run_id} committed, and that Dagster was"
        " not told of, are reported now."
    )
    events = DayEvents(context, feed_run, asked=late.asked, loaded=True, committed_by=late.run_id)
    reporter.add(late.chunk, events.write)


def _note_acceptance(task: _Task, feed_run: FeedRun) -> None:
    """Who has days taken that would be held back."""
    accepted = [name for name in ACCEPTING if getattr(task.config, name)]
    if not accepted:
        return
    whose = ", ".join(task.config.accounts) or "every account"
    about = f"{feed_run.feed.source}, {whose}, {min(task.days)} to {max(task.days)}"
    with feed_run.connections.reading() as connection:
        for name in accepted:
            note_act(connection, name.replace("_", "-"), about, task.context.run.run_id)


def _days_to_ask(
    feed: Feed, due: Mapping[str, Due] | None
) -> Mapping[str, Collection[date]] | None:
    """By account, what a nightly run asks for; a whole history is read at once, so all of its days."""
    if due is None or feed.query_scope is QueryScope.HISTORY:
        return None
    return {label: of_account.days for label, of_account in due.items()}


def _check_accounts(feed: Feed, settings: Settings, wanted: list[str]) -> None:
    configured = [account.label for account in feed.accounts(settings)]
    if not configured:
        feed.section(settings)  # says what is missing
    refuse_unknown_accounts(wanted, configured, source=feed.source)


def _earlier_tries(context: dg.AssetExecutionContext) -> list[str]:
    """The runs that this one re-executes, itself included (a step may be retried)."""
    tries = [context.run.run_id]
    run = context.run
    while run is not None and run.parent_run_id is not None and run.parent_run_id not in tries:
        tries.append(run.parent_run_id)
        run = context.instance.get_run_by_id(run.parent_run_id)
    return tries
