"""What the doctor finds: a line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line: good, worth a note, or wrong with the way to mend it."""

    about: str
    state: Literal["good", "note", "wrong"]
    text: str
    hint: str | None = None
