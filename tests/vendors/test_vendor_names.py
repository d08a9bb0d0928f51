"""No vendor is named outside its own folder: not in code, not in a text, not in a docstring."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_project.config.known_names import vendor_names

PACKAGE = Path(__file__).resolve().parents[2] / "dagster_project"
LIST = PACKAGE / "feeds.py"
"""The one file whose purpose it is to name them all."""
TEXTS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


def modules() -> list[Path]:
    """Every module but those in a folder of a vendor's name."""
    own = vendor_names()
    return [
        file
        for file in sorted(PACKAGE.rglob("*.py"))
        if file != LIST and not own & set(file.relative_to(PACKAGE).parts)
    ]


def named(source: str) -> Iterator[str]:
    """Where a vendor is named: as part of an identifier, as a word of a text, as a setting's prefix."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", token.string)
            found = {word.lower() for word in words} & vendor_names()
        elif token.type in TEXTS:
            found = {vendor for vendor in vendor_names() if in_text(vendor, token.string)}
        else:
            continue
        yield from (f"line {token.start[0]}: {vendor}" for vendor in sorted(found))


def in_text(vendor: str, text: str) -> bool:
    """Its name with a capital, its settings, its tables; a name that is an English word may be one."""
    is_word = vendor == "trust"
    written = rf"\b{vendor.capitalize()}\b|\b{vendor.upper()}_|\b{vendor}_|[\"'`]{vendor}[\"'`]"
    return bool(re.search(written if is_word else rf"(?i){vendor}", text))


@pytest.mark.parametrize("module", modules(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_vendor_is_named_outside_its_folder(module: Path) -> None:
    assert list(named(module.read_text())) == []


@pytest.mark.parametrize(
    "line",
    [
        "calltouch = 1",
        "CalltouchClient()",
        "trust_zone = 1",
        "x = 'TRUST_BASE_URL'",
        "x = 'tellody_activity'",
        "x = source == 'trust'",
        '"""Asks Trust."""',
    ],
)
def test_a_name_is_found_wherever_it_stands(line: str) -> None:
    assert list(named(f"{line}\n"))


def test_words_that_only_look_like_one_are_left_alone() -> None:
    assert not list(named("trusted = 'a network you trust'\nclass AnswerNotTrusted: ...\n"))
