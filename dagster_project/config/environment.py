"""Read the settings as texts: from the environment, the ``.env`` file, and files with one setting each.

Any setting may be given as ``NAME_FILE``, the path of a file that holds it. So a secret that is passed to
a container shows in no environment and no process list.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from dagster_project.config.known_names import is_setting, secret_names, vendor_names
from dagster_project.config.project import HOME, place_home, settings_file
from dagster_project.config.raw_settings import RawSettings
from dagster_project.errors import SettingsError
from dagster_project.text.scrub import remember_settings

FILE = "_FILE"


def read_environment(
    environment: Mapping[str, str] | None = None, dotenv: Path | None = None
) -> RawSettings:
    """Read all settings; the environment wins over the ``.env`` file.

    Without ``environment``: this process's own, and the ``.env`` of its project. A setting in the
    environment, even an empty one, hides the one in ``.env``. The secrets among the settings are
    hidden in all texts from now on.

    Raises:
        SettingsError: a file or a line of it cannot be read, or one place has both ``NAME`` and ``NAME_FILE``.
    """
    texts: dict[str, str] = {}
    places: dict[str, str] = {}
    is_own = environment is None
    if is_own:
        dotenv = settings_file(is_setting)
    if dotenv is not None and dotenv.is_file():
        lines, places = _read_dotenv(dotenv)
        texts.update(_read_files(lines, places))
    given = dict(os.environ if environment is None else environment)
    for name in given:
        places.pop(name, None)
        places.pop(name.removesuffix(FILE), None)
    texts.update(_read_files(given, places))
    found = RawSettings({name: value.strip() for name, value in texts.items()}, places)
    if is_own:
        home = found.get(HOME, "")
        found[HOME] = str(place_home(home, dotenv if HOME in places else None, is_setting))
    remember_settings(found, vendors=vendor_names(), secret=secret_names(found))
    return found


def _read_dotenv(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Read the file's settings, and the line of each.

    Raises:
        SettingsError: the file, or a line of it, cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            places = dict(_parse_lines(path, file))
        return {k: v for k, v in dotenv_values(path).items() if v is not None}, places
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read ({type(error).__name__}).",
            hint="make it a text file in UTF-8 that this user may read.",
        ) from None


def _parse_lines(path: Path, file: object) -> Iterator[tuple[str, str]]:
    for binding in parse_stream(file):  # type: ignore[arg-type]
        number = binding.original.line + _blank_lines_before(binding.original.string)
        place = f"{path}, line {number}"
        if binding.error or (binding.key is not None and binding.value is None):
            raise SettingsError(
                f"{place} cannot be read as a setting.",
                hint="write it as NAME=value; a value with # or quotation marks goes in single"
                " quotation marks; a comment begins with #.",
            )
        if binding.key is not None:
            yield binding.key, place


def _blank_lines_before(text: str) -> int:
    """The number of empty lines that a statement's text begins with."""
    return text[: len(text) - len(text.lstrip())].count("\n")


def _read_files(given: Mapping[str, str], places: dict[str, str]) -> dict[str, str]:
    found = dict(given)
    for file_name, path in given.items():
        name = file_name.removesuffix(FILE)
        if name == file_name or not path or not is_setting(name) or is_setting(file_name):
            continue
        if given.get(name):
            raise SettingsError(f"{name} and {file_name} are both set.", hint="set one of them.")
        found[name] = _read_file(file_name, Path(path).expanduser(), places.get(file_name))
        places[name] = f"from {file_name}"
    return found


def _read_file(file_name: str, path: Path, place: str | None) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        named = f"{file_name} ({place})" if place else file_name
        raise SettingsError(
            f"{named}: the file cannot be read ({type(error).__name__}).",
            hint="name a text file that this user may read.",
        ) from None
