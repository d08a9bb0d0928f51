"""``warehouse forget``: people erased, their numbers read from standard input.

Standard input and not arguments: a number among the arguments would stand in the shell's history and in
the list of processes. No number is printed; a line that is none is named by its place.

The suppression list holds keyed hashes alone. As a file it is kept apart from backups, and brought into a
warehouse that was restored from one: whoever was erased since is erased there again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from dagster_project.cli.set_up import make_storage
from dagster_project.errors import SettingsError
from dagster_project.feeds import FEEDS
from dagster_project.model.privacy import Identity
from dagster_project.pipeline import personal_data, services
from dagster_project.pipeline.marts_upkeep import sms_mask
from dagster_project.privacy import suppression_file
from dagster_project.privacy.erasure import forget as erase
from dagster_project.privacy.erasure import preview
from dagster_project.privacy.erasure_receipts import Erased
from dagster_project.privacy.personal_data import PersonalDataScope
from dagster_project.privacy.pseudonym_key import check_fingerprint, pii_hash_key
from dagster_project.privacy.reapplication import forget_again
from dagster_project.text.remedies import APPLY_ERASURES
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Report, Warehouse
from dagster_project.warehouse.ledger.manual_acts import note_act
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.server.home import write_private

Erase = Callable[[Warehouse, str, list[PersonalDataScope], Report], Erased]
STANDARD = Path("-")
OLD_LIST = (
    "This list is from before the newest erasure that WAREHOUSE_HOME has seen: who was erased since may stand"
    f" in this warehouse, loads stay refused and BI closed. Way out: {APPLY_ERASURES}"
)


def forget(*, dry_run: bool, again: bool, import_from: Path | None, export_to: Path | None) -> int:
    """Erase the numbers of standard input, or those of the list; or write the list."""
    if sum(map(bool, (dry_run, again, import_from, export_to))) > 1:
        raise click.UsageError("--dry-run, --again, --import and --export do not go together.")
    if dry_run:
        return count()
    if export_to is not None:
        return export(export_to)
    if import_from is not None:
        return apply_list(_read(import_from))
    return apply_list() if again else erase_typed()


def count() -> int:
    """Say what erasing the numbers of standard input would rewrite; nothing is changed."""
    identities = _typed_numbers()
    warehouse, key = opened_with_key()
    scopes = personal_data.scopes(services.settings(), key)
    with safe_errors("counting"):
        found = preview(warehouse, key, identities, scopes, lambda line: click.echo(line, err=True))
    click.echo(f"{_figures(found)} would be rewritten. Nothing was changed.")
    return 0


def erase_typed() -> int:
    """Erase everybody whose number stands on a line of standard input, and keep them out."""
    identities = _typed_numbers()
    return _erase(
        lambda warehouse, key, holders, report: erase(
            warehouse, key, identities, holders, sms_mask(), report
        )
    )


def apply_list(exported: str | None = None) -> int:
    """Erase everybody on the suppression list from all that is stored; ``exported`` joins it first."""
    return _erase(
        lambda warehouse, key, holders, report: forget_again(
            warehouse, key, holders, sms_mask(), report, exported
        )
    )


def export(file: Path) -> int:
    """Write the list to a file that its owner alone may read, or to standard output."""
    warehouse, key = opened_with_key()
    with safe_errors("exporting"), warehouse.connect(what="forget") as connection:
        text = suppression_file.export_list(connection, key)
        note_act(connection, "forget --export")
        connection.commit()
    if file == STANDARD:
        click.echo(text, nl=False)
        return 0
    try:
        write_private(file, text)
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be written ({error.strerror}).", hint="name another file."
        ) from None
    return 0


def opened_with_key() -> tuple[Warehouse, str]:
    """The warehouse, and the ``PII_HASH_KEY`` that it was loaded with."""
    warehouse, key = services.ready_warehouse(make_storage), pii_hash_key(services.settings())
    check_fingerprint(warehouse, key)
    return warehouse, key


def _typed_numbers() -> list[Identity]:
    if sys.stdin.isatty():
        click.echo("numbers, one a line, in any mask; Ctrl-D ends:", err=True)
    return read_numbers(sys.stdin)


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if file == STANDARD else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read ({type(error).__name__}).") from None


def _erase(what: Erase) -> int:
    warehouse, key = opened_with_key()
    holders = personal_data.scopes(services.settings(), key)
    with safe_errors("erasing"):
        done = what(warehouse, key, holders, lambda line: click.echo(line, err=True))
    click.echo(_summary(done))
    if done.is_closed:
        click.echo(OLD_LIST, err=True)
    return int(done.is_closed)


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
                f"line {place} is not a telephone number, or not exactly one in full.",
                hint="write one number a line, with + and its country's code, and nothing beside it;"
                " nothing was done.",
            )
        found.update(dict.fromkeys(known))
    if not found:
        raise SettingsError(
            "standard input holds no number.",
            hint="give it from a file: `< file_with_numbers`.",
        )
    return list(found)


def _summary(done: Erased) -> str:
    return (
        f"erasure {done.erasure_id}: {_figures(done)} were rewritten."
        " The numbers are kept out of every later answer."
    )


def _figures(done: Erased) -> str:
    return (
        f"{pluralize(done.numbers, 'number')}; {pluralize(done.rows, 'row')} of"
        f" {pluralize(len(done.days), 'day')}, {pluralize(done.responses, 'stored response')} and"
        f" {pluralize(done.rejects, 'rejected record')}"
    )
