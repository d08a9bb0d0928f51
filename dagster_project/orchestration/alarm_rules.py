"""What there is to raise alarms about in Dagster's events: runs that failed, each cause an alarm.

An alarm names the days and accounts that are not loaded, whatever the run said, and the commands
that load them. Of an error that nobody foresaw only the kind is told: its text may quote a row.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from dagster_project import errors
from dagster_project.config.settings import Settings
from dagster_project.errors import HeldBack
from dagster_project.feeds import FEEDS
from dagster_project.model.check_outcome import READABLE
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.window import each_day
from dagster_project.monitoring.alarm import HISTORY, Alarm, Pair
from dagster_project.monitoring.check_alarms import first_days, is_history
from dagster_project.monitoring.mending import Ledger, mending_commands
from dagster_project.monitoring.red_days import without_place
from dagster_project.orchestration import nights
from dagster_project.orchestration.names import op_name
from dagster_project.pipeline import services
from dagster_project.text.remedies import Verb
from dagster_project.text.wording import shorten
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger import load_receipts

_BY_ASSET = {dg.AssetKey(key): feed for feed in FEEDS for key in (feed.asset, feed.raw_asset)}
TEXTS_SHOWN = 3
"""So many different texts of one kind of failure are told."""


def alarms_of_run(
    instance: dg.DagsterInstance,
    connection: Connection,
    run_id: str,
    failed_at: datetime | None = None,
) -> list[Alarm]:
    """A failed run's alarms, one for each cause: what it did not load, and the commands that do.

    None for what a check of its days tells (answers that were held or could not be read), nor where the run
    is gone.
    """
    run = instance.get_run_by_id(run_id)
    if run is None:
        return []
    feed = _feed_of(run)
    kind, why = _why(instance, run_id)
    source = feed.source if feed else run.tags.get("source", "warehouse")
    whole_run = Alarm(
        subject=f"run/{source}/{run.job_name}/{kind}",
        kind="run_failed",
        severity="error",
        source=source,
        accounts=[],
        days=[],
        what=why,
        hint=["re-execute the run in Dagster's UI"],
        message_group=f"run/{run_id}",
        run_id=run_id,
        failed_at=failed_at,
    )
    if feed is None or not _days_of(run):
        return [whole_run]
    missing = _not_loaded(connection, feed, run)
    if not missing:
        if _is_told_by_checks(connection, feed, run):
            return []
        return [replace(whole_run, what=f"{why} All of its days are loaded.", hint=[])]
    return _alarms_by_cause(connection, feed, run, missing, whole_run, (kind, why))


def _alarms_by_cause(
    connection: Connection,
    feed: Feed,
    run: dg.DagsterRun,
    missing: Mapping[str, Sequence[date]],
    whole_run: Alarm,
    otherwise: tuple[str, str],
) -> list[Alarm]:
    """An alarm for each kind of failure; ``otherwise``: that of days of which no window tells."""
    failures = _failures_of_windows(connection, feed, run)
    of_account = {account: failure for (account, _), failure in failures.items()}
    groups: dict[str, dict[Pair, str]] = defaultdict(dict)
    for account, days in missing.items():
        for day in days:
            kind, text = failures.get((account, day)) or of_account.get(account) or otherwise
            groups[kind][account, day] = text
    return [
        _alarm_of_cause(connection, feed, run, whole_run, kind, of_kind)
        for kind, of_kind in groups.items()
        if not _is_of_checks(kind)
    ]


def _alarm_of_cause(
    connection: Connection,
    feed: Feed,
    run: dg.DagsterRun,
    whole_run: Alarm,
    kind: str,
    failures: Mapping[Pair, str],
) -> Alarm:
    ledger = Ledger(services.settings(), services.warehouse(), connection)
    selected = run.asset_selection
    verb: Verb = "backfill" if not selected or dg.AssetKey(feed.raw_asset) in selected else "replay"
    by_account: dict[str, list[date]] = defaultdict(list)
    for account, day in failures:
        by_account[account].append(day)
    configured = feed.accounts(ledger.settings)
    starts = first_days(connection, [one for one in configured if one.label in by_account])
    is_old = all(is_history(starts, account, day) for account, day in failures)
    texts = list(dict.fromkeys(failures.values()))
    failed = {
        account: by_account[account.label]
        for account in sorted(configured, key=lambda account: account.label)
        if account.label in by_account
    }
    return replace(
        whole_run,
        subject=f"run/{feed.source}/{kind}",
        accounts=sorted(by_account),
        days=sorted({day for _, day in failures}),
        what=f"{kind}: {' '.join(shorten(texts, TEXTS_SHOWN))}",
        hint=[
            command
            for of_account in mending_commands(ledger, feed, failed, verb).values()
            for command in of_account
        ],
        message_group=HISTORY if is_old else whole_run.message_group,
        causes=sorted(by_account),
        pairs=list(failures),
    )


def _failures_of_windows(
    connection: Connection, feed: Feed, run: dg.DagsterRun
) -> dict[Pair, tuple[str, str]]:
    """By account and day: kind and text of what the run's last window with that day ended with."""
    rows = connection.execute(
        "SELECT e.account, asked.day::date, e.failure_kind, e.failure FROM ops.extraction e,"
        " generate_series(e.first_day, e.last_day, '1 day') AS asked(day)"
        " WHERE e.source = %s AND e.run_id = %s AND e.outcome = 'failed' ORDER BY e.extraction_id",
        (feed.source, run.run_id),
    ).fetchall()
    found = {(row[0], row[1]): (row[2] or "Failure", without_place(row[3])) for row in rows}
    held = connection.execute(
        "SELECT s.account, s.day FROM ops.day_state s JOIN ops.extraction e"
        " ON e.extraction_id = s.held_extraction_id"
        " WHERE s.source = %s AND e.run_id = %s AND s.held IS NOT NULL",
        (feed.source, run.run_id),
    ).fetchall()
    return found | dict.fromkeys(held, (HeldBack.__name__, ""))


def _is_of_checks(kind: str) -> bool:
    """Whether checks of the days tell of this kind of failure."""
    error = getattr(errors, kind, None)
    return isinstance(error, type) and issubclass(error, errors.AnswerNotTrusted)


def _is_told_by_checks(connection: Connection, feed: Feed, run: dg.DagsterRun) -> bool:
    """Whether the run failed for days of which too little could be read: the check ``readable`` tells."""
    found = connection.execute(
        "SELECT FROM ops.load_receipt r JOIN ops.check_outcome o USING (receipt_id)"
        " WHERE r.source = %s AND r.run_id = %s AND o.check_name = %s AND NOT o.passed LIMIT 1",
        (feed.source, run.run_id, READABLE),
    ).fetchone()
    return found is not None


def _feed_of(run: dg.DagsterRun) -> Feed | None:
    for key in run.asset_selection or ():
        if key in _BY_ASSET:
            return _BY_ASSET[key]
    return next((feed for feed in FEEDS if feed.source == run.tags.get("source")), None)


def _why(instance: dg.DagsterInstance, run_id: str) -> tuple[str, str]:
    """Kind and text of a run's failure; of an unforeseen error only its kind, since it may quote rows."""
    failures = instance.get_records_for_run(
        run_id,
        of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE},
        limit=10,
    ).records
    for record in failures:
        event = record.event_log_entry.dagster_event
        data = event.event_specific_data if event is not None else None
        if isinstance(data, StepFailureData):
            return _why_of_step(data)
    for record in failures:
        event = record.event_log_entry.dagster_event
        if event is not None and event.message:
            return "Failure", event.message
    return "Failure", "It gave no reason."


def _why_of_step(data: StepFailureData) -> tuple[str, str]:
    said = data.user_failure_data
    if said is not None and said.description:
        kind = said.metadata.get("kind") if said.metadata else None
        return str(kind.value) if kind is not None else "Failure", said.description
    error = data.error.cause or data.error if data.error is not None else None
    if error is None:
        return "Failure", "It ended with an unknown error."
    name = error.cls_name or "Failure"
    if isinstance(getattr(errors, name, None), type):
        return name, re.sub(r"^[\w.]+: ", "", error.message).strip()
    return name, f"It ended with {name}."


def _not_loaded(connection: Connection, feed: Feed, run: dg.DagsterRun) -> dict[str, list[date]]:
    """By account the days of the run that neither it nor the run it re-executes committed."""
    settings = services.settings()
    days = _days_of(run)
    wanted = _accounts_of(feed, settings, run)
    runs = [run_id for run_id in (run.run_id, run.parent_run_id, run.root_run_id) if run_id]
    committed = load_receipts.committed_by_runs(connection, feed.source, runs)
    left = {account: [day for day in days if (account, day) not in committed] for account in wanted}
    if _config_of(feed, run).get("only_due") and feed.query_scope is not QueryScope.HISTORY:
        due = nights.due_of_accounts(feed, settings, services.warehouse())
        left = {
            account: [day for day in days if day in due[account].days]
            for account, days in left.items()
        }
    return {account: days for account, days in left.items() if days}


def _days_of(run: dg.DagsterRun) -> list[date]:
    tags = run.tags
    one = tags.get(PARTITION_NAME_TAG)
    first = tags.get(ASSET_PARTITION_RANGE_START_TAG, one)
    last = tags.get(ASSET_PARTITION_RANGE_END_TAG, one)
    if first is None or last is None:
        return []
    return list(each_day(date.fromisoformat(first), date.fromisoformat(last)))


def _config_of(feed: Feed, run: dg.DagsterRun) -> Mapping[str, Any]:
    config: Any = run.run_config
    for name in ("ops", op_name(feed), "config"):
        config = config.get(name, {})
    found: Mapping[str, Any] = config
    return found


def _accounts_of(feed: Feed, settings: Settings, run: dg.DagsterRun) -> list[str]:
    narrowed = _config_of(feed, run).get("accounts", [])
    return [account.label for account in feed.chosen_accounts(settings, narrowed)]
