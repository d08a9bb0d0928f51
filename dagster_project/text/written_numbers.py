"""Find telephone numbers as people write them: runs of digits of any script, with separators.

The same rules serve for everything that is searched: phone fields, texts, statuses, rejects and stored
responses. Two digits belong to one run if at most three characters that are neither letters nor digits
separate them. Invisible characters (zero-width ones, combining marks) do not count, and an escape such as
``&nbsp;`` counts as the character that it stands for. A digit is any character that Unicode calls one:
``٧``, ``７``, ``⁷``, ``⑦``.

Pure: no clock, no environment, no I/O.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

MOST_BETWEEN: Final = 3
"""The most characters that may separate two digits of a number."""
FEWEST_DIGITS: Final = 7
"""The fewest digits of a telephone number that is searched for in texts."""
APART: Final = "x"
"""The separator of joined texts: no run of digits contains a letter."""

_ODD_DIGITS: Final = (
    "²³¹¼-¾\u1369-\u1371\u19da⁰⁴-⁹₀-₉⅐-⅟↉①-⒛⓪⓫-⓿❶-➓㉑-㉟㊱-㊿"
    "\U00010a40-\U00010a43\U00010e60-\U00010e68\U00011052-\U0001105a\U0001f100-\U0001f10c"
)
"""Characters that stand for digits and that ``\\d`` does not match."""
_FILLERS: Final = "\u115f\u1160\u3164\uffa0"
"""Invisible characters that Unicode counts as letters."""
_DIGIT: Final = rf"[\d{_ODD_DIGITS}]"
_ESCAPE: Final = (
    r"\\+u[0-9A-Fa-f]{4}|\\+[nrt]|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
    r"|%(?:[cC]2%[aA]0|0[9AaDd]|2[089BbDdEeFf])"
)
_RUN: Final = re.compile(
    rf"{_DIGIT}(?>(?:(?>(?:{_ESCAPE}|[\W_{_FILLERS}])*){_DIGIT}){{{FEWEST_DIGITS - 1},}})"
)
_PLAIN_RUN: Final = re.compile(
    rf"[0-9](?>(?:[^0-9A-Za-z\u0400-\u0481\u048a-\u052f]*+[0-9]){{{FEWEST_DIGITS - 1},}})"
)
"""It allows letters of further alphabets as separators; ``_cut`` excludes them."""
_RARE: Final = re.compile("[^\x00-\xb1\xb4-\xb8\xba-\u052f]")
"""Characters among which digits beyond ASCII are."""
_UNIT: Final = re.compile(rf"{_ESCAPE}|.", re.DOTALL)
_MAY_ESCAPE: Final = re.compile(r"[\\&%]")
_PLAIN_BREAK: Final = re.compile(rf"[^0-9]{{{MOST_BETWEEN + 1},}}")
_NO_DIGIT: Final = re.compile("[^0-9]")
_INVISIBLE: Final = frozenset({"Cf", "Mn", "Me"})
_ZERO_OF_ONE_UNIT: Final = "⁰"
_ZERO_OF_TWO_UNITS: Final = "🄀"
"""Zeros for digits that have none of their own, with the same number of UTF-16 units: segments stay the same."""
_LAST_PLANE_OF_DIGITS: Final = 0x20000


class DigitRun(NamedTuple):
    """Digits that may form one number, as ASCII, and the position of each in the text."""

    digits: str
    places: list[int]


def join_texts(texts: Iterable[str]) -> str:
    """Join texts for one search; no run of digits reaches from one into the next."""
    return APART.join(texts)


def digit_groups(texts: Iterable[str]) -> set[str]:
    """The digits of every run in these texts, without duplicates."""
    plain: list[str] = []
    escaping: list[str] = []
    for text in texts:
        may_escape = "&" in text or "%" in text or "\\" in text
        (escaping if may_escape else plain).append(text)
    found: set[str] = set()
    for run in {*_plain_runs(join_texts(plain)), *_RUN.findall(join_texts(escaping))}:
        if run.isascii() and not _MAY_ESCAPE.search(run):
            found.update(_NO_DIGIT.sub("", part) for part in _PLAIN_BREAK.split(run))
        else:
            found.update(one.digits for one in _cut(run, 0))
    return found


def _plain_runs(text: str) -> list[str]:
    """The runs of a text without escapes; three times as fast if all of its digits are ASCII."""
    has_other_digits = any(_value(letter) for letter in set(_RARE.findall(text)))
    return (_RUN if has_other_digits else _PLAIN_RUN).findall(text)


def digit_runs(text: str) -> Iterator[DigitRun]:
    """Yield every run of digits in a text."""
    for match in _RUN.finditer(text):
        yield from _cut(match[0], match.start())


def zero_digits(text: str, places: Collection[int]) -> str:
    """Replace the digits at these positions by zeros of the same script and width."""
    letters = list(text)
    for at in places:
        letters[at] = _zero(letters[at])
    return "".join(letters)


def read_one_number(typed: str) -> str | None:
    """The digits of a line that holds exactly one number, after ``+`` if that is written.

    None: the line holds something else as well, or its digits are too far apart to be one number.
    """
    digits, between, is_international = "", 0, False
    for letter in typed.strip():
        value = _value(letter)
        if value is not None:
            if digits and between > MOST_BETWEEN:
                return None
            digits, between = digits + value, 0
        elif _is_invisible(letter):
            continue
        elif letter.isalnum() or (letter in "+＋" and (digits or is_international)):
            return None
        else:
            is_international |= letter in "+＋"
            between += 1
    return f"+{digits}" if is_international else digits


def non_ascii_digits() -> str:
    """All digits beyond ASCII, as the inside of a bracket expression for Postgres' regular expressions."""
    ranges = []
    for n in range(128, _LAST_PLANE_OF_DIGITS):
        if chr(n).isdecimal() and not chr(n - 1).isdecimal():
            last = n
            while chr(last + 1).isdecimal():
                last += 1
            ranges.append(f"{chr(n)}-{chr(last)}")
    return "".join(ranges) + _ODD_DIGITS


def _cut(run: str, offset: int) -> Iterator[DigitRun]:
    """Split a stretch of digits and separators where two digits are too far apart."""
    digits: list[str] = []
    places: list[int] = []
    between = 0
    for unit in _UNIT.finditer(run):
        letter = _unescaped(unit[0])
        value = _value(letter) if len(unit[0]) == 1 else None
        if value is None:
            if letter.isalnum() and letter not in _FILLERS:
                between = MOST_BETWEEN + 1  # an escape that stands for a letter or a digit
            elif not _is_invisible(letter):
                between += 1
            continue
        if between > MOST_BETWEEN and digits:
            yield DigitRun("".join(digits), places)
            digits, places = [], []
        between = 0
        digits.append(value)
        places += [offset + unit.start()] * len(value)
    if digits:
        yield DigitRun("".join(digits), places)


def _unescaped(unit: str) -> str:
    """The character that a unit stands for; a space for escaped white space."""
    if len(unit) == 1:
        return unit
    if unit[0] == "&":
        found = html.unescape(unit)
        return found if len(found) == 1 else APART
    if unit[-5:-4] == "u":
        return chr(int(unit[-4:], 16))
    return " "


@lru_cache(maxsize=4096)
def _value(letter: str) -> str | None:
    """The digits that a character stands for."""
    if letter.isascii():
        return letter if letter.isdigit() else None
    normal = unicodedata.normalize("NFKC", letter)
    if not any(map(str.isalpha, normal)):
        digits = "".join(str(unicodedata.decimal(one)) for one in normal if one.isdecimal())
        if digits:
            return digits
    value = unicodedata.numeric(letter, -1)
    is_number = unicodedata.category(letter) == "No" and value >= 0 and value == int(value)
    return str(int(value)) if is_number and value < 100 else None


@lru_cache(maxsize=4096)
def _zero(letter: str) -> str:
    if letter.isascii():
        return "0"
    if letter.isdecimal():
        return chr(ord(letter) - unicodedata.decimal(letter))
    return _ZERO_OF_ONE_UNIT if ord(letter) < 0x10000 else _ZERO_OF_TWO_UNITS


@lru_cache(maxsize=4096)
def _is_invisible(letter: str) -> bool:
    return letter in _FILLERS or unicodedata.category(letter) in _INVISIBLE
