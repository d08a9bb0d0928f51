"""Suppression of erased numbers and reduction of old days: the types that loads and erasures share.

A *suppressed* number is known only by keyed hashes: of its identity (E.164, or its digits), and of its
digits without the country code, by which it is found in texts however it is written there
(``text/written_numbers.py``). It is removed from every response before the response is stored.

A *reduced* day is older than ``PII_RETENTION_DAYS``. Its SMS keep outcome, template, the recipient's
pseudonym, segments and country; they lose number, text and any status of unknown wording, and ``sms_key``
becomes a keyed hash of itself. Purchases lose card digits and invoices.

Both are done by pure functions, which are the same for first loads, reruns, replays and rewrites of stored
data: so a rerun of an unchanged day writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dagster_project.model.response import Response
from dagster_project.model.window import Account, Window
from dagster_project.text import written_numbers
from dagster_project.text.pseudonyms import PseudonymKeys, pseudonym, pseudonyms

if TYPE_CHECKING:
    from dagster_project.model.batch import Batch, Reject

ERASED: Final = "(erased)"
REDUCED: Final = "(reduced)"
HASH_BYTES: Final = 16
_LONGEST_TAIL: Final = 10


class Identity(NamedTuple):
    """A telephone number: the text that its pseudonym is computed from, and its common last digits.

    ``tail`` has the last digits that every way of writing the number shares; None if they are too few to
    search for.
    """

    number: str
    tail: str | None


def identity_of(number: str) -> Identity:
    """The identity of a number in E.164, or of digits that are no such number.

    The tail is the number without its country code: ``8 029 …`` and ``+375 29 …`` share it. If a
    country inserts digits into its national form, the tail is what follows them.
    """
    digits = re.sub("[^0-9]", "", number)
    if number.startswith("+"):
        tail = _common_end(number) or digits
        if len(tail) < written_numbers.FEWEST_DIGITS:
            tail = digits
    else:
        tail = digits[-_LONGEST_TAIL:]
    return Identity(number, tail if len(tail) >= written_numbers.FEWEST_DIGITS else None)


def _common_end(number: str) -> str:
    """The digits in which a number's international and national forms both end."""
    import phonenumbers  # loads slowly, and a load of rows does not need it

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    abroad = phonenumbers.national_significant_number(parsed)
    at_home = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    at_home = re.sub("[^0-9]", "", at_home)
    if abroad in at_home:
        return abroad
    ends = (at_home[at:] for at in range(len(at_home) - written_numbers.FEWEST_DIGITS + 1))
    return next(filter(abroad.endswith, ends), abroad)


@dataclass(frozen=True)
class Suppression:
    """The numbers that were erased, as hashes under ``key``."""

    key: bytes
    numbers: frozenset[bytes] = frozenset()
    tails: frozenset[bytes] = frozenset()
    tail_lengths: tuple[int, ...] = ()

    @classmethod
    def from_identities(cls, key: bytes, identities: Iterable[Identity]) -> Suppression:
        """Make a list of just these numbers."""
        empty = cls(key)
        known = list(identities)
        tails = {one.tail for one in known if one.tail}
        return cls(
            key,
            frozenset(empty.hash_of(one.number) for one in known),
            frozenset(map(empty.hash_of, tails)),
            tuple(sorted(set(map(len, tails)))),
        )

    def __bool__(self) -> bool:
        return bool(self.numbers)

    def hash_of(self, text: str) -> bytes:
        return blake2b(_bytes(text), key=self.key, digest_size=HASH_BYTES).digest()

    def find_suppressed(self, numbers: Collection[str]) -> set[str]:
        """Find which of many numbers are on the list."""
        hashes = pseudonyms(self.key, map(_bytes, numbers))
        return {n for n, found in zip(numbers, hashes, strict=True) if found in self.numbers}

    def mask_numbers(self, text: str) -> str:
        """Replace every digit of a suppressed number by 0, which keeps the text's template and length."""
        if not self.occurs_in(text):
            return text
        places: set[int] = set()
        for digits, at in written_numbers.digit_runs(text):
            for start, length in self._found(digits):
                places.update(at[start : start + length])
        return written_numbers.zero_digits(text, places)

    def occurs_in(self, *texts: str) -> bool:
        """Whether one of the texts contains a number of the list."""
        if not self.tails:
            return False
        parts = {
            digits[start : start + length]
            for digits in written_numbers.digit_groups(texts)
            for length in self.tail_lengths
            for start in range(len(digits) - length + 1)
        }
        return not self.tails.isdisjoint(pseudonyms(self.key, map(str.encode, parts)))

    def _found(self, digits: str) -> Iterator[tuple[int, int]]:
        """Yield the position and length of each suppressed number in a run of digits."""
        for length in self.tail_lengths:
            for start in range(len(digits) - length + 1):
                if self.hash_of(digits[start : start + length]) in self.tails:
                    yield start, length


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class Rules:
    """The privacy rules of one account's load: days before ``reduced_before`` are reduced."""

    suppression: Suppression
    reduced_before: date
    reduction_key: bytes


Values = Mapping[str, Any]
"""A row's values by column."""


class Occurrences(NamedTuple):
    """A person's records in a response or a reject, and how many other records mention the number."""

    own: list[Any]
    mentions: int


def reduce_reject(original: str, key: bytes) -> str | None:
    """Replace a reject's original by a keyed hash, which still identifies it. None: it is already reduced."""
    if original.startswith("(reduced "):
        return None
    return f"(reduced {pseudonym(key, _bytes(original)).hex()})"


def reduced_reject(reject: Reject, key: bytes) -> Reject:
    """The reject, reduced."""
    return replace(reject, original=reduce_reject(reject.original, key) or reject.original)


@dataclass(frozen=True)
class Reduction:
    """How to remove personal data from a feed's old responses, rows and rejects; all functions are pure.

    They return None if there is nothing to remove. ``reduce_row`` takes a row's values by column and
    returns the new ones. ``reduce_batch`` does the same to the rows that a load is about to write, and
    ``reduce_body`` to a response, so that a replay of it yields reduced rows.
    """

    reduce_body: Callable[[bytes, date, Account], bytes | None]
    reduce_reject: Callable[[str, bytes], str | None]
    reduce_batch: Callable[[Batch, Window, date, bytes], Batch]
    reduce_row: Callable[[Values, bytes], Values | None]


@dataclass(frozen=True)
class PersonalColumns:
    """The personal columns of a feed's table: the phone as written, the person's pseudonym, texts.

    ``pseudonyms`` are the columns that a new key changes, each with its kind in
    ``ops.rekeyed_pseudonym``; the person's kind is ``recipient``.
    """

    phone: str
    person: str
    texts: tuple[str, ...]
    pseudonyms: Mapping[str, str]


@dataclass(frozen=True)
class Personal:
    """How to find and erase a person in a feed's responses, rows and rejects; all functions are pure.

    ``identify`` reads a line that a person typed (None: not exactly one full number). ``own_phones``
    returns those of many phone fields that belong to suppressed numbers. ``pseudonym_of`` is the
    recipient's pseudonym, ``pseudonyms_of`` every pseudonym that rows of the number may have.
    If there is nothing to remove, ``redact`` returns the same response and the others None.
    ``find_in_body`` and ``find_in_reject`` find what ``redact_body`` and ``redact_reject`` remove.
    ``erase_row`` takes a row's values by column and returns the new ones. ``rekey_row`` recomputes the
    pseudonyms from what the row still holds, and omits those that it cannot compute.
    """

    columns: PersonalColumns
    identify: Callable[[str], Identity | None]
    own_phones: Callable[[Iterable[str], Suppression], set[str]]
    pseudonym_of: Callable[[Identity, PseudonymKeys], bytes]
    pseudonyms_of: Callable[[Identity, PseudonymKeys], frozenset[bytes]]
    redact: Callable[[Response, Suppression], Response]
    redact_body: Callable[[bytes, Suppression], bytes | None]
    redact_reject: Callable[[str, Suppression], str | None]
    find_in_body: Callable[[bytes, Suppression], Occurrences]
    find_in_reject: Callable[[str, Suppression], Occurrences]
    erase_row: Callable[[Values, Account, PseudonymKeys, Rules, frozenset[bytes]], Values | None]
    rekey_row: Callable[[Values, PseudonymKeys], Values]
