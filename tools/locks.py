"""Lock files read: which packages at which versions, and what asked for each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = "messaging-warehouse"
ROOT = Path(__file__).resolve().parents[1]
RUNTIME, DEVELOPMENT = ROOT / "docker" / "requirements.lock", ROOT / "requirements.lock"


@dataclass(frozen=True)
class Pin:
    """One entry of a lock. ``needed_by`` are packages; the project's own name is among them."""

    name: str
    version: str
    marker: str | None
    needed_by: tuple[str, ...]


def read_lock(path: Path) -> list[Pin]:
    """Every entry; a package may have two, for different Pythons."""
    return list(_pins(path.read_text()))


def normal(name: str) -> str:
    """As PyPI writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(text: str) -> Iterator[Pin]:
    for block in re.split(r"\n(?=\S)", text.strip()):
        first, *rest = block.split("\n")
        found = re.fullmatch(r"([\w.-]+)(?:\[[^]]*\])?==(\S+)(?: ; (.+?))? \\", first)
        if found is None:
            if first.startswith("#"):
                continue
            raise ValueError(f"no pinned package: {first}")
        via = " ".join(line.strip() for line in rest if line.strip().startswith("#"))
        via = re.sub(r"-r \S+", PROJECT, re.sub(r"-c \S+|\(\S+\)|# +via|#", " ", via))
        needed = re.findall(r"[\w.-]+", via)
        yield Pin(normal(found[1]), found[2], found[3], tuple(map(normal, needed)))
