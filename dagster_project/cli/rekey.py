"""``warehouse rekey``: every pseudonym computed anew, with another ``PII_HASH_KEY``.

The old key is the one that is set; the new one comes from ``PII_HASH_KEY_NEW`` or is typed in unseen. The
embedded warehouse keeps its key itself: there ``--generate`` makes a new one.
"""

from __future__ import annotations

import secrets
import sys
from getpass import getpass
from pathlib import Path

import click

from dagster_project.cli.set_up import make_storage
from dagster_project.config.environment import read_environment
from dagster_project.config.sections import SHORTEST_KEY
from dagster_project.errors import SettingsError
from dagster_project.pipeline import personal_data, services
from dagster_project.privacy.pseudonym_key import pii_hash_key
from dagster_project.privacy.rekey import Keys, refuse_second_rekey
from dagster_project.privacy.rekey import rekey as recompute
from dagster_project.text.pseudonyms import fingerprint
from dagster_project.text.remedies import GENERATE_KEY
from dagster_project.text.wording import pluralize
from dagster_project.warehouse.pg_errors import safe_errors
from dagster_project.warehouse.restored import refuse_restored
from dagster_project.warehouse.server.home import read_private, write_private


def rekey(*, generate: bool) -> int:
    """Recompute; interrupted, it is finished by running it again with the same new key."""
    settings, warehouse = services.settings(), services.ready_warehouse(make_storage)
    refuse_restored(warehouse)
    own = settings.embedded and settings.pii_hash_key is None
    next_file = settings.home / "secrets" / "pii_hash_key.next"
    if generate and not own:
        raise SettingsError(
            "--generate is for an embedded warehouse that keeps its key itself.",
            hint="set PII_HASH_KEY_NEW to a long random text.",
        )
    with safe_errors("recomputing pseudonyms"), refuse_second_rekey(warehouse):
        old = pii_hash_key(settings)
        new = _new_key(next_file if own else None, generate)
        if new == old:
            raise SettingsError("the new key is the old one.")
        if own:
            # Before anything is done with it: a key that is lost with the process would lock everybody out.
            write_private(next_file, new + "\n")
        days = recompute(
            warehouse,
            Keys(old, new),
            personal_data.scopes(settings, new),
            personal_data.scopes(settings, old),
            report=lambda line: click.echo(line, err=True),
        )
        if own:
            next_file.replace(next_file.with_name("pii_hash_key"))
    click.echo(
        f"{pluralize(days, 'day')} recomputed; the warehouse's key is {fingerprint(new)} now."
    )
    if not own:
        click.echo("Set PII_HASH_KEY to the new key before the next load.")
    return 0


def _new_key(next_file: Path | None, generate: bool) -> str:
    """As given, as begun with, as made, or as typed: in this order."""
    given = read_environment().get("PII_HASH_KEY_NEW", "")
    if not given and next_file is not None:
        given = (read_private(next_file) or "").strip()
    if not given and generate:
        given = secrets.token_urlsafe(32)
    if not given and sys.stdin.isatty():
        given = getpass("new PII_HASH_KEY (not shown): ").strip()
        if getpass("once more: ").strip() != given:
            raise SettingsError("the two differ.", hint="run it again.")
    if not given:
        own = f", or let one be made: {GENERATE_KEY}" if next_file else ""
        raise SettingsError(
            "PII_HASH_KEY_NEW is not set.", hint=f"set it to a long random text{own}."
        )
    if len(given) < SHORTEST_KEY:
        raise SettingsError(
            f"PII_HASH_KEY_NEW is shorter than {SHORTEST_KEY} characters.",
            hint="use a long random text.",
        )
    return given
