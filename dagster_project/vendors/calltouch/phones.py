"""Phone numbers as Calltouch writes them, in E.164, with their country.

Plain numbers of eleven digits, Russian mobiles (``79…``, ``89…``) and Kazakhstan (``77…``,
``87…``), follow a rule that answers as the ``phonenumbers`` library does (a test asks it about
every prefix), at a hundredth of its cost. All else is the library's: a number without ``+`` is
read as one dialled in Russia, then as an international one; a valid reading wins over a possible
one. What is not even possible has no E.164 form.

E.164 rests on what is *possible* (country code and length), not on what is *valid*: ranges are
assigned every month, and a recipient's pseudonym must not change with the library's version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, ValidationResult

HOME_REGION: Final = "RU"
COUNTRY_OF_SECOND_DIGIT: Final = {"9": "RU", "7": "KZ"}
WORLD: Final = "001"
"""What the library calls the country of numbers that belong to none."""

_PLAIN: Final = re.compile(r"(?:\+?7|8)([79])([0-9]{9})")
_MARKS: Final = re.compile(r"[ ()\-.\u00a0]")
_NOT_DIGITS: Final = re.compile(r"\D")


class Number(NamedTuple):
    """``identity`` is what the recipient's pseudonym is taken of: E.164, or else the raw digits."""

    e164: str | None
    country: str | None
    identity: str


def read_number(phone: str) -> Number:
    """The number behind a text in any mask."""
    plain = _PLAIN.fullmatch(_MARKS.sub("", phone))
    if plain is None:
        return ask_library(phone)
    e164 = f"+7{plain[1]}{plain[2]}"
    return Number(e164, COUNTRY_OF_SECOND_DIGIT[plain[1]], e164)


@lru_cache(maxsize=65_536)
def ask_library(phone: str) -> Number:
    possible = [number for number in _readings(phone) if _is_possible(number)]
    valid = [number for number in possible if phonenumbers.is_valid_number(number)]
    if not possible:
        return Number(None, None, _NOT_DIGITS.sub("", phone) or phone)
    best = (valid or possible)[0]
    e164 = phonenumbers.format_number(best, PhoneNumberFormat.E164)
    country = phonenumbers.region_code_for_number(best)
    return Number(e164, None if country == WORLD else country, e164)


def _readings(phone: str) -> Iterator[PhoneNumber]:
    digits = _NOT_DIGITS.sub("", phone)
    for text, region in ((phone, HOME_REGION), (f"+{digits.removeprefix('00')}", None)):
        try:
            yield phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue


def _is_possible(number: PhoneNumber) -> bool:
    reason = phonenumbers.is_possible_number_with_reason(number)
    return bool(reason == ValidationResult.IS_POSSIBLE)
