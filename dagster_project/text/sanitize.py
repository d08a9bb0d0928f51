"""Sanitize texts: replace the characters that JSON can hold and Postgres ``text`` cannot.

- NUL (U+0000) becomes U+2400, the visible symbol for NUL;
- a lone surrogate (U+D800 … U+DFFF) becomes U+FFFD, the replacement character.

Each changed text is counted, once for each kind of change. The vendor's original stays in the
stored response. Any other text is returned as the same object.
"""

from __future__ import annotations

import re
from collections import Counter

NUL = "\x00"
NUL_SYMBOL = "\u2400"
REPLACEMENT = "\ufffd"
NUL_REPLACED = "nul_replaced"
SURROGATE_REPLACED = "surrogate_replaced"

_SURROGATES = re.compile("[\ud800-\udfff]")


def sanitize(text: str, counts: Counter[str]) -> str:
    """Make ``text`` storable in Postgres, and count the replacements in ``counts``."""
    if NUL in text:
        counts[NUL_REPLACED] += 1
        text = text.replace(NUL, NUL_SYMBOL)
    if not text.isascii() and _SURROGATES.search(text):
        counts[SURROGATE_REPLACED] += 1
        text = _SURROGATES.sub(REPLACEMENT, text)
    return text


def is_sanitized(text: str) -> bool:
    return NUL not in text and (text.isascii() or not _SURROGATES.search(text))
