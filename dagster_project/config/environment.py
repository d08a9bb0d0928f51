"""Settings as texts: from the environment, the ``.env`` file, and files that hold one setting each.

Any setting may be given as ``NAME_FILE``, the path of a file that holds it: a secret that is handed
to a container this way stands in no environment and in no process list.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from dagster_project.errors import SettingsError
from dagster_project.text.scrub import remember_settings

_PREFIXES = (
    *("WAREHOUSE_", "PII_", "CALLTOUCH_", "TELLODY_", "TRUST_"),
    *("DAGSTER_URL", "DAGSTER_RETENTION_", "ALARM_", "RAW_", "RECEIPT_", "ALLOW_PLAIN_"),
)
_NO_SETTING = ("WAREHOUSE_CLOCK_FILE",)


def read_environment(
    environment: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
) -> dict[str, str]:
    """The ``.env`` file's settings under the environment's, the files of each read.

    A setting that the environment gives, an empty one too, hides the one in ``.env`` however that
    is given. From now on no text tells the secrets among them.

    Raises:
        SettingsError: a file cannot be read, or one place has both ``NAME`` and ``NAME_FILE``.
    """
    given: dict[str, str] = {}
    if dotenv is not None and dotenv.is_file():
        lines = {k: v for k, v in dotenv_values(dotenv).items() if v is not None}
        given.update(_with_files(lines))
    given.update(_with_files(os.environ if environment is None else environment))
    given = {name: value.strip() for name, value in given.items()}
    remember_settings(given)
    return given


def _with_files(given: Mapping[str, str]) -> dict[str, str]:
    found = dict(given)
    for file_name, path in given.items():
        name = file_name.removesuffix("_FILE")
        is_setting = name.startswith(_PREFIXES) and file_name not in _NO_SETTING
        if name == file_name or not path or not is_setting:
            continue
        if given.get(name):
            raise SettingsError(f"{name} and {file_name} are both set.", way_out="set one of them.")
        found[name] = _read(file_name, Path(path).expanduser())
    return found


def _read(file_name: str, path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{file_name}: the file cannot be read ({type(error).__name__}).",
            way_out="name a text file that this user may read.",
        ) from None
