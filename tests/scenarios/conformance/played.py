"""The vendors of the suite, put together from their entries: ``entry_<vendor>.py``, a file each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from dagster_project.sandbox.world import World
from tests.scenarios.conformance.entry import Entry, Played

ENTRIES: Final[Mapping[str, Entry]] = {
    file.stem.removeprefix("entry_"): import_module(f"{__package__}.{file.stem}").ENTRY
    for file in sorted(Path(__file__).parent.glob("entry_*.py"))
}
WORLD: Final[Mapping[str, Any]] = {vendor: entry.config for vendor, entry in ENTRIES.items()}
PLAYED: Final[Mapping[str, Played]] = {
    source: played for entry in ENTRIES.values() for source, played in entry.feeds.items()
}


def forget_sign_ins() -> None:
    """What the vendors' modules remember for the process: sessions, and credentials refused."""
    for entry in ENTRIES.values():
        entry.forget()


def restore_truth(world: World) -> None:
    """Undo what faults did to the vendors' own rows."""
    for entry in ENTRIES.values():
        entry.restore(world)
