"""``warehouse demo``: thirty days of every source from the bundled sandbox, and a look at them.

The demo has a home of its own (``.warehouse-demo``): its Postgres, its Dagster home and its keys are
never those of real data. The sandbox's clock stands still at the moment of the first demo, so that
a second one finds nothing changed. A demo of more days plays some evenings before it: the days that
were unfinished then tell how long statuses take. Accounts and templates get names once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import click

from dagster_project.cli import backfill, labels, picture
from dagster_project.cli.set_up import make_storage, setting_up
from dagster_project.clock import CLOCK_FILE as SHIFT_FILE
from dagster_project.config.environment import read_environment
from dagster_project.config.known_names import is_setting
from dagster_project.config.project import ENV_FILE, HOME
from dagster_project.feeds import FEEDS
from dagster_project.model.window import each_day
from dagster_project.pipeline import services
from dagster_project.sandbox.names import accounts_csv, templates_csv
from dagster_project.sandbox.server import SandboxProcess
from dagster_project.sandbox.world import demo_configs
from dagster_project.warehouse.server.home import (
    hold_home,
    read_private,
    write_private,
)

CLOCK_FILE = "demo.json"
ACCOUNTS_FILE, TEMPLATES_FILE = "accounts.csv", "templates.csv"
MOST_DAYS = 400
"""The demo's first partition lies so far back, at the beginning of a month."""
USUAL_DAYS = 30
EVENINGS_AGO = (3, 2, 1)
"""A longer demo asks for SMS as they stood so many days before it, too."""
CHANGING_DAYS = 10
"""How far back each of these evenings, but for the first, looks."""


@contextmanager
def demo_environment(
    *, days: int = USUAL_DAYS, running: bool = False
) -> Iterator[tuple[datetime, SandboxProcess]]:
    """Settings of the demo: a home of its own, and the sandbox as every vendor.

    The vendors stay those of the first demo, whenever it is shown. ``days``: how many are to be loaded.
    ``running`` lets the sandbox's clock go on from now, so that statuses mature; otherwise it
    stands still at the moment of the first demo, which is answered with the sandbox.
    """
    home, clock, history = _first_demo(days)
    given = {name: value for name, value in os.environ.items() if _is_setting(name)}
    for name in given:
        del os.environ[name]
    wish = "now" if running else clock.isoformat()
    configs: dict[str, Any] = demo_configs(clock, history)
    with SandboxProcess(clock=wish, running=running, **configs) as sandbox:
        os.environ |= {
            ENV_FILE: "",
            "WAREHOUSE_URL": "",
            "DAGSTER_URL": "",
            "PII_HASH_KEY": "",
            "ALARM_WEBHOOK_URL": "",
            "ALARM_EMAIL_TO": "",
            "WAREHOUSE_HOME": str(home),
            "WAREHOUSE_START_DATE": f"{clock - timedelta(days=MOST_DAYS):%Y-%m}-01",
            **sandbox.settings_env(),
        }
        services.settings.cache_clear()
        services.warehouse.cache_clear()
        yield clock, sandbox


def demo_home() -> Path:
    """Beside the real home, and never it."""
    real = Path(read_environment()[HOME]).resolve()
    return real.with_name(f"{real.name}-demo")


def demo(*, days: int) -> int:
    """Load, then show what was loaded and how to go on."""
    began = monotonic()
    with demo_environment(days=days) as (clock, sandbox):
        click.echo("starting Postgres and the vendor sandbox …", err=True)
        with setting_up() as steps:
            services.ready_warehouse(make_storage, steps.report)
        if days > USUAL_DAYS and not (services.settings().home / ACCOUNTS_FILE).exists():
            play_evenings(clock, sandbox, days)
        results = []
        for feed in FEEDS:
            today = clock.astimezone(feed.time_zone(services.settings())).date()
            span = each_day(today - timedelta(days=days), today - timedelta(days=1))
            results += backfill.run([feed], list(span), backfill.RunOptions(chunk_days=days))
        give_names()
        for line in backfill.summary_lines(results):
            click.echo(line)
        click.echo()
        picture.show(services.warehouse(), services.settings())
        changed = any(done.changed for done in results)
        click.echo(
            f"done in {monotonic() - began:.0f} s"
            if changed
            else f"nothing changed: every day stands as the vendors answer it ({monotonic() - began:.0f} s)"
        )
        click.echo(_next_steps())
    return backfill.exit_status(results)


def play_evenings(clock: datetime, sandbox: SandboxProcess, days: int) -> None:
    """Load SMS as they stood on evenings before ``clock``, each observation dated with its evening."""
    with TemporaryDirectory() as own:  # another demo may play its evenings meanwhile
        file = Path(own) / "clock"
        os.environ[SHIFT_FILE] = str(file)
        for ago in EVENINGS_AGO:
            evening = clock - timedelta(days=ago)
            write_private(file, str((evening - datetime.now(UTC)).total_seconds()))
            sandbox.post("clock", {"now": evening.isoformat()})
            for feed in [feed for feed in FEEDS if feed.sms_mask]:
                today = evening.astimezone(feed.time_zone(services.settings())).date()
                back = days - ago if ago == max(EVENINGS_AGO) else CHANGING_DAYS
                span = each_day(today - timedelta(days=back), today - timedelta(days=1))
                backfill.run([feed], list(span), backfill.RunOptions(chunk_days=days))
        del os.environ[SHIFT_FILE]
    sandbox.post("clock", {"now": clock.isoformat()})


def give_names() -> None:
    """Name accounts and templates as a user would, the first time; the files stay as examples.

    They are written last: a demo that was killed before is named by the next one.
    """
    home = services.settings().home
    if (home / ACCOUNTS_FILE).exists():
        return
    with services.warehouse().connect_admin() as connection:
        accounts = connection.execute("SELECT vendor, account FROM bi.account").fetchall()
        templates = connection.execute(
            "SELECT template_id::text, template_text FROM bi.template"
        ).fetchall()
    texts = {ACCOUNTS_FILE: accounts_csv(accounts), TEMPLATES_FILE: templates_csv(templates)}
    changed, _ = labels.take_texts(list(texts.items()))
    for name in (TEMPLATES_FILE, ACCOUNTS_FILE):
        write_private(home / name, texts[name])
    named = " and ".join(
        f"{len(changes)} {what}"
        for what, changes in zip(("accounts", "templates"), changed, strict=True)
    )
    click.echo(f"{named} are named, by {ACCOUNTS_FILE} and {TEMPLATES_FILE}")


def _first_demo(days: int) -> tuple[Path, datetime, int]:
    """The demo's home, when the first demo was, and the most days that one loaded, this one counted."""
    with hold_home(demo_home()):
        home = demo_home().resolve()
        path = home / CLOCK_FILE
        known = read_private(path)
        kept = json.loads(known) if known is not None else {}
        clock = kept.get("clock") or datetime.now(UTC).replace(microsecond=0).isoformat()
        history = max(days, kept.get("days", USUAL_DAYS))
        told = {"clock": clock, "days": history}
        if told != kept:
            write_private(path, json.dumps(told))
    return home, datetime.fromisoformat(clock), history


def _is_setting(name: str) -> bool:
    """But for the clock that a test plays."""
    if name == SHIFT_FILE:
        return False
    return name == "DAGSTER_HOME" or is_setting(name) or is_setting(name.removesuffix("_FILE"))


def _next_steps() -> str:
    program = Path(sys.executable).parent / "warehouse"
    with_demo = f"{os.path.relpath(program)} --demo"
    url = services.warehouse().public_url("warehouse_bi")
    password_file = os.path.relpath(services.settings().home / "secrets" / "pgpass")
    steps = (
        ("make ui", "Dagster's UI and daemon, over this warehouse"),
        (f"{with_demo} psql", "psql as warehouse_bi, who reads schema bi"),
        (f"{with_demo} psql --role postgres", "psql as the administrator"),
        (f"{with_demo} status", "every source and account on one screen"),
        (f"{with_demo} stop", "stop this Postgres (it runs on until then)"),
    )
    lines = [f"  {command}\n      {does}" for command, does in steps]
    return "\n".join(
        (
            "",
            "Go on:",
            *lines,
            f"  BI tools: {url}",
            "      user warehouse_bi; its password is in its line of",
            f"      {password_file}",
        )
    )
