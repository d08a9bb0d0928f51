"""The check ``month_adds_up``: over a finished month the sum of days equals one call to the vendor.

Grain: a source; its latest evaluation tells of every finished month of every account. A schedule
looks each morning, after the nights, and requests a run only where a month has settled that was not
compared yet: once a month, or again after its days were loaded again. Executing the check in the UI
does the same at once, within the same budget.

The module does without postponed annotations: Dagster reads them of the check's function.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import dagster as dg

from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.check_outcome import MONTH_ADDS_UP
from dagster_project.model.feed import Feed, WholeMonth
from dagster_project.orchestration import literal_config, liveness
from dagster_project.orchestration.names import reconcile_job_name
from dagster_project.pipeline import services
from dagster_project.pipeline.months import Month, months_of
from dagster_project.pipeline.outcomes import raise_safe_errors
from dagster_project.pipeline.reconcile import Reconciler
from dagster_project.text.markdown import markdown_table
from dagster_project.warehouse.connection import Connection

DESCRIPTION: Final = (
    "Over each finished month whose days are all settled, the sum of days equals what the vendor"
    " answers for the whole month in one call. It warns while nothing is compared yet."
)
_NOTHING: Final = "nothing compared yet"
_HEADER = (
    *("account", "month", "state", "figure", "vendor", "warehouse", "difference"),
    *("requests", "points", "asked (UTC)", "way out"),
)
_MONTHS_SHOWN = 100
_SAID = {
    "agrees": "agree",
    "due": "are to be asked for",
    "waits": "wait",
    "not asked": "were not asked for",
}


def reconciled_feeds() -> list[Feed]:
    """Feeds whose vendor answers for a whole month."""
    return [feed for feed, _ in _reconciled()]


def checks(feeds: Iterable[Feed] = FEEDS) -> list[dg.AssetChecksDefinition]:
    return [_check(feed) for feed in feeds if feed.whole_month is not None]


def jobs() -> "list[dg.UnresolvedAssetJobDefinition]":
    return [
        dg.define_asset_job(
            reconcile_job_name(feed),
            selection=dg.AssetSelection.checks(_key(feed)),
            description=f"{feed.title}: hold finished months against the vendor.",
            tags={liveness.SOURCE_TAG: feed.source},
        )
        for feed in reconciled_feeds()
    ]


def schedules_of(settings: Settings) -> list[dg.ScheduleDefinition]:
    """One for each such source with credentials; running from the start."""
    return [
        _schedule(feed, month.minute, settings)
        for feed, month in _reconciled()
        if feed.accounts(settings)
    ]


def _reconciled() -> list[tuple[Feed, WholeMonth]]:
    return [(feed, feed.whole_month) for feed in FEEDS if feed.whole_month is not None]


def _key(feed: Feed) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey(feed.asset), MONTH_ADDS_UP)


def _check(feed: Feed) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(feed.asset),
        name=MONTH_ADDS_UP,
        description=DESCRIPTION,
        compute_kind="http",
        config_schema=literal_config.NONE,
    )
    def month_adds_up(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        settings, warehouse, run_id = services.settings(), services.warehouse(), context.run.run_id
        with liveness.alive(warehouse, run_id), raise_safe_errors("comparing months"):
            months = Reconciler(feed, settings, warehouse, run_id, context.log.info).run()
        return result(months)

    return month_adds_up


def result(months: Sequence[Month]) -> dg.AssetCheckResult:
    """What is told of a source's finished months: it fails where one differs that should not.

    Where none was compared it warns, since nothing adds up yet.
    """
    severities = {month.severity for month in months if month.state == "differs"}
    return dg.AssetCheckResult(
        passed=_any_compared(months) and not severities,
        severity=dg.AssetCheckSeverity.ERROR
        if "error" in severities
        else dg.AssetCheckSeverity.WARN,
        description=summary(months),
        metadata=_metadata(months),
    )


def _any_compared(months: Sequence[Month]) -> bool:
    return any(month.state in ("agrees", "differs") for month in months)


def evaluation(
    connection: Connection, feed: Feed, settings: Settings
) -> dg.AssetCheckEvaluation | None:
    """How a source's months stand, told by a run that loads days: it asks nobody.

    None before the first month of which a day is loaded has ended: Dagster shows the check as not evaluated.
    """
    months = months_of(connection, feed, feed.accounts(settings))
    if not months:
        return None
    told = result(months)
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(feed.asset),
        check_name=MONTH_ADDS_UP,
        passed=told.passed,
        severity=told.severity,
        description=told.description,
        metadata=told.metadata,
    )


def summary(months: Sequence[Month]) -> str:
    """One line: which months differ, and how the others stand."""
    differ = [month.describe() for month in months if month.state == "differs"]
    counts = {state: sum(month.state == state for month in months) for state in _SAID}
    others = [f"months that {_SAID[state]}: {count}" for state, count in counts.items() if count]
    nothing = [] if _any_compared(months) else [_NOTHING]
    nothing += [] if months else ["no month has ended of which a day is loaded"]
    return "; ".join([*nothing, *differ, *others])


def _metadata(months: Sequence[Month]) -> dict[str, Any]:
    asked = [month.compared for month in months if month.asked and month.compared is not None]
    metadata: dict[str, Any] = {
        "requests": sum(compared.requests for compared in asked),
        "points": sum(compared.points for compared in asked),
        "months": dg.MetadataValue.md(_table(months)),
    }
    lines = [month.hint for month in months if month.state == "differs"]
    if lines:
        metadata["way out"] = dg.MetadataValue.md("\n".join(f"`{line}`" for line in lines))
    return metadata


def _table(months: Sequence[Month]) -> str:
    rows = [row for month in months[:_MONTHS_SHOWN] for row in _rows(month)]
    if len(months) > _MONTHS_SHOWN:
        rows.append(_padded("…", f"{len(months) - _MONTHS_SHOWN} more"))
    return markdown_table(_HEADER, rows)


def _rows(month: Month) -> Iterator[Sequence[object]]:
    begins = (month.window.account.label, month.name)
    compared = month.compared
    if month.state not in ("agrees", "differs") or compared is None:
        yield _padded(*begins, ": ".join(filter(None, (month.state, month.why))))
        return
    cost = (compared.requests, compared.points, f"{compared.asked_at:%Y-%m-%d %H:%M}")
    for name, (vendor, here) in compared.figures.items():
        state = "differs" if name in month.differing else "agrees"
        if name in month.need_not_add_up:
            state += " (need not add up)"
        hint = f"`{month.hint}`" if month.state == "differs" else ""
        yield (*begins, state, name, vendor, here, vendor - here, *cost, hint)


def _padded(*cells: object) -> Sequence[object]:
    return (*cells, *[""] * (len(_HEADER) - len(cells)))


def _schedule(feed: Feed, minute: int, settings: Settings) -> dg.ScheduleDefinition:
    zone = feed.time_zone(settings)

    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        present = services.settings()
        with services.warehouse().connect(what="reconcile", autocommit=True) as connection:
            months = months_of(connection, feed, feed.accounts(present))
        due = [month.describe() for month in months if month.state == "due"]
        waiting = [month.describe() for month in months if month.state == "waits"]
        if not due or not present.reconcile_months:
            yield dg.SkipReason("; ".join(waiting) or "every finished month was compared")
            return
        context.log.info("; ".join([*due, *waiting]))
        morning = context.scheduled_execution_time.astimezone(zone).date()
        yield dg.RunRequest(run_key=f"reconcile/{feed.source}/{morning}")

    return dg.ScheduleDefinition(
        name=reconcile_job_name(feed),
        job_name=reconcile_job_name(feed),
        # After the nights, and not all sources at once.
        cron_schedule=f"{minute} 6 * * *",
        execution_timezone=str(zone),
        execution_fn=tick,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"{feed.title}: holds each finished month against the vendor's own figure for it, once"
            " its days have settled."
        ),
    )
