"""``warehouse doctor``: what the warehouse rests on, each in a line: good, or the way to mend it.

It changes nothing, and asks vendors only what costs no points. It prints no secret: what a check found
out is an error named by recovery, and those carry none.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from dagster_project import clock
from dagster_project.cli.vendor_checks import (
    clock_finding,
    credentials,
    failed,
    inspections,
    vendor_clocks,
)
from dagster_project.config.settings import Settings
from dagster_project.errors import WarehouseError
from dagster_project.feeds import FEEDS
from dagster_project.model.finding import Finding
from dagster_project.monitoring import alarm_queue
from dagster_project.monitoring.alarm_delivery import channels
from dagster_project.monitoring.findings import group_gaps, summarize
from dagster_project.monitoring.mending import Ledger
from dagster_project.orchestration.instance_checks import dagster
from dagster_project.pipeline import services
from dagster_project.privacy.pseudonym_key import pii_hash_key
from dagster_project.text import remedies
from dagster_project.text.pseudonyms import fingerprint
from dagster_project.text.wording import pluralize
from dagster_project.warehouse import restored
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.fitness import (
    PROBE_BYTES,
    clock_difference,
    refuse_unfit,
    try_to_write,
)
from dagster_project.warehouse.ledger import load_receipts
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.queries import fetch_row, fetch_value
from dagster_project.warehouse.schema.migrate import pending, security_gaps

SERVER_CLOCK_SECONDS = 5.0
FUTURE = """
SELECT source, account, min(day), max(day), count(*) FROM ops.day_state
WHERE observed_at > %s GROUP BY source, account ORDER BY source, account
"""
LEAST_FREE_BYTES = 2 << 30
FULLEST_QUEUE = 0.1
_COLOURS = {"good": "green", "note": "yellow", "wrong": "red"}


Check = Callable[[Ledger], Iterator[Finding]]


def doctor(*, as_json: bool = False) -> int:
    """Print every finding; 1 if anything is wrong, 2 if settings are."""
    settings = services.settings()
    findings = list(_sources(settings))
    try:
        services.refuse_absent()
        warehouse = services.warehouse()
    except WarehouseError as error:
        findings.append(failed("Postgres", error))
    else:
        for about, check in _CHECKS:
            findings += _guarded(about, check, settings, warehouse)
            if findings[-1].state == "wrong" and check is _connection:
                findings.append(Finding("the rest", "note", "not looked at without Postgres."))
                break
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    return 1 if any(finding.state == "wrong" for finding in findings) else 0


def _print(findings: Sequence[Finding]) -> None:
    for finding in findings:
        mark = click.style(f"{finding.state:<5}", fg=_COLOURS[finding.state])
        hint = f" Way out: {finding.hint}" if finding.hint else ""
        click.echo(f"{mark} {finding.about}: {finding.text}{hint}")
    click.echo(f"\n{summarize(findings)}")


def _guarded(
    about: str, check: Check, settings: Settings, warehouse: Warehouse
) -> Iterator[Finding]:
    try:
        with safe_errors(), warehouse.connect(what="doctor", autocommit=True) as connection:
            yield from check(Ledger(settings, warehouse, connection))
    except WarehouseError as error:
        yield failed(about, error)
    except Exception as error:  # noqa: BLE001
        # Its text may hold anything, an address with its password too.
        yield Finding(about, "wrong", f"the check ended with {type(error).__name__}.")


def _sources(settings: Settings) -> Iterator[Finding]:
    with_credentials = [feed.source for feed in FEEDS if feed.accounts(settings)]
    if with_credentials:
        yield Finding("settings", "good", f"sources: {', '.join(with_credentials)}.")
    else:
        yield Finding("settings", "wrong", "no source has credentials.", "set those of one.")
    for name, missing in settings.missing.items():
        text = f"{name} is left out: {', '.join(missing)} not set."
        yield Finding("settings", "note", text)
    for sentence in settings.unknown:
        text, _, advice = sentence.partition(": ")
        yield Finding("settings", "wrong", f"{text}.", advice)
    if not channels(settings.alarms):
        text = "alarms are told to nobody: ALARM_WEBHOOK_URL and ALARM_EMAIL_TO are not set."
        yield Finding("settings", "note", text)


def _connection(ledger: Ledger) -> Iterator[Finding]:
    number, version, role = fetch_row(
        ledger.connection,
        "SELECT current_setting('server_version_num')::int, current_setting('server_version'),"
        " current_user",
    )
    refuse_unfit(ledger.connection)
    if number < 150000:
        yield Finding("Postgres", "wrong", f"version {version}.", "use PostgreSQL 15 or later.")
    else:
        yield Finding("Postgres", "good", f"version {version}, working as {role}.")


def _server_clock(ledger: Ledger) -> Iterator[Finding]:
    off, inexact = clock_difference(ledger.connection)
    yield clock_finding("the server's clock", off, SERVER_CLOCK_SECONDS + 2 * inexact)
    latest = clock.now() + clock.CLOCKS_MAY_DIFFER
    for source, account, first, last, days in ledger.connection.execute(FUTURE, (latest,)):
        text = f"{source} {account}: dated in the future, by a clock that was ahead: {pluralize(days, 'day')}."
        command = remedies.load_command(source, account, first, last)
        yield Finding("clock", "wrong", text, f"`{command}`.")


def _time_zones(ledger: Ledger) -> Iterator[Finding]:
    accounts = [one for feed in FEEDS for one in feed.accounts(ledger.settings)]
    for text, command in load_receipts.days_of_other_zones(ledger.connection, accounts):
        yield Finding("time zones", "wrong", text, f"`{command}`.")


def _migrations(ledger: Ledger) -> Iterator[Finding]:
    waiting = pending(ledger.warehouse)
    if waiting:
        named = f"{', '.join(waiting[:3])}{' …' if len(waiting) > 3 else ''}"
        text = f"not up to date: {pluralize(len(waiting), 'migration')} to apply ({named})."
        yield Finding("schema", "wrong", text, remedies.MIGRATE)
    else:
        yield Finding("schema", "good", "up to date.")


def _privileges(ledger: Ledger) -> Iterator[Finding]:
    gaps = security_gaps(ledger.warehouse)
    yield from group_gaps(gaps)
    if not gaps:
        yield Finding("roles", "good", "nothing is open to everybody that should not be.")


def _notifications(ledger: Ledger) -> Iterator[Finding]:
    """The server's one queue, which any login can fill. Runs of this program do without it."""
    full = fetch_value(ledger.connection, "SELECT pg_notification_queue_usage()")
    if full > FULLEST_QUEUE:
        yield Finding(
            "Postgres",
            "note",
            f"its queue of notifications is {full:.0%} full: a session listens and does not read."
            " This program does without, other users of the server may not.",
            "find it in pg_stat_activity, and end it with pg_terminate_backend(pid).",
        )


def _key(ledger: Ledger) -> Iterator[Finding]:
    known = fetch_value(ledger.connection, "SELECT fingerprint FROM ops.pii_key")
    if known is None:
        yield Finding("PII key", "note", "nothing was loaded with it yet.")
    elif known == fingerprint(pii_hash_key(ledger.settings)):
        yield Finding("PII key", "good", "the one that this warehouse was loaded with.")
    else:
        text = "PII_HASH_KEY is not the key that this warehouse was loaded with."
        yield Finding("PII key", "wrong", text, remedies.RESTORE_KEY)


def _disk(ledger: Ledger) -> Iterator[Finding]:
    place = ledger.settings.home
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(Path(place))
    text = f"{usage.free / (1 << 30):.1f} GiB free at {place}."
    if usage.free < LEAST_FREE_BYTES:
        yield Finding("disk", "wrong", text, "free some; loads stop when it is full.")
    else:
        yield Finding("disk", "good", text)


def _server_disk(ledger: Ledger) -> Iterator[Finding]:
    try_to_write(ledger.connection)
    yield Finding(
        "Postgres", "good", f"{PROBE_BYTES >> 20} MiB were written to its disk, and taken back."
    )


def _privacy(ledger: Ledger) -> Iterator[Finding]:
    open_erasures, suppressed, rekeying = fetch_row(
        ledger.connection,
        "SELECT (SELECT count(*) FROM ops.erasure WHERE finished_at IS NULL),"
        " (SELECT count(*) FROM ops.suppressed_number),"
        " EXISTS (SELECT FROM ops.pii_key WHERE next_fingerprint IS NOT NULL)",
    )
    if open_erasures:
        text = f"not finished: {pluralize(open_erasures, 'erasure')}."
        yield Finding("privacy", "wrong", text, f"`{remedies.FORGET_AGAIN}`.")
    else:
        yield Finding("privacy", "good", f"numbers kept out of every answer: {suppressed:,}.")
    if rekeying:
        text = "a rekey is under way, or was stopped; loads are refused until it is finished."
        yield Finding("privacy", "wrong", text, remedies.FINISH_REKEY)
    if restored.is_restored(ledger.connection, ledger.warehouse.seen_erasures):
        yield Finding("privacy", "wrong", restored.RESTORED_DUMP, remedies.APPLY_ERASURES)
    elif restored.has_changed_timeline(ledger.connection):
        text = "the server recovered, or another one took over, since the list was applied last."
        yield Finding("privacy", "note", text, f"if from a backup: {remedies.APPLY_ERASURES}")


def _alarms(ledger: Ledger) -> Iterator[Finding]:
    for channel, count, failure in alarm_queue.undelivered(ledger.connection):
        text = f"{pluralize(count, 'alarm')} could not be told by {channel}: {failure}."
        yield Finding("alarms", "wrong", text, "correct the ALARM_ settings of that channel.")


_CHECKS: tuple[tuple[str, Check], ...] = (
    ("Postgres", _connection),
    ("clock", _server_clock),
    ("schema", _migrations),
    ("time zones", _time_zones),
    ("roles", _privileges),
    ("Postgres", _notifications),
    ("PII key", _key),
    ("credentials", credentials),
    ("sources", inspections),
    ("clock", vendor_clocks),
    ("disk", _disk),
    ("Postgres", _server_disk),
    ("Dagster", lambda ledger: dagster(ledger.settings, ledger.warehouse)),
    ("alarms", _alarms),
    ("privacy", _privacy),
)
