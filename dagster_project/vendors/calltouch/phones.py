"""Read phone numbers as Calltouch writes them: E.164 and country.

Plain numbers of eleven digits, Russian mobiles (``79…``, ``89…``) and Kazakhstan (``77…``, ``87…``), are read by
a rule that gives the same result as the ``phonenumbers`` library (a test compares every prefix), at a hundredth
of its cost. The library reads all others. A number without ``+`` is read as dialled in Russia, then as
international; one with ``+8`` as international, then as dialled in Russia with a mistaken ``+``. A valid reading
wins over a possible one. A number that is not possible has no E.164 form.

A number that lacks a digit is nobody's. Without ``+`` or ``00`` that is a number of fewer than ten digits, and one
of ten that begins with 7 or 8, unless these ten are a valid number: its first digit may belong to the area code,
but is more often the country code or the trunk prefix.

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
HOME_CODE: Final = 7
COUNTRY_OF_SECOND_DIGIT: Final = {"9": "RU", "7": "KZ"}
WORLD: Final = "001"
"""The library's country for numbers that belong to none."""

_PLAIN: Final = re.compile(r"\+?[78]([79])([0-9]{9})")
_MARKS: Final = re.compile(r"[ ()\-.\u00a0]")
_NOT_DIGITS: Final = re.compile(r"\D")
_PLUS: Final = re.compile(r"[+＋]")
_DIALLED_WITH_PLUS: Final = re.compile(r"\D*[+＋]\D*8")
_AREA_AND_NUMBER: Final = 10
"""Digits of a number in Russia and Kazakhstan, without a prefix."""


class Number(NamedTuple):
    """A number as read. ``identity``: the text of the recipient's pseudonym: E.164, or else the raw digits."""

    e164: str | None
    country: str | None
    identity: str


def read_number(phone: str) -> Number:
    """Read the number in a text, in any format."""
    plain = _PLAIN.fullmatch(_MARKS.sub("", phone))
    if plain is None:
        return ask_library(phone)
    e164 = f"+7{plain[1]}{plain[2]}"
    return Number(e164, COUNTRY_OF_SECOND_DIGIT[plain[1]], e164)


@lru_cache(maxsize=65_536)
def ask_library(phone: str) -> Number:
    possible = [number for number in _readings(phone) if _is_possible(number)]
    if not _PLUS.search(phone):
        possible = [number for number in possible if _is_whole(number, phone)]
    valid = [number for number in possible if phonenumbers.is_valid_number(number)]
    if not possible:
        return Number(None, None, _NOT_DIGITS.sub("", phone) or phone)
    best = (valid or possible)[0]
    e164 = phonenumbers.format_number(best, PhoneNumberFormat.E164)
    country = phonenumbers.region_code_for_number(best)
    return Number(e164, None if country == WORLD else country, e164)


def _readings(phone: str) -> Iterator[PhoneNumber]:
    digits = _NOT_DIGITS.sub("", phone)
    readings = [(phone, HOME_REGION), (f"+{digits.removeprefix('00')}", None)]
    if _DIALLED_WITH_PLUS.match(phone) and len(digits) > _AREA_AND_NUMBER:
        readings.append((_PLUS.sub("", phone), HOME_REGION))
    for text, region in readings:
        try:
            yield phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue


def _is_possible(number: PhoneNumber) -> bool:
    reason = phonenumbers.is_possible_number_with_reason(number)
    return bool(reason == ValidationResult.IS_POSSIBLE)


def _is_whole(number: PhoneNumber, phone: str) -> bool:
    """Whether a number without ``+`` has all of its digits, as far as that can be decided."""
    digits = _NOT_DIGITS.sub("", phone).removesuffix(number.extension or "")
    if digits.startswith("00"):
        return True
    if len(digits) == _AREA_AND_NUMBER and digits[0] in "78":
        return number.country_code == HOME_CODE and phonenumbers.is_valid_number(number)
    return len(digits) >= _AREA_AND_NUMBER
