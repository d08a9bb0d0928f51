"""What the doctor finds: a line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dagster_project.text.wording import pluralize


@dataclass(frozen=True)
class Finding:
    about: str
    state: Literal["good", "note", "wrong"]
    text: str
    way_out: str | None = None


def summarize(findings: Sequence[Finding]) -> str:
    """The last line, which says whether to read the others."""
    states = Counter(finding.state for finding in findings)
    wrong = f"{states['wrong']} to be mended" if states["wrong"] else "nothing is wrong"
    return f"{wrong}, {pluralize(states['note'], 'note')}, {states['good']} good."
