"""How many SMS segments a text takes: what the sender pays for.

A text within the GSM 03.38 alphabet takes 7 bits a character: 160 in one segment, 153 in each of
several; a character of the extension table counts twice. Any other text goes as UCS-2: 70 UTF-16
code units in one segment, 67 in each of several. A pair that would straddle two segments is not
moved, as billing counts units. An empty text takes one segment.
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
"""What a smallint column holds; no operator carries a text of so many."""

_OUTSIDE: Final = re.compile(f"[^{re.escape(ALPHABET + EXTENSION)}]")
_EXTENSION: Final = re.compile(f"[{re.escape(EXTENSION)}]")


def segments_of(text: str) -> int:
    if _OUTSIDE.search(text):
        units, single, joined = len(text.encode("utf-16-le", "surrogatepass")) // 2, 70, 67
    else:
        units, single, joined = len(text) + len(_EXTENSION.findall(text)), 160, 153
    if units <= single:
        return 1
    return min(-(-units // joined), MOST)
