"""Count the SMS segments of a text, which the sender pays for.

A text within the GSM 7 bit default alphabet (3GPP TS 23.038, clause 6.2.1) takes 7 bits a character:
160 in one segment, 153 in each of several; a character of the extension table (clause 6.2.1.1) is an
escape and another one, and counts twice. Any other text goes as UCS-2: 70 UTF-16 code units in one
segment, 67 in each of several. An empty text takes one segment.

No pair straddles two segments; the one before it stays a unit short. 3GPP TS 23.040, clause 9.2.3.24.1:
"A character represented by an escape-sequence shall not be split in the middle", nor a UCS2 character;
a character beyond UCS2 is a pair of surrogates in UTF-16. Two public calculators do so: Twilio's
message-segment-calculator, which also keeps emoji of several characters whole (the standard does not
ask for that, and neither does this), and Codesleuth's split-sms.
"""

from __future__ import annotations

import re
from typing import Final

ALPHABET: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final = "\f^{}\\[~]|€"
MOST: Final = 32_767
"""The largest smallint; no operator sends a text of so many segments."""

_ALWAYS_ONE: Final = 35
"""So many characters always fit into one segment."""

_INSIDE: Final = frozenset(ALPHABET + EXTENSION)
_OUTSIDE: Final = re.compile(f"[^{re.escape(ALPHABET + EXTENSION)}]")
_EXTENSION: Final = re.compile(f"[{re.escape(EXTENSION)}]")
_ESCAPE: Final = "\x1b"
_BEYOND_UCS2: Final = re.compile("[\U00010000-\U0010ffff]")


def segments_of(text: str) -> int:
    if len(text) <= _ALWAYS_ONE:
        return 1
    if text[0] not in _INSIDE or _OUTSIDE.search(text):
        pair, single, joined = _BEYOND_UCS2, 70, 67
    else:
        pair, single, joined = _EXTENSION, 160, 153
    # Each character as its units: the first of a pair is an escape, which no text here contains.
    units = pair.sub(f"{_ESCAPE}x", text.replace(_ESCAPE, "x")) if pair.search(text) else text
    if len(units) <= single:
        return 1
    if units is text:
        return min(-(-len(units) // joined), MOST)
    return _segments_of_pairs(units, joined)


def _segments_of_pairs(units: str, joined: int) -> int:
    segments = start = 0
    while start < len(units) and segments < MOST:
        start += joined
        if units[start - 1 : start] == _ESCAPE:
            start -= 1
        segments += 1
    return segments
