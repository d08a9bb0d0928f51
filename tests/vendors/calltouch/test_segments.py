"""Segments of an SMS, against a reckoning character by character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.vendors.calltouch.segments import segments_of

# 3GPP TS 23.038, table 6.2.1 by rows, without the escape at 0x1B; then the extension table.
GSM = (
    "@£$¥èéùìòÇ\nØø\rÅå" "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ" " !\"#¤%&'()*+,-./" "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO" "PQRSTUVWXYZÄÖÑÜ§" "¿abcdefghijklmno" "pqrstuvwxyzäöñüà"
)  # fmt: skip
EXTENSION = "\f^{}\\[~]|€"
TEXTS = st.one_of(
    st.text(st.sampled_from(GSM + EXTENSION), max_size=400),
    st.text(st.sampled_from("абвЁё 🔥1€`"), max_size=400),
    st.text(st.sampled_from("🔥\U0001f1f7я"), min_size=60, max_size=400),
    st.text(st.sampled_from("]€a\f"), min_size=140, max_size=500),
    st.text(st.characters(exclude_categories=[]), max_size=400),
)


def slow_segments(text: str) -> int:
    """Characters laid into segments one after the other, none of them in two."""
    weights = [2 if character in EXTENSION else 1 for character in text]
    single, joined = 160, 153
    if any(character not in GSM + EXTENSION for character in text):
        weights = [2 if ord(character) > 0xFFFF else 1 for character in text]
        single, joined = 70, 67
    if sum(weights) <= single:
        return 1
    segments, taken = 1, 0
    for weight in weights:
        if taken + weight > joined:
            segments, taken = segments + 1, 0
        taken += weight
    return segments


@given(TEXTS)
def test_segments_are_what_a_reckoning_by_characters_finds(text: str) -> None:
    assert segments_of(text) == slow_segments(text)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("я" * 70, 1),
        ("я" * 71, 2),
        ("я" * 134, 2),
        ("я" * 135, 3),
        ("a" * 70 + "я", 2),
        ("€" * 80, 1),
        ("€" * 80 + "a", 2),
        ("🔥" * 35, 1),
        ("🔥" * 35 + "a", 2),
        ("`" * 71, 2),
        *(("a" * 152 + pair + "a" * 152, 3) for pair in EXTENSION),
        *(("a" * 151 + pair + "a" * 153, 2) for pair in EXTENSION),
        ("]" * 153, 3),
        ("]" * 152, 2),
        ("€" * 229, 4),
        ("a" * 152 + "]" + "a" * 6, 1),
        ("я" * 66 + "🔥" + "я" * 66, 3),
        ("я" * 65 + "🔥" + "я" * 67, 2),
        ("🔥" * 67, 3),
        ("🔥" * 66, 2),
        ("я" + "🔥" * 66, 2),
        ("\u0085" + "\x1b" * 134, 3),
        ("\x1b" * 134, 2),
        ("]" * 10_000_000, 32_767),
        ("я" * 10_000_000, 32_767),
    ],
    ids=lambda value: f"{len(value)}x" if isinstance(value, str) else str(value),
)
def test_segments_at_the_edges(text: str, segments: int) -> None:
    assert segments_of(text) == segments


def test_the_alphabet_has_its_127_characters() -> None:
    assert len(set(GSM)) == 127
