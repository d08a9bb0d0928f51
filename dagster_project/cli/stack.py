"""``warehouse exec``: a service of a stack, with Dagster's storage in its environment.

Dagster's services take the URL of its storage from a variable; ``exec`` puts it there, read from
settings or from their files, and becomes the service. A service that is given ``DAGSTER_URL`` needs
no other secret: the webserver and the daemon never see the warehouse.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from dagster_project.config.environment import read_environment
from dagster_project.config.project import HOME
from dagster_project.errors import SettingsError
from dagster_project.orchestration.instance import (
    STORAGE_URL,
    point_at,
    prepare_folder,
    prepare_home,
)
from dagster_project.pipeline import services
from dagster_project.warehouse.dagster_storage import DagsterStorage

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
