"""Replay: rebuild days of an account from their stored responses, without a call to the vendor."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import date

import psycopg

from dagster_project.errors import WarehouseError
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import Account, Window
from dagster_project.pipeline.commit import commit_load, load_stored, note_unreadable
from dagster_project.pipeline.feed_run import FeedRun
from dagster_project.pipeline.outcomes import WindowResult, error_context, nothing_stored_error
from dagster_project.pipeline.privacy_rules import privacy_rules
from dagster_project.warehouse.ledger import extractions


def replay_account(
    run: FeedRun, account: Account, days: Collection[date]
) -> Iterator[WindowResult]:
    """Rebuild these days; yield each extraction's result as it commits, the newest days first.

    A day is rebuilt from the latest complete extraction whose window covers it. Days without one are
    reported as problems and left unchanged.
    """
    source = run.feed.source
    with run.connections.pair() as pair:
        latest = extractions.latest_complete(pair.ledger, source, account.label, sorted(days))
        absent = sorted(set(days) - latest.keys(), reverse=True)
        if absent:
            yield WindowResult(
                problems=[nothing_stored_error(source, account, day) for day in absent]
            )
        for extraction in sorted(set(latest.values()), key=lambda e: e.last_day, reverse=True):
            run.raise_if_stopped()
            window = Window(extraction.first_day, extraction.last_day, account)
            wanted = {day for day, from_ in latest.items() if from_ == extraction}
            try:
                with (
                    error_context(window),
                    privacy_rules(run.feed, pair.ledger, account, run.pii_key) as rules,
                    note_unreadable(pair.ledger, account, wanted),
                ):
                    load = load_stored(run, pair, window, extraction, rules, wanted)
                    result = commit_load(run, load, pair, rules, ExtractStats())
            except WarehouseError as problem:
                with suppress(psycopg.Error):
                    pair.load.rollback()
                result = WindowResult(problems=[problem])
            yield result
