"""What there is to raise alarms about: read from Dagster's events and from the ledger.

An alarm names the days and accounts that are not loaded, whatever the run said, and the commands
that load them. Of an error that nobody foresaw only the kind is told: its text may quote a row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from dagster_project import clock, errors
from dagster_project.config.settings import Settings
from dagster_project.feeds import FEEDS
from dagster_project.model.feed import Feed, QueryScope
from dagster_project.model.window import ONE_DAY, Account, each_day
from dagster_project.monitoring.alarm_outbox import Alarm
from dagster_project.monitoring.lateness import expect_askable, lateness
from dagster_project.monitoring.mending import mending_commands
from dagster_project.orchestration import nights, services
from dagster_project.orchestration.names import ACCOUNT, HELD, MONTH_ADDS_UP, op_name
from dagster_project.pipeline.reconcile import months_of
from dagster_project.text.remedies import Verb, load_commands, spans_text
from dagster_project.warehouse.connection import Connection
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.vendor_store import WarehouseStore

_BY_ASSET = {dg.AssetKey(key): feed for feed in FEEDS for key in (feed.asset, feed.raw_asset)}
_REPLAYED = {"no_rejects", "known_values"}
"""Checks whose cause lies in the code: once it is mended, the stored responses will do."""


@dataclass
class AlarmChanges:
    """Alarms to raise, and subjects that are over."""

    alarms: list[Alarm]
    over: list[str]


def alarm_of_run(instance: dg.DagsterInstance, connection: Connection, run_id: str) -> Alarm | None:
    """The alarm of a failed run: what it did not load, and the commands that do; None: run is gone."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return None
    feed = _feed_of(run)
    alarm = Alarm(
        subject=f"run/{run_id}",
        kind="run_failed",
        severity="error",
        source=feed.source if feed else run.tags.get("source", "warehouse"),
        accounts=[],
        days=[],
        what=_why(instance, run_id),
        hint=[],
        message_group=f"run/{run_id}",
        run_id=run_id,
    )
    if feed is None:
        return replace(alarm, hint=["re-execute the run in Dagster's UI"])
    if not _days_of(run):
        return replace(alarm, hint=["re-execute the run in Dagster's UI"])
    missing = _not_loaded(connection, feed, run)
    if not missing:
        return replace(alarm, what=f"{alarm.what} All of its days are loaded.")
    selected = run.asset_selection
    asked = not selected or dg.AssetKey(feed.raw_asset) in selected
    verb: Verb = "backfill" if asked else "replay"
    settings, warehouse = services.settings(), services.warehouse()
    return replace(
        alarm,
        accounts=sorted(missing),
        days=sorted({day for days in missing.values() for day in days}),
        hint=[
            command
            for account in sorted(feed.accounts(settings), key=lambda account: account.label)
            if (days := missing.get(account.label))
            for command in mending_commands(
                connection, warehouse, settings, feed, account, days, verb=verb
            )
        ],
    )


def _feed_of(run: dg.DagsterRun) -> Feed | None:
    for key in run.asset_selection or ():
        if key in _BY_ASSET:
            return _BY_ASSET[key]
    return next((feed for feed in FEEDS if feed.source == run.tags.get("source")), None)


def _why(instance: dg.DagsterInstance, run_id: str) -> str:
    """What the run said of its failure; of an unforeseen error only its kind, since it may quote rows."""
    failures = instance.get_records_for_run(
        run_id,
        of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE},
        limit=10,
    ).records
    for record in failures:
        event = record.event_log_entry.dagster_event
        data = event.event_specific_data if event is not None else None
        if isinstance(data, StepFailureData):
            if data.user_failure_data is not None and data.user_failure_data.description:
                return data.user_failure_data.description
            error = data.error.cause or data.error if data.error is not None else None
            if error is not None and isinstance(getattr(errors, error.cls_name or "", None), type):
                return re.sub(r"^[\w.]+: ", "", error.message).strip()
            return f"It ended with {error.cls_name if error else 'an unknown error'}."
    for record in failures:
        event = record.event_log_entry.dagster_event
        if event is not None and event.message:
            return event.message
    return "It gave no reason."


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
    return [a.label for a in feed.accounts(settings) if not narrowed or a.label in narrowed]


def changes_of_checks(records: Sequence[dg.EventLogRecord], connection: Connection) -> AlarmChanges:
    """Checks that fail, each day an alarm; and subjects whose check passes now."""
    alarms: dict[str, Alarm] = {}
    over: dict[str, None] = {}
    for record in records:
        event = record.event_log_entry.dagster_event
        evaluation = event.event_specific_data if event is not None else None
        if not isinstance(evaluation, dg.AssetCheckEvaluation):
            continue
        feed = _BY_ASSET.get(evaluation.asset_key)
        if feed is not None and evaluation.check_name == MONTH_ADDS_UP:
            _of_months(connection, feed, record.run_id, alarms, over)
            continue
        if feed is None or evaluation.partition is None:
            continue
        about = f"check/{evaluation.asset_key.to_user_string()}/{evaluation.check_name}"
        subject = f"{about}/{evaluation.severity.value}/{evaluation.partition}"
        if evaluation.passed:
            for severity in dg.AssetCheckSeverity:
                gone = f"{about}/{severity.value}/{evaluation.partition}"
                alarms.pop(gone, None)
                over[gone] = None
            continue
        over.pop(subject, None)
        alarms[subject] = _check_alarm(connection, feed, evaluation, subject, record.run_id)
    return AlarmChanges(list(alarms.values()), list(over))


def _of_months(
    connection: Connection,
    feed: Feed,
    run_id: str,
    alarms: dict[str, Alarm],
    over: dict[str, None],
) -> None:
    """The months of a source that differ from the vendor's now, each an alarm; the others are over."""
    for month in months_of(connection, feed, services.settings()):
        account = month.window.account.label
        subject = f"check/{feed.source}/{MONTH_ADDS_UP}/{account}/{month.name}"
        if month.state != "differs":
            alarms.pop(subject, None)
            over[subject] = None
            continue
        over.pop(subject, None)
        alarms[subject] = Alarm(
            subject=subject,
            kind="check_failed",
            severity=month.severity or "warning",
            source=feed.source,
            accounts=[account],
            days=month.window.days,
            what=f"check {MONTH_ADDS_UP}: {month.describe()}.",
            hint=[month.hint],
            message_group=f"{subject}/{run_id}",
            run_id=run_id,
        )


def _check_alarm(
    connection: Connection,
    feed: Feed,
    evaluation: dg.AssetCheckEvaluation,
    subject: str,
    run_id: str,
) -> Alarm:
    day = date.fromisoformat(evaluation.partition or "")
    name = evaluation.check_name
    figures = ", ".join(f"{key} {value.value}" for key, value in evaluation.metadata.items())
    held = load_receipts.held_days(connection, feed.source, days=[day]) if name == HELD else []
    told = [key.removeprefix(ACCOUNT) for key in evaluation.metadata if key.startswith(ACCOUNT)]
    accounts = [one.account for one in held] or told
    accounts = accounts or [
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT account FROM ops.load_receipt WHERE source = %s AND day = %s"
            " AND run_id = %s AND (%s <> 'no_rejects' OR rows_rejected > 0) ORDER BY account",
            (feed.source, day, run_id, name),
        )
    ]
    verb: Verb = "replay" if name in _REPLAYED else "backfill"
    is_error = evaluation.severity == dg.AssetCheckSeverity.ERROR
    return Alarm(
        subject=subject,
        kind="check_failed",
        severity="error" if is_error else "warning",
        source=feed.source,
        accounts=accounts,
        days=[day],
        what=f"check {name} of {day}: {evaluation.description or figures or 'failed'}.",
        hint=[one.take_command for one in held]
        or [
            line
            for account in (*told, *([] if told else [None]))
            for line in load_commands(feed.source, account, [day], verb=verb)
        ],
        message_group=f"check/{feed.source}/{name}/{evaluation.severity.value}/{run_id}",
        run_id=run_id,
    )


def overdue(settings: Settings, connection: Connection) -> list[Alarm]:
    """Accounts that are late for longer than an alarm waits; none for accounts never asked."""
    patience = timedelta(hours=settings.alarms.overdue_hours)
    warehouse = services.warehouse()
    return [
        _overdue_alarm(settings, connection, feed, account, found.newest, found.due)
        for feed in FEEDS
        for account in feed.accounts(settings)
        for found in lateness(
            connection, [expect_askable(feed, settings, warehouse, account, patience)]
        ).values()
        if found.is_late
        and (found.newest is not None or _was_asked(connection, account, clock.now() - patience))
    ]


def _was_asked(connection: Connection, account: Account, before: datetime) -> bool:
    """Whether the vendor was asked for anything of the account before this instant."""
    asked = connection.execute(
        "SELECT FROM ops.extraction WHERE source = %s AND account = %s AND started_at <= %s LIMIT 1",
        (account.source, account.label, before),
    ).fetchone()
    return asked is not None


def _overdue_alarm(
    settings: Settings,
    connection: Connection,
    feed: Feed,
    account: Account,
    newest: date | None,
    due: date,
) -> Alarm:
    warehouse = services.warehouse()
    days = list(each_day(newest + ONE_DAY, due)) if newest else [due]
    askable = feed.night_days(
        settings, WarehouseStore(warehouse), clock.today(account.time_zone), days
    )
    return Alarm(
        subject=f"overdue/{feed.source}/{account.label}",
        kind="overdue",
        severity="error",
        source=feed.source,
        accounts=[account.label],
        days=days,
        what=f"account {account.label} has no good receipt for {spans_text(days)},"
        f" {settings.alarms.overdue_hours} hours after the nights that could load them began.",
        hint=mending_commands(connection, warehouse, settings, feed, account, askable),
        message_group=f"overdue/{feed.source}",
    )
