"""A finding of ``warehouse doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of the report: good, a note, or wrong, with a hint at how to mend it."""

    about: str
    state: Literal["good", "note", "wrong"]
    text: str
    hint: str | None = None
