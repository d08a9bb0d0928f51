"""Count names from the vendor: only a few of them, short, with digits masked.

They are written to receipts and logs, where no phone number may be.
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
    """The name as it may be shown, without secrets and with digits masked."""
    return _DIGIT.sub("#", sanitize(hide_secrets(name), Counter()))


def count_name(counts: Counter[str], kind: str, name: str, *, times: int = 1) -> None:
    """Count ``kind:name``, or ``kind_more`` once there are ``AT_MOST`` names of the kind."""
    label = f"{kind}:{mask_digits(name)}"
    if label not in counts and sum(known.startswith(f"{kind}:") for known in counts) >= AT_MOST:
        label = f"{kind}_more"
    counts[label] += times
