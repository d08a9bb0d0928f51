"""Find the phone fields of erased people, and the pseudonyms that their rows may have.

A field that is one whole number belongs to that number only. Any other field (two numbers, a number with other
text, another country's national spelling) is searched like a text.

Pure: no clock, no environment, no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import phonenumbers

from dagster_project.model.privacy import Identity, Suppression, identity_of
from dagster_project.text.written_numbers import read_one_number
from dagster_project.vendors.calltouch.phones import COUNTRY_OF_SECOND_DIGIT, read_number

_PLAIN_STARTS: Final = frozenset(
    first + second for first in "78" for second in COUNTRY_OF_SECOND_DIGIT
)
_PLAIN: Final = re.compile(r"\+?[78]([79][0-9]{9})")
_TRUNK: Final = 1
"""How many digits a whole number may have beyond E.164: a trunk prefix."""


def identify(typed: str) -> Identity | None:
    """Read the one full number that a person typed, in any format; None: it is anything else.

    With ``+`` a number of possible length is accepted. Without ``+`` it must be valid, as dialled in Russia or
    with its country code: a digit too few or too many would make it another number.
    """
    digits = read_one_number(typed)
    if not digits:
        return None
    plain = _PLAIN.fullmatch(digits)
    if plain is not None:
        return identity_of(f"+7{plain[1]}")
    number = read_number(digits).e164
    if number is None or (digits[0] != "+" and not _is_valid(number)):
        return None
    return identity_of(number)


def own_phones(phones: Iterable[str], suppression: Suppression) -> set[str]:
    """Find those of many phone fields that belong to suppressed numbers."""
    by_identity: dict[str, list[str]] = {}
    odd: list[str] = []
    for phone in phones:
        if _is_plain(phone):
            by_identity.setdefault(f"+7{phone[1:]}", []).append(phone)
        else:
            by_identity.setdefault(read_number(phone).identity, []).append(phone)
            odd.append(phone)
    own = {
        phone
        for number in suppression.find_suppressed(by_identity)
        for phone in by_identity[number]
    }
    odd = [phone for phone in odd if not _is_whole(phone)]
    if suppression.occurs_in(*odd):
        own.update(phone for phone in odd if suppression.occurs_in(phone))
    return own


def identities_of(identity: Identity) -> set[str]:
    """All identities that rows of a number may have, if they were not read as its E.164.

    Reduced rows have no number any more: a national spelling may have been read as a Russian number, or as
    plain digits, and the pseudonym is that of this reading.
    """
    found = {identity.number}
    if not identity.number.startswith("+") or identity.tail is None:
        return found
    digits, tail = identity.number[1:], identity.tail
    for spelling in (
        *(f"{start}{tail}" for start in ("", "0", "8", "+8", "80")),
        *(f"{start}{digits}" for start in ("00", "810", "8")),
        f"{digits}0",
        f"8{tail}0",
    ):
        found.add(spelling.removeprefix("+"))
        number = read_number(spelling)
        if number.e164 is None or not _is_valid(number.e164):
            found.add(number.identity)
    return found


def _is_plain(phone: str) -> bool:
    return len(phone) == 11 and phone[:2] in _PLAIN_STARTS and phone.isascii() and phone.isdecimal()


@lru_cache(maxsize=65_536)
def _is_whole(phone: str) -> bool:
    """Whether the field is one valid number, with at most a trunk prefix."""
    number = read_number(phone).e164
    digits = sum(map(str.isdigit, phone))
    return number is not None and digits < len(number) + _TRUNK and _is_valid(number)


@lru_cache(maxsize=65_536)
def _is_valid(number: str) -> bool:
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(number)))
    except phonenumbers.NumberParseException:
        return False
