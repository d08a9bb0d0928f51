"""Asset checks of a feed's rows, evaluated for each day as it is materialized.

Days that are reported together are evaluated by one query a check. In a run over a range of days Dagster records no partition for a returned result, so evaluations are
logged, each with its day and the materialization it speaks of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from statistics import median
from typing import Any, NamedTuple

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from dagster_project.errors import AnswerNotTrusted
from dagster_project.model.feed import Feed
from dagster_project.model.receipt import Receipt
from dagster_project.orchestration import freshness, reconciliation, report
from dagster_project.orchestration.names import ACCOUNT, HELD
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.ledger.load_receipts import HeldDay

_DESCRIPTIONS = {
    "complete": "Every record that the vendor counts was received, and is loaded or in ops.rejected_record.",
    "no_rejects": "Every record of the day could be loaded.",
    "known_values": "No status, key or form that the code does not know.",
    "dates_inside": "No record dated outside of the window that was asked for.",
    HELD: "No newer answer of the day is held back: neither did it lose too many of the day's"
    " rows, nor can records or a field of it no longer be read.",
    "readable": "The day's last answer could be read; of a first load nearly all records, every field.",
    "plausible_volume": "No sharp drop against the same weekday of the last four weeks.",
}
_OUTSIDE = "outside the asked window"
_UNKNOWN = ("unknown_status", "unknown_key", "unknown_form")
_DROP = 0.5
_ENOUGH_ROWS = 100


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
        usual = _rows_of_weekdays(connection, feed_run.feed.source, days)
    for day, receipts in days.items():
        results = _results(day, receipts, held[day], usual[_accounts(receipts)])
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
    result = _Result(
        "readable",
        False,
        dg.AssetCheckSeverity.ERROR,
        problem.what,
        {f"{ACCOUNT}{problem.account}": str(problem)},
    )
    return _evaluations(context, feed_run.feed, day, [result])


def _evaluations(
    context: dg.AssetExecutionContext,
    feed: Feed,
    day: date,
    results: Iterable[_Result],
    target: Target | None = None,
) -> Iterator[dg.AssetCheckEvaluation]:
    target = target or _target(context, dg.AssetKey(feed.asset), day.isoformat())
    for result in results:
        yield dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(feed.asset),
            check_name=result.name,
            passed=result.passed,
            severity=result.severity,
            description=result.said,
            metadata=result.figures,
            target_materialization_data=target,
            partition=day.isoformat(),
        )


class _Result(NamedTuple):
    """``said`` is the sentence that a person reads first."""

    name: str
    passed: bool
    severity: dg.AssetCheckSeverity
    said: str
    figures: dict[str, Any]


def _results(
    day: date, receipts: Sequence[Receipt], held: Sequence[HeldDay], usual: Mapping[date, int]
) -> Iterator[_Result]:
    error, warn = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    received = sum(receipt.rows_received for receipt in receipts)
    rows = sum(receipt.rows for receipt in receipts)
    rejected = sum(receipt.rows_rejected for receipt in receipts)
    yield _Result(
        "complete",
        received == rows + rejected,
        error,
        f"{received:,} received, {rows:,} loaded, {rejected:,} rejected",
        {"received": received, "loaded": rows, "rejected": rejected},
    )
    reasons = _reasons(receipts)
    why = "; ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    said = f"{pluralize(rejected, 'record')} rejected{why and f': {why}'}; see ops.rejected_record"
    yield _Result(
        "no_rejects",
        rejected == 0,
        warn,
        said if rejected else "no record was rejected",
        {"rejected": rejected, **reasons},
    )
    unknown = {
        name: count
        for receipt in receipts
        for name, count in receipt.notes.get("in_window", {}).items()
        if name.startswith(_UNKNOWN)
    }
    said = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in unknown.items())
    said = f"{said} in all days asked together" if said else "every status, key and form is known"
    yield _Result("known_values", not unknown, warn, said, unknown)
    outside = sum(count for reason, count in reasons.items() if _OUTSIDE in reason)
    said = f"{pluralize(outside, 'record')} dated outside of the window"
    yield _Result(
        "dates_inside",
        outside == 0,
        warn,
        said if outside else "every record is dated inside of the window",
        {"outside": outside},
    )
    yield _held(held)
    yield _readable(receipts)
    yield _volume(day, rows, usual)


def _held_of(
    connection: Connection, source: str, days: Collection[date]
) -> Mapping[date, list[HeldDay]]:
    """By day what is held, of any account: a run narrowed to the others does not hide it."""
    found: dict[date, list[HeldDay]] = defaultdict(list)
    for one in load_receipts.held_days(connection, source, days=days):
        found[one.day].append(one)
    return found


def _held(held: Sequence[HeldDay]) -> _Result:
    said = "; ".join(f"account {one.account}: {one.why}; {one.hint}" for one in held)
    figures: dict[str, Any] = {f"account {one.account}": one.why for one in held}
    for one in held:
        figures[f"what taking it changes, account {one.account}"] = dg.MetadataValue.md(
            report.beside_table(one.figures)
        )
        figures[f"way out, account {one.account}"] = one.hint
    return _Result(
        HELD,
        not held,
        dg.AssetCheckSeverity.ERROR,
        said or "no answer is held back",
        figures,
    )


def _readable(receipts: Sequence[Receipt]) -> _Result:
    doubts = {f"account {r.account}": r.doubt for r in receipts if r.doubt}
    said = "; ".join(f"{account}: {why}" for account, why in doubts.items())
    return _Result(
        "readable",
        not doubts,
        dg.AssetCheckSeverity.ERROR,
        said or "nearly all records of the load could be read",
        dict(doubts),
    )


def _reasons(receipts: Sequence[Receipt]) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for receipt in receipts:
        for reason, count in receipt.notes.get("rejected", {}).items():
            reasons[reason] = reasons.get(reason, 0) + count
    return reasons


def _accounts(receipts: Sequence[Receipt]) -> tuple[str, ...]:
    return tuple(sorted(receipt.account for receipt in receipts))


def _weekdays_before(day: date) -> list[date]:
    return [day - timedelta(weeks=weeks) for weeks in range(1, 5)]


def _rows_of_weekdays(
    connection: Connection, source: str, days: Mapping[date, Sequence[Receipt]]
) -> Mapping[tuple[str, ...], Mapping[date, int]]:
    """By the accounts that days were loaded of: rows of the weekdays before them that all of these have."""
    asked: dict[tuple[str, ...], set[date]] = defaultdict(set)
    for day, receipts in days.items():
        asked[_accounts(receipts)].update(_weekdays_before(day))
    return {
        accounts: load_receipts.rows_of_accounts(connection, source, accounts, weekdays)
        for accounts, weekdays in asked.items()
    }


def _volume(day: date, rows: int, usual_rows: Mapping[date, int]) -> _Result:
    """Against the median of the last four same weekdays that are loaded; a drop below half warns."""
    before = [usual_rows[one] for one in _weekdays_before(day) if one in usual_rows]
    usual = median(before) if before else 0
    passed = usual < _ENOUGH_ROWS or rows >= usual * _DROP
    said = (
        f"{pluralize(rows, 'row')}; usual on a {day:%A}: {usual:,.0f}, the median of {len(before)}"
    )
    return _Result(
        "plausible_volume",
        passed,
        dg.AssetCheckSeverity.WARN,
        said if before else f"{pluralize(rows, 'row')}; no earlier {day:%A} to compare with",
        {"rows": rows, "usual": usual, "weekdays compared": len(before)},
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
