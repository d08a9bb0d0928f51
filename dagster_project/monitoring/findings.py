"""What the doctor found, in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dagster_project.model.finding import Finding
from dagster_project.text.wording import pluralize


def summarize(findings: Sequence[Finding]) -> str:
    """The last line, which says whether to read the others."""
    states = Counter(finding.state for finding in findings)
    wrong = f"{states['wrong']} to be mended" if states["wrong"] else "nothing is wrong"
    return f"{wrong}, {pluralize(states['note'], 'note')}, {states['good']} good."
