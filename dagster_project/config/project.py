"""Find the project folder, whatever directory a command is called in.

It is the nearest folder, from the working directory upwards, with a warehouse (``.warehouse``), a ``.env``
file with our settings, or a checkout of this project; else the checkout that the program is installed from;
else the working directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

ENV_FILE: Final = "WAREHOUSE_ENV_FILE"
HOME: Final = "WAREHOUSE_HOME"
DEFAULT_HOME: Final = ".warehouse"
_CHECKOUT: Final = Path(__file__).resolve().parents[2]


def project_folder(is_setting: Callable[[str], bool]) -> Path:
    """The project folder. ``is_setting`` recognizes our names: other projects have ``.env`` files too."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (
            (folder / DEFAULT_HOME).is_dir()
            or _is_checkout(folder)
            or _has_settings(folder / ".env", is_setting)
        ):
            return folder
    return _CHECKOUT if _is_checkout(_CHECKOUT) else here


def settings_file(is_setting: Callable[[str], bool]) -> Path | None:
    """The ``.env`` to read: the one that ``WAREHOUSE_ENV_FILE`` names (empty: none), else the project's."""
    named = os.environ.get(ENV_FILE)
    if named is not None:
        return Path(named).expanduser() if named else None
    found = project_folder(is_setting) / ".env"
    return found if found.is_file() else None


def place_home(given: str, dotenv: Path | None, is_setting: Callable[[str], bool]) -> Path:
    """``WAREHOUSE_HOME`` as an absolute path; relative to the ``.env`` file that sets it; by default in the project."""
    if not given:
        return project_folder(is_setting) / DEFAULT_HOME
    return (dotenv.absolute().parent if dotenv else Path.cwd()) / Path(given).expanduser()


def _is_checkout(folder: Path) -> bool:
    return (folder / "workspace.yaml").is_file() and (folder / "dagster_project").is_dir()


def _has_settings(path: Path, is_setting: Callable[[str], bool]) -> bool:
    try:
        return path.is_file() and any(map(is_setting, dotenv_values(path)))
    except (OSError, UnicodeDecodeError):
        return False
