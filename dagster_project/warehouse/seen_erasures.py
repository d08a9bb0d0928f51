"""The number of the newest erasure that this host has seen, kept in ``WAREHOUSE_HOME``, outside the database.

A copy of the database's files does not know that it is a copy. If somebody was erased in between, its number
is lower than the one kept here. Numbers are kept by warehouse id, since a home may serve several.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from dagster_project.errors import SettingsError
from dagster_project.text import remedies
from dagster_project.warehouse.server.home import (
    hold_lock,
    private_home,
    read_private,
    refuse_others_folders,
    write_private,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeenErasures:
    """The erasures that this home has seen."""

    home: Path

    def highest(self, warehouse_id: str) -> int:
        """The highest number seen for this warehouse; 0 if none was seen.

        Raises:
            SettingsError: the file is damaged.
        """
        with refuse_others_folders(self.home):
            return self._read().get(warehouse_id, 0)

    def note(self, warehouse_id: str, number: int) -> None:
        """Keep this number if it is higher.

        If the home is not writable, a warning says that an older copy could not be recognized.
        """
        if self.highest(warehouse_id) >= number:
            return
        try:
            home = private_home(self.home)
            with hold_lock(home / "erasures.lock", f"another process writes in {home}."):
                seen = self._read()
                seen[warehouse_id] = max(number, seen.get(warehouse_id, 0))
                write_private(self._file, json.dumps(seen, indent=1, sort_keys=True) + "\n")
        except OSError as error:
            log.warning(
                "The number of the newest erasure cannot be kept in %s (%s): a copy of the database from"
                " before it would not be known as one.",
                self.home,
                type(error).__name__,
            )

    @property
    def _file(self) -> Path:
        return self.home / "erasures.json"

    def _read(self) -> dict[str, int]:
        text = read_private(self._file)
        if text is None:
            return {}
        try:
            read = json.loads(text)
            return {str(name): int(number) for name, number in read.items()}
        except (AttributeError, TypeError, ValueError):
            raise SettingsError(
                f"{self._file} is damaged: which erasures were seen is not known.",
                hint=f"restore the file; or delete it, and run {remedies.IMPORT_ERASURES}.",
            ) from None
