"""The verbs of the ``warehouse`` command: what each takes, and its help; the bodies are in the modules beside."""

from __future__ import annotations

from pathlib import Path

import click
from click import argument, option

from dagster_project.cli.options import (
    SOURCES,
    Day,
    account_option,
    from_option,
    json_option,
    load_options,
    source_option,
    to_option,
)
from dagster_project.cli.program import verb


@verb(
    source_option,
    *load_options,
    option(
        "--spread",
        is_flag=True,
        help="Leave it to the nightly runs: those of these days that are missing, within the budget.",
    ),
    option("--withdraw", is_flag=True, help="Take back what --spread noted within these days."),
)
def backfill() -> None:
    """Ask the vendors for days and load them, newest first, as runs that show in Dagster's UI."""


@verb(
    source_option,
    from_option,
    to_option,
    account_option,
    option(
        "--probe", is_flag=True, help="Ask the vendor how many rows unread days hold: a few calls."
    ),
    json_option,
)
def plan() -> None:
    """What a backfill would cost: requests, points, nights and minutes, and how sure that is."""


@verb(
    option(
        "--source",
        "sources",
        multiple=True,
        required=True,
        type=SOURCES,
        help="The source; may be repeated.",
    ),
    *load_options,
    module="backfill",
)
def replay() -> None:
    """Rebuild days' rows from the stored responses; no vendor is called."""


@verb(source_option, json_option)
def status() -> None:
    """One screen: for every source and account the last good day, gaps, failures, points left.

    Exit status 1: a day is red (failed, missing, or a check of it does not pass), an alarm is open that is
    neither acknowledged nor muted, or an erasure has not finished.
    """


@verb(source_option, account_option, json_option)
def held() -> None:
    """Days whose newer answer is held back: why, and what taking it would change."""


@verb(
    source_option,
    account_option,
    option("--from", "first", type=Day(), help="Of this day and later ones alone."),
    option("--to", "last", type=Day(), help="Of this day and earlier ones alone."),
    option(
        "--originals",
        is_flag=True,
        help="Print the records themselves, as JSON lines: personal data.",
    ),
    json_option,
)
def rejects() -> None:
    """Records that could not be loaded, by reason, day and account."""


@verb(
    option(
        "--acknowledge",
        "acknowledged",
        multiple=True,
        type=int,
        metavar="ID",
        help="Somebody knows of this alarm: not red until it changes; may be repeated.",
    ),
    option(
        "--mute",
        "muted",
        multiple=True,
        type=int,
        metavar="ID",
        help="Neither red nor told, whatever comes of it, before --until.",
    ),
    option("--until", type=Day(), help="The day (UTC) on which what was muted is told again."),
    option("--unmute", "unmuted", multiple=True, type=int, metavar="ID", help="Take --mute back."),
    option("--by", metavar="NAME", help="Who says so (default: the user of this computer)."),
    json_option,
)
def alarms() -> None:
    """What is wrong and not over, each cause once; acknowledge it, or mute it until a day."""


@verb(json_option)
def doctor() -> None:
    """Look at all that the warehouse rests on: each line is good, or says the way to mend it."""


@verb(
    argument(
        "files",
        nargs=-1,
        required=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
    ),
)
def labels() -> None:
    """Name accounts and templates in schema bi, or set the prices of SMS, from CSV files.

    The header says which: vendor,account,label, or template_id,label,category,campaign, or
    vendor,account,country,per,price,from,to,currency. A price list replaces the one before. An unknown account or
    template is refused with its line.
    """


@verb(
    option(
        "--dry-run",
        is_flag=True,
        help="Change nothing: what would be applied, which locks it takes, what it rewrites."
        " Each step is done and taken back, so readers may wait meanwhile.",
    ),
    module="server",
)
def migrate() -> None:
    """Bring the database's schema up to date; safe to run twice and by two processes at once."""


@verb(module="server")
def stop() -> None:
    """Stop the embedded Postgres; the data stays."""


@verb(
    argument("psql_arguments", nargs=-1, type=click.UNPROCESSED),
    option(
        "--role",
        help="Login to sign in as (embedded Postgres: warehouse_bi; a server of yours: that of WAREHOUSE_URL).",
    ),
    module="server",
    context_settings={"ignore_unknown_options": True},
)
def psql() -> None:
    """Open psql on the warehouse; other arguments go to psql, as -c 'SELECT …'."""


@verb(
    option(
        "--port",
        type=click.IntRange(0, 65535),
        default=3000,
        show_default=True,
        help="Loopback port of the UI; 0: a free one.",
    ),
    option("--no-daemon", is_flag=True, help="The UI alone, without schedules and sensors."),
)
def ui() -> None:
    """Dagster's UI and daemon on loopback, over this warehouse."""


@verb(
    option(
        "--days",
        type=click.IntRange(1, 400),
        default=30,
        show_default=True,
        help="Days to load, until yesterday.",
    ),
)
def demo() -> None:
    """Load 30 days of every source from the bundled vendor sandbox, and show what was loaded."""


@verb(
    option(
        "--port", type=click.IntRange(0, 65535), default=0, help="Loopback port; 0: a free one."
    ),
    option(
        "--seed",
        type=int,
        default=1,
        show_default=True,
        help="Equal seeds and clocks give equal data.",
    ),
    option(
        "--clock",
        default="now",
        show_default=True,
        help="'now', or an instant such as 2024-05-01T12:00:00+03:00 to stand still at.",
    ),
    module="server",
)
def sandbox() -> None:
    """Play the vendors on loopback until interrupted; prints the settings that point at it."""


@verb(
    argument("command", nargs=-1, required=True, type=click.UNPROCESSED),
    module="stack",
    name="exec",
    context_settings={"ignore_unknown_options": True},
)
def execute() -> None:
    """Become a program that needs Dagster's storage: warehouse exec -- dagster-webserver …"""


@verb(
    option(
        "--passwords",
        required=True,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder with a file for each login: warehouse_app_password and warehouse_dagster_password;"
        " those of BI logins where they are wanted.",
    ),
)
def logins() -> None:
    """Let the pipeline, Dagster and BI sign in on a server of yours, as its administrator.

    The logins: warehouse_app (WAREHOUSE_URL), warehouse_dagster (DAGSTER_URL), and for BI tools
    warehouse_bi, warehouse_bi_detail, warehouse_bi_pii. Run `warehouse migrate` before it.
    """


@verb(
    option("--port", type=click.IntRange(0, 65535), help="Serve them on this port; 0: a free one."),
    option("--host", default="127.0.0.1", show_default=True, help="Address to serve them on."),
)
def metrics() -> None:
    """How things stand in Prometheus' text format: printed once, or served with --port."""
