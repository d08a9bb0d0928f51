"""``warehouse logins``: the logins of a server of one's own, with passwords from files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from pydantic import SecretStr

from dagster_project.errors import SettingsError
from dagster_project.pipeline import services
from dagster_project.text.scrub import remember_secret
from dagster_project.warehouse.connection import APP, BI_ROLES, DAGSTER
from dagster_project.warehouse.schema.logins import make_logins
from dagster_project.warehouse.schema.migrate import secure


def logins(*, passwords: Path) -> int:
    """Let the logins in whose passwords lie in this folder, one file each; all of it is looked at before."""
    found = services.warehouse()
    if found.is_embedded:
        raise SettingsError("the embedded server makes its logins by itself.")
    given = _read_passwords(passwords)
    services.refuse_behind(found)
    make_logins(replace(found, logins=given), click.echo, found.database)
    secure(found, click.echo)
    click.echo(f"may sign in: {', '.join(given)}")
    return 0


def _read_passwords(folder: Path) -> dict[str, SecretStr]:
    """
    Raises:
        SettingsError: one that is needed is absent, or one is too short or cannot be read.
    """
    try:
        given = {
            name: SecretStr(remember_secret(path.read_text().strip()))
            for name in (APP, DAGSTER, *BI_ROLES)
            if (path := folder / f"{name}_password").is_file()
        }
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"a password in {folder} cannot be read ({type(error).__name__}).",
            hint="run it as the user who may read that folder.",
        ) from None
    if absent := [name for name in (APP, DAGSTER) if name not in given]:
        raise SettingsError(
            f"{folder} has no password for {', '.join(absent)}.",
            hint=f"write it into {folder / f'{absent[0]}_password'}.",
        )
    if short := [name for name, one in given.items() if len(one.get_secret_value()) < 12]:
        raise SettingsError(f"the password of {', '.join(short)} is shorter than 12 characters.")
    return given
