"""Names that a vendor made up, counted: few of them, short, and with their digits masked.

They end up in receipts and logs, where no phone number may stand.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from dagster_project.text.sanitize import sanitize
from dagster_project.text.scrub import hide_secrets

AT_MOST: Final = 20
_DIGIT: Final = re.compile(r"\d")


def mask_digits(name: str) -> str:
    """The name as it may be told."""
    return _DIGIT.sub("#", sanitize(hide_secrets(name), Counter()))


def count_name(counts: Counter[str], kind: str, name: str, *, times: int = 1) -> None:
    """Add to ``kind:name``, or to ``kind_more`` once ``AT_MOST`` names of the kind are known."""
    label = f"{kind}:{mask_digits(name)}"
    if label not in counts and sum(known.startswith(f"{kind}:") for known in counts) >= AT_MOST:
        label = f"{kind}_more"
    counts[label] += times
