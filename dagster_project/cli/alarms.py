"""``warehouse alarms``: what is wrong and not over, each cause once; acknowledged or muted by a person."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, date, datetime, time

import click

from dagster_project import clock
from dagster_project.cli.console import echo_json, new_console
from dagster_project.errors import SettingsError
from dagster_project.monitoring import alarm_acts, alarm_outbox
from dagster_project.monitoring.alarm import Alarm
from dagster_project.monitoring.alarm_delivery import channels, title_of
from dagster_project.monitoring.check_alarms import check_alarms, note_alarms
from dagster_project.monitoring.mending import Ledger
from dagster_project.pipeline import services
from dagster_project.text.remedies import join_commands
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Connection

_COMMANDS_SHOWN = 5


def alarms(
    *,
    acknowledged: Sequence[int],
    muted: Sequence[int],
    unmuted: Sequence[int],
    until: date | None,
    by: str | None,
    as_json: bool,
) -> int:
    """Print the open alarms, or do what is asked about some; 1 where one named is not open."""
    if (until is None) == bool(muted):
        raise click.UsageError("--mute and --until go together.")
    if until is not None and until <= clock.now().date():
        raise click.UsageError("--until names a day to come.")
    settings, warehouse = services.settings(), services.current_warehouse()
    who = by or _user()
    with warehouse.connect(what="alarms", autocommit=True) as connection:
        note_checks(Ledger(settings, warehouse, connection))
        missing = [
            *_act(
                "acknowledged", acknowledged, alarm_acts.acknowledge(connection, acknowledged, who)
            ),
            *_act(f"muted until {until}", muted, _mute(connection, muted, who, until)),
            *_act("muted no longer", unmuted, alarm_acts.mute(connection, unmuted, who, None)),
        ]
        found = alarm_outbox.open_alarms(connection, limit=1000)
    if as_json:
        echo_json([_as_json(one) for one in found])
    elif not (acknowledged or muted or unmuted):
        _print(found)
    return int(bool(missing))


def note_checks(ledger: Ledger) -> None:
    """Note what the checks say now, as the sensor does: also where no daemon runs."""
    names = [channel.name for channel in channels(ledger.settings.alarms)]
    with ledger.connection.transaction():
        note_alarms(ledger.connection, "check_failed", check_alarms(ledger), names)
        alarm_outbox.resolve_loaded_runs(ledger.connection)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise SettingsError("nobody is signed in.", hint="say who with --by NAME.") from None


def _mute(connection: Connection, ids: Sequence[int], by: str, until: date | None) -> list[int]:
    if until is None:
        return []
    return alarm_acts.mute(connection, ids, by, datetime.combine(until, time(), UTC))


def _act(done: str, asked: Sequence[int], found: Sequence[int]) -> list[int]:
    """Say what was done; answers the alarms that are not open."""
    for number in found:
        click.echo(f"alarm {number}: {done}", err=True)
    missing = sorted(set(asked) - set(found))
    for number in missing:
        click.echo(f"alarm {number} is not open; nothing was changed of it", err=True)
    return missing


def _print(found: Sequence[Alarm]) -> None:
    console = new_console()
    for one in found:
        lines = [f"{one.alarm_id}  {title_of([one])}{_state(one)}", f"    {one.what}"]
        commands = join_commands(one.hint)
        lines += [f"    {command}" for command in commands[:_COMMANDS_SHOWN]]
        if len(commands) > _COMMANDS_SHOWN:
            lines.append(f"    and {len(commands) - _COMMANDS_SHOWN} commands more (see --json)")
        for line in lines:
            console.print(line, markup=False, soft_wrap=True)
    red = sum(one.is_red for one in found)
    rest = f"; {len(found) - red} of them acknowledged or muted" if red < len(found) else ""
    click.echo(f"{pluralize(len(found), 'alarm')} open{rest}.")
    if red:
        click.echo("--acknowledge ID: somebody knows; --mute ID --until DAY: tell nothing of it.")


def _state(one: Alarm) -> str:
    if one.is_muted:
        return f" (muted until {one.muted_until:%Y-%m-%d} by {one.muted_by})"
    if one.acknowledged_at is not None:
        return f" (acknowledged {one.acknowledged_at:%Y-%m-%d} by {one.acknowledged_by})"
    return ""


def _as_json(one: Alarm) -> dict[str, object]:
    return {
        "id": one.alarm_id,
        "subject": one.subject,
        "kind": one.kind,
        "severity": one.severity,
        "source": one.source,
        "accounts": list(one.accounts),
        "days": [day.isoformat() for day in one.days],
        "what": one.what,
        "way_out": join_commands(one.hint),
        "raised_at": _instant(one.raised_at),
        "acknowledged_at": _instant(one.acknowledged_at),
        "acknowledged_by": one.acknowledged_by,
        "muted_until": _instant(one.muted_until) if one.is_muted else None,
        "muted_by": one.muted_by if one.is_muted else None,
        "red": one.is_red,
    }


def _instant(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
