"""``warehouse status``: one screen for every source and account; reads the ledger, asks no vendor.

It writes in one case: where an erasure was stopped, the marts of the days that it rewrote are counted afresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dagster_project.cli.console import echo_json, new_console, print_table
from dagster_project.monitoring.status import AccountHealth, Cells, Health, health
from dagster_project.pipeline import services
from dagster_project.pipeline.marts_upkeep import sms_mask
from dagster_project.privacy.erasure_receipts import unfinished
from dagster_project.text import remedies
from dagster_project.text.wording import pluralize
from dagster_project.warehouse import marts

_TROUBLES_SHOWN = 20


def status(*, sources: Sequence[str], as_json: bool) -> int:
    """Print how every account stands, and for all that is red the line that mends it.

    Answers 1 where a day is red, an alarm is open that nobody acknowledged or muted, or an erasure has not
    finished.
    """
    settings = services.settings()
    warehouse = services.current_warehouse()
    with warehouse.connect(what="status", autocommit=True) as connection:
        erasures = unfinished(connection)
        if erasures:
            # The days that it rewrote before it was stopped are noted: their marts are counted afresh now.
            marts.refresh_stale(connection, sms_mask(), patience=0)
        found = health(settings, warehouse, connection, sources)
    answer = int(bool(found.red_days or found.red_alarms or erasures))
    if as_json:
        echo_json({**_as_json(found), "unfinished_erasures": erasures})
        return answer
    console = new_console()
    names = found.columns_to_show(_CELLS, _ALWAYS)
    print_table(
        console,
        [_HEADERS.get(name, name) for name in names],
        [[_CELLS[name](account) for name in names] for account in found.accounts],
        left=len(_LEFT),
    )
    for line in [LAST_GOOD_DAY, *_lines(found), *_erasure_lines(erasures), conclusion(found)]:
        for part in line.split("\n"):
            # A command stays in one piece, and so does every line that a program reads.
            console.print(
                part, markup=False, soft_wrap=part.startswith(" ") or not console.is_terminal
            )
    return answer


def _as_json(found: Health) -> dict[str, object]:
    return {
        "taken_at": found.taken_at.isoformat(timespec="seconds"),
        "accounts": [_account_json(account) for account in found.accounts],
        "left_out": found.left_out,
        "alarms": [
            {
                "id": a.alarm_id,
                "subject": a.subject,
                "severity": a.severity,
                "what": a.what,
                "way_out": a.hint,
                "red": a.is_red,
            }
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


_CELLS: Final[Cells] = {
    "source": lambda account: account.status.source,
    "account": lambda account: account.status.account,
    "last good day": lambda account: str(account.status.last_good_day or "none"),
    "days": lambda account: f"{account.status.days:,}",
    "rows": lambda account: f"{account.status.rows:,}",
    "gaps": lambda account: str(len(account.status.gaps)),
    "not yet settled": lambda account: str(len(account.status.unsettled)),
    "held": lambda account: str(len(account.status.held)),
    "rejects": lambda account: str(account.status.rejects),
    "asked for": lambda account: str(account.requested_left or ""),
    "points left": lambda account: str(account.points or ""),
}
_HEADERS: Final = {
    "last good day": "last good\nday",
    "not yet settled": "not yet\nsettled",
    "asked for": "asked\nfor",
    "points left": "points\nleft",
}
_LEFT: Final = ("source", "account", "last good day")
_ALWAYS: Final = (*_LEFT, "days", "rows", "gaps", "not yet settled")
LAST_GOOD_DAY: Final = "last good day: up to it every day since the first one is loaded."


def conclusion(found: Health) -> str:
    """The last line: whether there is anything to do."""
    red = len(found.red_alarms)
    known = len(found.alarms) - red
    alarms = f"; {pluralize(red, 'alarm')} open (`{remedies.LIST_ALARMS}`)" if red else ""
    alarms += f"; {pluralize(known, 'alarm')} acknowledged or muted" if known else ""
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
            "\n    ".join(
                [
                    f"{entry.source} {entry.account} {entry.shown_days}: {entry.why}{told}",
                    *entry.shown_hints,
                ]
            )
        )
    if len(red_days) > _TROUBLES_SHOWN:
        lines.append(f"and {len(red_days) - _TROUBLES_SHOWN} more (see --json)")
    lines += [
        f"{channel}: not delivered yet: {pluralize(count, 'alarm')}: {failure}"
        for channel, count, failure in found.undelivered
    ]
    return lines
