"""The ``warehouse`` command.

Exit status: 0 done, 1 some window failed (the rest is loaded) or, of ``status``, something is red, 2 wrong
usage or settings, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import click

from dagster_project.cli.fast_imports import gc_paused
from dagster_project.errors import WarehouseError


class Day(click.ParamType[date]):
    """A calendar day, ``2024-04-01``."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a day; write it as 2024-04-01", param, ctx)


class SourceChoice(click.Choice[str]):
    """The name of a source; the list of feeds is imported where one is named, or help is asked for."""

    def __init__(self) -> None:
        self.case_sensitive = True

    @cached_property
    def choices(self) -> Sequence[str]:  # type: ignore[override]
        from dagster_project.feeds import FEEDS

        return tuple(feed.source for feed in FEEDS)


SOURCES = SourceChoice()
source_option = click.option(
    "--source",
    "sources",
    multiple=True,
    type=SOURCES,
    help="Only this source; may be repeated.",
)
account_option = click.option(
    "--account",
    "accounts",
    multiple=True,
    help="Only this site, account label or company; may be repeated.",
)
from_option = click.option(
    "--from", "first", type=Day(), required=True, help="First day, vendor-local."
)
accept_shrink_option = click.option(
    "--accept-shrink",
    is_flag=True,
    help="Take held days that lost rows: far fewer than they had, or purchases that are gone.",
)
accept_rejects_option = click.option(
    "--accept-rejects",
    is_flag=True,
    help="Take held days of which records, or a field, can no longer be read.",
)
to_option = click.option("--to", "last", type=Day(), required=True, help="Last day, included.")


def _configure_logs() -> None:
    from dagster_project.monitoring.logs import configure_logs

    configure_logs()


class Verb(click.Command):
    """A command of the program. Logs are configured where it runs: help needs no settings."""

    def invoke(self, ctx: click.Context) -> Any:
        _configure_logs()
        return super().invoke(ctx)


class Program(click.Group):
    command_class = Verb


@click.group(
    cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--demo", is_flag=True, help="Work on the demo's warehouse, against the bundled vendor sandbox."
)
@click.version_option(package_name="messaging-warehouse")
@click.pass_context
def warehouse(context: click.Context, demo: bool) -> None:
    """Daily statistics of messaging vendors in Postgres, run by Dagster."""
    # Whatever this program and those that it starts write is its user's alone.
    before = os.umask(0o077)
    context.call_on_close(lambda: os.umask(before))
    if demo and context.invoked_subcommand != "demo":
        # Before the demo's settings take the place of the environment's.
        _configure_logs()
        from dagster_project.cli import demo as demo_command

        context.with_resource(demo_command.demo_environment())


@warehouse.command()
@source_option
@from_option
@to_option
@account_option
@click.option(
    "--chunk-days",
    type=click.IntRange(min=1),
    help="Days a run takes (default: WAREHOUSE_RANGE_DAYS, 366).",
)
@accept_shrink_option
@accept_rejects_option
@click.option("--oldest-first", is_flag=True, help="Begin with the first day instead of the last.")
@click.option(
    "--spread",
    is_flag=True,
    help="Leave it to the nightly runs: those of these days that are missing, within the budget.",
)
@click.option("--withdraw", is_flag=True, help="Take back what --spread noted within these days.")
def backfill(*, spread: bool, withdraw: bool, **options: Any) -> int:
    """Ask the vendors for days and load them, newest first, as runs that show in Dagster's UI."""
    if spread or withdraw:
        return _wish(spread=spread, withdraw=withdraw, **options)
    with gc_paused():
        from dagster_project.cli.backfill import backfill as command

    return command(ask=True, **options)


def _wish(*, spread: bool, withdraw: bool, **options: Any) -> int:
    """Note a wish for the nightly runs, or take it back."""
    from dagster_project.cli import plan

    names = ("chunk_days", "accept_shrink", "accept_rejects", "oldest_first")
    given = [name for name in names if options.pop(name)]
    if given or (spread and withdraw):
        raise click.UsageError(
            "--spread and --withdraw go with --source, --account, --from and --to alone."
        )
    return plan.spread(**options) if spread else plan.withdraw(**options)


@warehouse.command()
@source_option
@from_option
@to_option
@account_option
@click.option(
    "--probe", is_flag=True, help="Ask the vendor how many rows unread days hold: a few calls."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def plan(**options: Any) -> int:
    """What a backfill would cost: requests, points, nights and minutes, and how sure that is."""
    from dagster_project.cli.plan import plan as command

    return command(**options)


@warehouse.command()
@click.option(
    "--source",
    "sources",
    multiple=True,
    required=True,
    type=SOURCES,
    help="The source; may be repeated.",
)
@from_option
@to_option
@account_option
@click.option(
    "--chunk-days",
    type=click.IntRange(min=1),
    help="Days a run takes (default: WAREHOUSE_RANGE_DAYS, 366).",
)
@accept_shrink_option
@accept_rejects_option
@click.option("--oldest-first", is_flag=True, help="Begin with the first day instead of the last.")
def replay(**options: Any) -> int:
    """Rebuild days' rows from the stored responses; no vendor is called."""
    with gc_paused():
        from dagster_project.cli.backfill import backfill as command

    return command(ask=False, **options)


@warehouse.command()
@source_option
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def status(**options: Any) -> int:
    """One screen: for every source and account the last good day, gaps, failures, points left.

    Exit status 1: a day is red (failed, missing, or a check of it does not pass), an alarm is open that is
    neither acknowledged nor muted, or an erasure has not finished.
    """
    from dagster_project.cli.status import status as command

    return command(**options)


@warehouse.command()
@source_option
@account_option
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def held(**options: Any) -> int:
    """Days whose newer answer is held back: why, and what taking it would change."""
    from dagster_project.cli.held import held as command

    return command(**options)


@warehouse.command()
@source_option
@account_option
@click.option("--from", "first", type=Day(), help="Of this day and later ones alone.")
@click.option("--to", "last", type=Day(), help="Of this day and earlier ones alone.")
@click.option(
    "--originals", is_flag=True, help="Print the records themselves, as JSON lines: personal data."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def rejects(**options: Any) -> int:
    """Records that could not be loaded, by reason, day and account."""
    from dagster_project.cli.rejects import rejects as command

    return command(**options)


@warehouse.command()
@click.option(
    "--acknowledge",
    "acknowledged",
    multiple=True,
    type=int,
    metavar="ID",
    help="Somebody knows of this alarm: not red until it changes; may be repeated.",
)
@click.option(
    "--mute",
    "muted",
    multiple=True,
    type=int,
    metavar="ID",
    help="Neither red nor told, whatever comes of it, before --until.",
)
@click.option("--until", type=Day(), help="The day (UTC) on which what was muted is told again.")
@click.option(
    "--unmute", "unmuted", multiple=True, type=int, metavar="ID", help="Take --mute back."
)
@click.option("--by", metavar="NAME", help="Who says so (default: the user of this computer).")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def alarms(**options: Any) -> int:
    """What is wrong and not over, each cause once; acknowledge it, or mute it until a day."""
    from dagster_project.cli.alarms import alarms as command

    return command(**options)


@warehouse.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def doctor(**options: Any) -> int:
    """Look at all that the warehouse rests on: each line is good, or says the way to mend it."""
    from dagster_project.cli.doctor import doctor as command

    return command(**options)


@warehouse.command()
@click.option(
    "--dry-run", is_flag=True, help="Erase nothing: say what would be rewritten for these numbers."
)
@click.option(
    "--again",
    is_flag=True,
    help="Read no numbers: apply the suppression list to all that is stored.",
)
@click.option(
    "--import",
    "import_from",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="The same, after joining a list that --export wrote; -: standard input.",
)
@click.option(
    "--export",
    "export_to",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Erase nothing: write the suppression list (keyed hashes) to a file; -: standard output.",
)
def forget(**options: Any) -> int:
    """Erase people for good: their numbers, one a line, are read from standard input."""
    if sum(bool(given) for given in options.values()) > 1:
        raise click.UsageError("--dry-run, --again, --import and --export do not go together.")
    from dagster_project.cli.forget import run as command

    return command(**options)


@warehouse.command("remove-account")
@click.argument("source", type=SOURCES)
@click.argument("account")
@click.option("--dry-run", is_flag=True, help="Remove nothing: count what would be removed.")
def remove_account(**options: Any) -> int:
    """Take an account that was loaded by mistake out of rows, responses, ledger and bi, for good.

    It must not be configured any more, on any host. A removal that was stopped is finished by the same
    command.
    """
    from dagster_project.cli.remove_account import remove_account as command

    return command(**options)


@warehouse.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
def subject(**options: Any) -> int:
    """Write all that is held about one number, read from standard input, to a new FILE (JSON).

    Only its owner may read FILE (mode 0600), which is never overwritten; without one it is
    subject-<time>.json. What stands in the records of others is counted, not written.
    """
    from dagster_project.cli.subject import subject as command

    return command(**options)


@warehouse.command()
@click.option(
    "--generate",
    is_flag=True,
    help="Of the embedded warehouse: let a new key be made, and kept there.",
)
def rekey(**options: Any) -> int:
    """Compute every pseudonym anew with PII_HASH_KEY_NEW; can be interrupted and run again."""
    from dagster_project.cli.rekey import rekey as command

    return command(**options)


@warehouse.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
def labels(**options: Any) -> int:
    """Name accounts and templates in schema bi, or set the prices of SMS, from CSV files.

    The header says which: vendor,account,label, or template_id,label,category,campaign, or
    vendor,account,country,per,price,from,to,currency. A price list replaces the one before. An unknown account or
    template is refused with its line.
    """
    from dagster_project.cli.labels import labels as command

    return command(**options)


@warehouse.command()
@click.option(
    "--dry-run",
    is_flag=True,
    help="Change nothing: what would be applied, which locks it takes, what it rewrites."
    " Each step is done and taken back, so readers may wait meanwhile.",
)
def migrate(**options: Any) -> int:
    """Bring the database's schema up to date; safe to run twice and by two processes at once."""
    from dagster_project.cli.server import migrate as command

    return command(**options)


@warehouse.command()
def stop() -> int:
    """Stop the embedded Postgres; the data stays."""
    from dagster_project.cli.server import stop as command

    return command()


@warehouse.command(context_settings={"ignore_unknown_options": True})
@click.argument("psql_arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--role",
    help="Login to sign in as (embedded Postgres: warehouse_bi; a server of yours: that of WAREHOUSE_URL).",
)
def psql(**options: Any) -> int:
    """Open psql on the warehouse; other arguments go to psql, as -c 'SELECT …'."""
    from dagster_project.cli.server import psql as command

    return command(**options)


@warehouse.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=3000,
    show_default=True,
    help="Loopback port of the UI; 0: a free one.",
)
@click.option("--no-daemon", is_flag=True, help="The UI alone, without schedules and sensors.")
def ui(**options: Any) -> int:
    """Dagster's UI and daemon on loopback, over this warehouse."""
    from dagster_project.cli.ui import ui as command

    return command(**options)


@warehouse.command()
@click.option(
    "--days",
    type=click.IntRange(1, 400),
    default=30,
    show_default=True,
    help="Days to load, until yesterday.",
)
def demo(**options: Any) -> int:
    """Load 30 days of every source from the bundled vendor sandbox, and show what was loaded."""
    from dagster_project.cli.demo import demo as command

    return command(**options)


@warehouse.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Loopback port; 0: a free one."
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Equal seeds and clocks give equal data."
)
@click.option(
    "--clock",
    default="now",
    show_default=True,
    help="'now', or an instant such as 2024-05-01T12:00:00+03:00 to stand still at.",
)
def sandbox(**options: Any) -> int:
    """Play the vendors on loopback until interrupted; prints the settings that point at it."""
    from dagster_project.cli.server import sandbox as command

    return command(**options)


@warehouse.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(**options: Any) -> int:
    """Become a program that needs Dagster's storage: warehouse exec -- dagster-webserver …"""
    from dagster_project.cli.stack import execute as command

    return command(**options)


@warehouse.command()
@click.option(
    "--passwords",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with a file for each login: warehouse_app_password and warehouse_dagster_password;"
    " those of BI logins where they are wanted.",
)
def logins(**options: Any) -> int:
    """Let the pipeline, Dagster and BI sign in on a server of yours, as its administrator.

    The logins: warehouse_app (WAREHOUSE_URL), warehouse_dagster (DAGSTER_URL), and for BI tools
    warehouse_bi, warehouse_bi_detail, warehouse_bi_pii. Run `warehouse migrate` before it.
    """
    from dagster_project.cli.stack import logins as command

    return command(**options)


@warehouse.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Serve them on this port; 0: a free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve them on.")
def metrics(**options: Any) -> int:
    """How things stand in Prometheus' text format: printed once, or served with --port."""
    from dagster_project.cli.metrics import metrics as command

    return command(**options)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: turns errors into one line and an exit status."""
    try:
        status = warehouse.main(args=arguments, prog_name="warehouse", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except WarehouseError as error:
        _end_with(error)
    except Exception as error:
        from dagster_project.warehouse.pg_errors import database_failure

        failure = database_failure(error)
        if failure is None:
            raise
        _end_with(failure)
    sys.exit(status if isinstance(status, int) else 0)


def _end_with(error: WarehouseError) -> NoReturn:
    click.echo(f"warehouse: {error}", err=True)
    sys.exit(error.exit_status)
