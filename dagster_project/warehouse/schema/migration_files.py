"""The files of ``sql/``: where they lie, what they are named, and what is in them."""

from __future__ import annotations

import hashlib
import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from dagster_project.errors import SettingsError

FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
BOOKKEEPING = "0000"


@dataclass(frozen=True)
class Migration:
    """One file of ``sql/``."""

    revision: str
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.revision}_{self.name}"


def sql_folder() -> Path:
    """``sql/`` beside the package in a checkout; where the wheel puts it otherwise."""
    checkout = Path(__file__).resolve().parents[3] / "sql"
    installed = Path(sysconfig.get_path("data"), "share", "messaging-warehouse", "sql")
    for folder in (checkout, installed):
        if (folder / "0001_schemas_and_roles.sql").is_file():
            return folder
    raise SettingsError("the migrations (sql/) are not installed.", way_out="install it again.")


def read_files(folder: Path | None = None) -> list[Migration]:
    """Every migration, in order."""
    found = []
    for path in sorted((folder or sql_folder()).glob("*.sql")):
        match = FILE_NAME.fullmatch(path.name)
        if match is None:
            raise SettingsError(f"{path} is not named NNNN_name.sql.", way_out="rename it.")
        text = path.read_bytes().decode().replace("\r\n", "\n")
        if match[1] != BOOKKEEPING:
            found.append(Migration(match[1], match[2], text))
    revisions = [migration.revision for migration in found]
    twice = {revision for revision in revisions if revisions.count(revision) > 1}
    if twice:
        raise SettingsError(
            f"sql/ has several files {', '.join(sorted(twice))}.", way_out="renumber."
        )
    return found
