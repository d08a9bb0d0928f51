"""``warehouse forget``: people erased, their numbers read from standard input.

Standard input and not arguments: a number among the arguments would stand in the shell's history and in
the list of processes. No number is printed; a line that is none is named by its place.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from dagster_project.errors import SettingsError
from dagster_project.feeds import FEEDS
from dagster_project.orchestration import personal, services
from dagster_project.privacy import Identity
from dagster_project.vendors.calltouch.personal import shown_template
from dagster_project.warehouse import marts
from dagster_project.warehouse.connection import safe_errors
from dagster_project.warehouse.erase import Erased
from dagster_project.warehouse.erase import forget as erase
from dagster_project.warehouse.keys import check_fingerprint, pii_hash_key


def forget() -> int:
    """Erase everybody whose number stands on a line of standard input, and keep them out."""
    if sys.stdin.isatty():
        click.echo("numbers, one a line, in any mask; Ctrl-D ends:", err=True)
    identities = read_numbers(sys.stdin)
    settings, warehouse = services.settings(), services.ready_warehouse()
    key = pii_hash_key(settings)
    check_fingerprint(warehouse, key)
    with safe_errors("erasing"):
        done = erase(
            warehouse,
            key,
            identities,
            personal.belongings(settings, key),
            report=lambda line: click.echo(line, err=True),
        )
        with warehouse.connect(what="forget", autocommit=True) as connection:
            for label, day in done.days:
                marts.recount(connection, [int(label)], [day])
            marts.refresh_stale(connection, shown_template)
    click.echo(_summary(done))
    return 0


def read_numbers(lines: Iterable[str]) -> list[Identity]:
    """The numbers of these lines, each once; empty lines are passed by.

    Raises:
        SettingsError: a line is no number, or there is none. Nothing was done.
    """
    identify = [feed.personal.identify for feed in FEEDS if feed.personal is not None]
    found: dict[Identity, None] = {}
    for place, line in enumerate(lines, start=1):
        typed = line.strip()
        if not typed:
            continue
        known = [identity for read in identify if (identity := read(typed)) is not None]
        if not known:
            raise SettingsError(
                f"line {place} is not a telephone number.",
                way_out="write one number a line, with its country's code; nothing was erased.",
            )
        found.update(dict.fromkeys(known))
    if not found:
        raise SettingsError(
            "standard input holds no number.", way_out="warehouse forget < file_with_numbers"
        )
    return list(found)


def _summary(done: Erased) -> str:
    return (
        f"erasure {done.erasure_id}: {done.numbers} numbers; {done.rows:,} rows of"
        f" {len(done.days)} days, {done.responses} stored responses and {done.rejects} rejected"
        " records were rewritten. The numbers are kept out of every later answer."
    )
