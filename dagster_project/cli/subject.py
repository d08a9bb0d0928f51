"""``warehouse subject``: what is held about one number, for the request that the law gives a person.

The number is read from standard input, for the reasons that ``warehouse forget`` has. What is found goes to a
file that is new and its owner's alone, and nowhere else: no number and no text is printed or logged.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from dagster_project.cli.forget import opened_with_key, read_numbers
from dagster_project.errors import SettingsError
from dagster_project.model.privacy import Identity
from dagster_project.pipeline import personal_data, services
from dagster_project.privacy.subject import collect
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.manual_acts import note_act
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.restored import refuse_restored

ONE_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


def subject(*, file: Path | None) -> int:
    """Write what is held about the number of standard input to a new file."""
    if sys.stdin.isatty():
        click.echo("one number, in any mask; Ctrl-D ends:", err=True)
    identity = _one_number()
    file = file or Path(f"subject-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json")
    warehouse, key = opened_with_key()
    refuse_restored(warehouse)
    descriptor = _new_file(file)
    try:
        with os.fdopen(descriptor, "wb") as written:
            held = _collect(warehouse, key, identity)
            text = json.dumps(held, ensure_ascii=False, indent=2) + "\n"
            written.write(text.encode("utf-8", "backslashreplace"))
            written.flush()
            os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            file.unlink()
        raise
    click.echo(_summary(held, file))
    return 0


def _one_number() -> Identity:
    lines = sys.stdin.readlines()
    identities = read_numbers(lines)
    if len([line for line in lines if line.strip()]) > 1:
        raise SettingsError(
            "standard input holds more than one line.", hint="ask for one number at a time."
        )
    return identities[0]


def _new_file(file: Path) -> int:
    """A file that was not there, for its owner alone."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SettingsError(
            f"{file} is there already; it is never overwritten.", hint="name another file."
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be written ({error.strerror}).", hint="name another file."
        ) from None
    os.fchmod(descriptor, 0o600)
    return descriptor


def _collect(warehouse: Warehouse, key: str, identity: Identity) -> dict[str, Any]:
    holders = personal_data.scopes(services.settings(), key)
    with safe_errors("collecting"):
        with warehouse.connect(what="subject", autocommit=True) as connection:
            note_act(connection, "subject")
        with warehouse.connect(what="subject") as connection:
            connection.execute(ONE_SNAPSHOT)
            return collect(
                connection, key, identity, holders, lambda line: click.echo(line, err=True)
            )


def _summary(held: dict[str, Any], file: Path) -> str:
    others = sum(held["named_in_records_of_others"].values())
    records = sum(len(response["records"]) for response in held["stored_responses"])
    return (
        f"{file}: {pluralize(len(held['rows']), 'row')}, {pluralize(records, 'record')} of stored responses,"
        f" {pluralize(len(held['rejected_records']), 'rejected record')}; the number stands in"
        f" {pluralize(others, 'record')} of others, which are not handed over."
    )
