"""``warehouse status``: one screen for every source and account; reads the ledger, asks no vendor.

It writes in one case: where an erasure was stopped, the marts of the days that it rewrote are counted afresh.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from dagster_project.monitoring.status import AccountHealth, Health, health
from dagster_project.orchestration import services
from dagster_project.pipeline.marts_upkeep import sms_mask
from dagster_project.privacy.erasure import unfinished
from dagster_project.text import remedies
from dagster_project.text.wording import pluralize
from dagster_project.warehouse import marts

_TROUBLES_SHOWN = 20


def status(*, sources: Sequence[str], as_json: bool) -> int:
    """Print how every account stands, and for all that is red the line that mends it.

    Answers 1 where a day is red, an alarm is open or an erasure has not finished.
    """
    settings = services.settings()
    warehouse = services.current_warehouse()
    with warehouse.connect(what="status", autocommit=True) as connection:
        erasures = unfinished(connection)
        if erasures:
            # The days that it rewrote before it was stopped are noted: their marts are counted afresh now.
            marts.refresh_stale(connection, sms_mask(), patience=0)
        found = health(settings, warehouse, connection, sources)
    answer = int(bool(found.red_days or found.alarms or erasures))
    if as_json:
        told = {**_as_json(found), "unfinished_erasures": erasures}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return answer
    console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)
    console.print(_table(found))
    for line in [*_lines(found), *_erasure_lines(erasures), conclusion(found)]:
        console.print(line, markup=False, soft_wrap=True)
    return answer


def _as_json(found: Health) -> dict[str, object]:
    return {
        "taken_at": found.taken_at.isoformat(timespec="seconds"),
        "accounts": [_account_json(account) for account in found.accounts],
        "left_out": found.left_out,
        "alarms": [
            {"subject": a.subject, "severity": a.severity, "what": a.what, "way_out": a.hint}
            for a in found.alarms
        ],
        "untold": {channel: count for channel, count, _ in found.undelivered},
    }


def _account_json(account: AccountHealth) -> dict[str, object]:
    points = account.points
    return {
        **account.status.as_json(),
        "points": {"spent": points.spent, "held": points.held, "left": points.left}
        if points
        else None,
        "wanted_left": account.requested_left,
        "troubles": [
            {
                "days": [day.isoformat() for day in entry.days],
                "why": entry.why,
                "told_in": entry.recorded_in,
                "way_out": entry.hint,
            }
            for entry in account.red_days
        ],
        "notices": list(account.notices),
    }


def _table(found: Health) -> Table:
    table = Table()
    for name in ("source", "account", "last good day"):
        table.add_column(name, no_wrap=True)
    for name in (
        "days",
        "rows",
        "gaps",
        "unsettled",
        "held",
        "rejects",
        "asked for",
        "points left",
    ):
        table.add_column(name, justify="right")
    table.add_column("last loaded (UTC)", no_wrap=True)
    for account in found.accounts:
        s, points = account.status, account.points
        table.add_row(
            s.source,
            s.account,
            str(s.last_good_day or "none"),
            f"{s.days:,}",
            f"{s.rows:,}",
            str(len(s.gaps)),
            str(len(s.unsettled)),
            str(len(s.held)),
            str(s.rejects),
            str(account.requested_left or ""),
            "" if points is None else "no limit" if points.left is None else f"{points.left:,}",
            f"{s.last_loaded_at:%Y-%m-%d %H:%M}" if s.last_loaded_at else "never",
        )
    return table


def conclusion(found: Health) -> str:
    """The last line: whether there is anything to do."""
    alarms = f"; {pluralize(len(found.alarms), 'alarm')} open" if found.alarms else ""
    return f"{found.summarize()}{alarms}."


def _erasure_lines(erasures: Sequence[int]) -> list[str]:
    return [
        f"erasure {erasure} has not finished; if none is under way: {remedies.FORGET_AGAIN}"
        for erasure in erasures
    ]


def _lines(found: Health) -> list[str]:
    """What is wrong, each with the line that mends it."""
    lines = [
        f"{source}: left out, no credentials ({', '.join(missing)} not set)"
        for source, missing in found.left_out.items()
    ]
    for account in found.accounts:
        s = account.status
        lines += [f"{s.source} {s.account}: {notice}" for notice in account.notices]
        if s.failing and s.last_failed_at is not None:
            lines.append(
                f"{s.source} {s.account}: last attempt failed at"
                f" {s.last_failed_at:%Y-%m-%d %H:%M} UTC: {s.last_failure}"
            )
    red_days = found.red_days
    for entry in red_days[:_TROUBLES_SHOWN]:
        told = f" [{entry.recorded_in}]" if entry.recorded_in else ""
        lines.append(
            f"{entry.source} {entry.account} {entry.shown_days}: {entry.why}{told}\n"
            f"    {entry.hint}"
        )
    if len(red_days) > _TROUBLES_SHOWN:
        lines.append(f"and {len(red_days) - _TROUBLES_SHOWN} more (see --json)")
    lines += [
        f"{channel}: not delivered yet: {pluralize(count, 'alarm')}: {failure}"
        for channel, count, failure in found.undelivered
    ]
    return lines
