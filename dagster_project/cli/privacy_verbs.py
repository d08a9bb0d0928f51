"""The verbs of the ``warehouse`` command about personal data and accounts; see ``verbs``."""

from __future__ import annotations

from pathlib import Path

import click
from click import argument, option

from dagster_project.cli.options import (
    SOURCES,
)
from dagster_project.cli.program import verb


@verb(
    option(
        "--dry-run",
        is_flag=True,
        help="Erase nothing: say what would be rewritten for these numbers.",
    ),
    option(
        "--again",
        is_flag=True,
        help="Read no numbers: apply the suppression list to all that is stored.",
    ),
    option(
        "--import",
        "import_from",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
        help="The same, after joining a list that --export wrote; -: standard input.",
    ),
    option(
        "--export",
        "export_to",
        type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
        help="Erase nothing: write the suppression list (keyed hashes) to a file; -: standard output.",
    ),
)
def forget() -> None:
    """Erase people for good: their numbers, one a line, are read from standard input."""


@verb(
    argument("source", type=SOURCES),
    argument("account"),
    option("--dry-run", is_flag=True, help="Remove nothing: count what would be removed."),
    name="remove-account",
)
def remove_account() -> None:
    """Take an account that was loaded by mistake out of rows, responses, ledger and bi, for good.

    It must not be configured any more, on any host. A removal that was stopped is finished by the same
    command.
    """


@verb(argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path)))
def subject() -> None:
    """Write all that is held about one number, read from standard input, to a new FILE (JSON).

    Only its owner may read FILE (mode 0600), which is never overwritten; without one it is
    subject-<time>.json. What stands in the records of others is counted, not written.
    """


@verb(
    option(
        "--generate",
        is_flag=True,
        help="Of the embedded warehouse: let a new key be made, and kept there.",
    ),
)
def rekey() -> None:
    """Compute every pseudonym anew with PII_HASH_KEY_NEW; can be interrupted and run again."""
