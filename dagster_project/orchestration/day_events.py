"""The events of days in Dagster: materializations, and then what the checks say of them.

Days that are written together take two transactions: an evaluation names its materialization.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from dagster_project.errors import AnswerNotTrusted, HeldBack
from dagster_project.orchestration import checks, report
from dagster_project.orchestration.event_log import event_batch
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.outcomes import WindowDone


class DayEvents:
    """Writes the events of days that one run committed, into the log of the run that is under way.

    Args:
        asked: the vendor was asked, so responses were stored.
        loaded: rows were loaded.
        committed_by: an earlier run that committed the days; None: this one.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        feed_run: FeedRun,
        *,
        asked: bool,
        loaded: bool,
        committed_by: str | None = None,
    ) -> None:
        self._context, self._feed_run = context, feed_run
        self._asked, self._loaded = asked, loaded
        self._earlier = {"committed by run": committed_by} if committed_by else {}
        self._materialized: dict[date, Target | None] = {}

    def write(self, chunk: WindowDone) -> None:
        """Materializations and checks of the days that are done, and checks of days that failed.

        A day whose checks could not be written is not materialized again when it is tried again.
        """
        self._materialize(chunk)
        if self._loaded and chunk.days:
            targets = {day: at for day in chunk.days if (at := self._materialized.get(day))}
            found = checks.evaluations(self._context, self._feed_run, chunk.days, targets)
            self._log(found)
        for day in chunk.days:
            self._materialized.pop(day, None)
        for problem in chunk.problems:
            if isinstance(problem, HeldBack):
                self._log(checks.held(self._context, self._feed_run, problem.days))
            elif self._loaded and isinstance(problem, AnswerNotTrusted):
                for day in problem.days_of_window() & self._days_of_run():
                    self._log(checks.not_read(self._context, self._feed_run, day, problem))

    def write_source(self, _: WindowDone) -> None:
        """The checks of the whole source."""
        for evaluation in checks.of_source(self._feed_run):
            self._context.log_event(evaluation)

    def _materialize(self, chunk: WindowDone) -> None:
        feed, new = self._feed_run.feed, [d for d in chunk.days if d not in self._materialized]
        with event_batch(self._context.instance) as targets:
            for day in new:
                receipts, cost = chunk.days[day], chunk.costs[day]
                if self._asked:
                    self._log_materialization(
                        feed.raw_asset, day, report.raw_metadata(receipts, cost)
                    )
                if self._loaded:
                    self._log_materialization(
                        feed.asset,
                        day,
                        report.rows_metadata(feed, receipts, cost, asked=self._asked),
                        report.summary(receipts, asked=self._asked),
                    )
        rows = dg.AssetKey(feed.asset)
        self._materialized |= {day: targets.get((rows, day.isoformat())) for day in new}

    def _log_materialization(
        self,
        asset: Collection[str],
        day: date,
        metadata: dict[str, Any],
        description: str | None = None,
    ) -> None:
        self._context.log_event(
            dg.AssetMaterialization(
                dg.AssetKey([*asset]),
                partition=day.isoformat(),
                metadata=metadata | self._earlier,
                description=description,
            )
        )

    def _log(self, evaluations: Iterable[dg.AssetCheckEvaluation]) -> None:
        found = list(evaluations)
        with event_batch(self._context.instance):
            for evaluation in found:
                self._context.log_event(evaluation)

    def _days_of_run(self) -> set[date]:
        return {date.fromisoformat(key) for key in self._context.partition_keys}
