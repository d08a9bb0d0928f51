"""Asset checks of a feed's rows, evaluated for each day as it is materialized.

Days that are reported together are evaluated by one query a check. In a run over a range of days Dagster
records no partition for a returned result, so evaluations are logged, each with its day and the
materialization it speaks of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from dagster_project.errors import AnswerNotTrusted
from dagster_project.model.check_outcome import (
    COMPLETE,
    DATES_INSIDE,
    HELD,
    KNOWN_VALUES,
    NO_REJECTS,
    PLAUSIBLE_VOLUME,
    READABLE,
    CheckOutcome,
)
from dagster_project.model.feed import Feed
from dagster_project.model.receipt import Receipt
from dagster_project.orchestration import freshness, reconciliation, report
from dagster_project.orchestration.names import ACCOUNT
from dagster_project.pipeline import day_checks
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger.held_days import HeldDay, held_days

_DESCRIPTIONS = {
    COMPLETE: "Every record that the vendor counts was received, and is loaded or in ops.rejected_record.",
    NO_REJECTS: "Every record of the day could be loaded.",
    KNOWN_VALUES: "No status, key or form that the code does not know.",
    DATES_INSIDE: "No record dated outside of the window that was asked for.",
    HELD: "No newer answer of the day is held back: neither did it lose too many of the day's"
    " rows, nor can records or a field of it no longer be read.",
    READABLE: "The day's last answer could be read; of a first load nearly all records, every field.",
    PLAUSIBLE_VOLUME: "No account has a sharp drop against the same weekday of the last four weeks; nothing is said"
    f" of fewer than {day_checks.LEAST_SAMPLES} of them.",
}
_SEVERITIES = {"error": dg.AssetCheckSeverity.ERROR, "warning": dg.AssetCheckSeverity.WARN}


def specs_of(
    feed: Feed, rows: dg.AssetSpec, partitions: dg.PartitionsDefinition[str]
) -> list[dg.AssetCheckSpec]:
    """The checks of a feed's rows, each by day; ``fresh`` is of the source."""
    by_day = [
        dg.AssetCheckSpec(name, asset=rows.key, description=description, partitions_def=partitions)
        for name, description in _DESCRIPTIONS.items()
    ]
    fresh = dg.AssetCheckSpec(freshness.NAME, asset=rows.key, description=freshness.DESCRIPTION)
    return [*by_day, fresh]


def of_source(feed_run: FeedRun) -> Iterator[dg.AssetCheckEvaluation]:
    """How the source stands at the end of a run; nothing is asked of the vendor for it."""
    feed, settings = feed_run.feed, feed_run.settings
    with feed_run.connections.reading() as connection:
        found = freshness.freshness(connection, feed_run.warehouse, feed, settings)
        if found is not None:
            yield freshness.evaluation(feed, found)
        if feed.whole_month is not None:
            months = reconciliation.evaluation(connection, feed, settings)
            if months is not None:
                yield months


def evaluations(
    context: dg.AssetExecutionContext,
    feed_run: FeedRun,
    days: Mapping[date, Sequence[Receipt]],
    targets: Mapping[date, Target],
) -> Iterator[dg.AssetCheckEvaluation]:
    """The evaluations of these days; ``targets``: their materializations, where they are known."""
    with feed_run.connections.reading() as connection:
        held = _held_of(connection, feed_run.feed.source, days)
        every = [receipt for receipts in days.values() for receipt in receipts]
        before = day_checks.earlier_volumes(connection, every)
    for day, receipts in days.items():
        results = _results(receipts, held[day], before)
        yield from _evaluations(context, feed_run.feed, day, results, targets.get(day))


def held(
    context: dg.AssetExecutionContext, feed_run: FeedRun, days: Collection[date]
) -> Iterator[dg.AssetCheckEvaluation]:
    """Evaluations of days of which an answer is held back: their old rows and materializations stand."""
    with feed_run.connections.reading() as connection:
        found = _held_of(connection, feed_run.feed.source, days)
    for day in days:
        yield from _evaluations(context, feed_run.feed, day, [_held(found[day])])


def not_read(
    context: dg.AssetExecutionContext, feed_run: FeedRun, day: date, problem: AnswerNotTrusted
) -> Iterator[dg.AssetCheckEvaluation]:
    """The evaluation of a day whose newer answer was not taken at all: its old rows stand."""
    result = CheckOutcome(
        READABLE,
        False,
        "error",
        problem.what,
        {f"{ACCOUNT}{problem.account}": str(problem)},
    )
    return _evaluations(context, feed_run.feed, day, [result])


def _evaluations(
    context: dg.AssetExecutionContext,
    feed: Feed,
    day: date,
    results: Iterable[CheckOutcome],
    target: Target | None = None,
) -> Iterator[dg.AssetCheckEvaluation]:
    target = target or _target(context, dg.AssetKey(feed.asset), day.isoformat())
    for result in results:
        yield dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(feed.asset),
            check_name=result.name,
            passed=result.passed,
            severity=_SEVERITIES[result.severity],
            description=result.said,
            metadata=dict(result.figures),
            target_materialization_data=target,
            partition=day.isoformat(),
        )


def _results(
    receipts: Sequence[Receipt], held: Sequence[HeldDay], before: day_checks.Volumes
) -> Iterator[CheckOutcome]:
    for outcome in day_checks.outcomes_of(receipts, before):
        yield _held(held) if outcome.name == HELD else outcome


def _held_of(
    connection: Connection, source: str, days: Collection[date]
) -> Mapping[date, list[HeldDay]]:
    """By day what is held, of any account: a run narrowed to the others does not hide it."""
    found: dict[date, list[HeldDay]] = defaultdict(list)
    for one in held_days(connection, source, days=days):
        found[one.day].append(one)
    return found


def _held(held: Sequence[HeldDay]) -> CheckOutcome:
    said = "; ".join(f"account {one.account}: {one.why}; {one.hint}" for one in held)
    figures: dict[str, Any] = {f"account {one.account}": one.why for one in held}
    for one in held:
        figures[f"what taking it changes, account {one.account}"] = dg.MetadataValue.md(
            report.beside_table(one.figures)
        )
        figures[f"way out, account {one.account}"] = one.hint
    return CheckOutcome(
        HELD,
        not held,
        "error",
        said or "no answer is held back",
        figures,
    )


def _target(context: dg.AssetExecutionContext, key: dg.AssetKey, partition: str) -> Target | None:
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(key, asset_partitions=[partition]), limit=1
    ).records
    if not records:
        return None
    return Target(
        storage_id=records[0].storage_id,
        run_id=records[0].run_id,
        timestamp=records[0].timestamp,
    )
