"""``warehouse exec`` and ``warehouse logins``: what a stack of services needs of this program.

Dagster's services take the URL of its storage from a variable; ``exec`` puts it there, read from
settings or from their files, and becomes the service. A service that is given ``DAGSTER_URL`` needs
no other secret: the webserver and the daemon never see the warehouse.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from pydantic import SecretStr

from dagster_project.config.environment import read_environment
from dagster_project.config.project import HOME
from dagster_project.errors import SettingsError
from dagster_project.orchestration import services
from dagster_project.orchestration.instance import (
    STORAGE_URL,
    point_at,
    prepare_folder,
    prepare_home,
)
from dagster_project.text.scrub import remember_secret
from dagster_project.warehouse.connection import APP, BI_ROLES, DAGSTER
from dagster_project.warehouse.dagster_storage import DagsterStorage
from dagster_project.warehouse.schema.logins import make_logins
from dagster_project.warehouse.schema.migrate import secure

BROKER_URL = "WAREHOUSE_BROKER_URL"
RESULTS_URL = "WAREHOUSE_RESULTS_URL"
"""Where Celery keeps the state of tasks: in Dagster's own database, so that all state is in Postgres."""
RESULTS_TABLES = ("celery_taskmeta", "celery_tasksetmeta")


def execute(*, command: Sequence[str]) -> int:
    """Become this program, with Dagster's storage and the broker in its environment."""
    given = read_environment()
    if url := given.get("DAGSTER_URL"):
        if not os.environ.get("DAGSTER_HOME"):
            prepare_folder(Path(given[HOME]).resolve())
        also = RESULTS_TABLES if given.get(BROKER_URL) else ()
        point_at(DagsterStorage.from_url(SecretStr(url)), also)
    else:
        prepare_home(services.settings(), services.warehouse())
    if broker := given.get(BROKER_URL):
        os.environ[BROKER_URL] = broker
        os.environ.pop(f"{BROKER_URL}_FILE", None)
        os.environ[RESULTS_URL] = f"db+{os.environ[STORAGE_URL]}"
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    program = _program(command[0])
    try:
        os.execvp(program, [program, *command[1:]])  # noqa: S606 - the person's own command
    except OSError as error:
        raise SettingsError(
            f"{command[0]} cannot be run: {error.strerror}.",
            hint=f"it is looked for beside {sys.executable}, then in PATH.",
        ) from error


def _program(name: str) -> str:
    """Dagster's programs stand beside this interpreter, which need not be in PATH."""
    own = Path(sys.executable).parent / name
    return str(own) if "/" not in name and os.access(own, os.X_OK) else name


def logins(*, passwords: Path) -> int:
    """Let the logins in whose passwords lie in this folder, one file each; all of it is looked at before."""
    found = services.warehouse()
    if found.is_embedded:
        raise SettingsError("the embedded server makes its logins by itself.")
    given = _read_passwords(passwords)
    services.refuse_behind(found)
    make_logins(replace(found, logins=given), click.echo, found.database)
    secure(found)
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
