"""Regular expressions for Postgres that find texts in which numbers may stand, by their last digits alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from dagster_project.model.privacy import Identity
from dagster_project.text.written_numbers import FEWEST_DIGITS, non_ascii_digits

LAST_DIGITS = 4
MOST_PATTERNS = 50
_BETWEEN = "[^0-9A-Za-zА-Яа-яЁё]*"
_ESCAPE = r"&#?[0-9A-Za-z]{1,8};|\\u[0-9A-Fa-f]{4}|\\[nrt]|%[0-9A-Fa-f]{2}"


def text_pattern(identities: Sequence[Identity]) -> str:
    """Texts that may hold one of the numbers, by its last digits alone; any number, where there are many.

    Texts with digits of other scripts, or with an escape among digits, may hold any.
    """
    endings = {one.tail[-LAST_DIGITS:] for one in identities if one.tail}
    if not endings:
        return "$."
    if len(endings) > MOST_PATTERNS:
        return any_number()
    return "|".join([*(_BETWEEN.join(ending) for ending in sorted(endings)), _unusual()])


def any_number() -> str:
    """Texts that may hold a number."""
    return f"[0-9](?:{_BETWEEN}[0-9]){{{FEWEST_DIGITS - 1}}}|{_unusual()}"


@cache
def _unusual() -> str:
    return f"[{non_ascii_digits()}]|[0-9][^0-9]*(?:{_ESCAPE})"
