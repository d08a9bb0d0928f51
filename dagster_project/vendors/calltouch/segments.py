"""How many SMS segments a text takes: what the sender pays for.

A text within the GSM 03.38 alphabet takes 7 bits a character: 160 in one segment, 153 in each of
several; a character of the extension table counts twice. Any other text goes as UCS-2: 70 UTF-16
code units in one segment, 67 in each of several. A pair that would straddle two segments is not
moved, as billing counts units. An empty text takes one segment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

ALPHABET: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final = "\f^{}\\[~]|€"
MOST: Final = 32_767
"""What a smallint column holds; no operator carries a text of so many."""

_ALWAYS_ONE: Final = 35
"""Characters that fit into one segment whatever they are."""

_INSIDE: Final = frozenset(ALPHABET + EXTENSION)
_OUTSIDE: Final = re.compile(f"[^{re.escape(ALPHABET + EXTENSION)}]")
_EXTENSION: Final = re.compile(f"[{re.escape(EXTENSION)}]")


def segments_of(text: str) -> int:
    if len(text) <= _ALWAYS_ONE:
        return 1
    if text[0] not in _INSIDE or _OUTSIDE.search(text):
        units, single, joined = len(text.encode("utf-16-le", "surrogatepass")) // 2, 70, 67
    else:
        units, single, joined = len(text) + len(_EXTENSION.findall(text)), 160, 153
    if units <= single:
        return 1
    return min(-(-units // joined), MOST)


def segments_of_all(texts: Sequence[str], encoded: Sequence[bytes]) -> NDArray[np.int16]:
    """``segments_of`` each text, given in UTF-8 too.

    By columns where a text begins with a Cyrillic letter and has none of the characters that are
    two units of UTF-16: bytes from 0xF0 on begin those.
    """
    units = np.fromiter(map(len, texts), np.int64, len(texts))
    openings = "".join([text[:1] or " " for text in texts]).encode("utf-32-le")
    first = np.frombuffer(openings, np.uint32)
    simple = (first >= 0x400) & (first < 0x500)
    pairs = np.flatnonzero(np.frombuffer(b"".join(encoded), np.uint8) >= 0xF0)
    ends = np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))
    simple[np.searchsorted(ends, pairs, side="right")] = False
    segments = np.where(units <= 70, 1, np.minimum(-(-units // 67), MOST)).astype(np.int16)
    for place in np.flatnonzero(~simple).tolist():
        segments[place] = segments_of(texts[place])
    return segments
