"""What loads do for privacy: numbers that were erased stay away, and old days carry no person's data.

A *suppressed* number is known by keyed hashes alone: of its identity (E.164, or its digits), and of its
digits without the country's code, by which it is found in texts whatever stands before or between them
(``text/written_numbers.py``). It is taken out of every answer before that is stored.

A *reduced* day is older than ``PII_RETENTION_DAYS``: rows of SMS keep outcome, template, pseudonym of the
recipient, segments and country; number and text are taken out, and statuses of no known wording, and
``sms_key`` becomes a keyed hash of itself. Purchases lose what tells of a card or an invoice. Both are done by pure functions, the same at the first load, at every later one, at a
replay, and where what is stored is rewritten: so a rerun of an unchanged day still writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import phonenumbers

from dagster_project.model.batch import Batch
from dagster_project.model.response import Response
from dagster_project.model.window import Account, Window
from dagster_project.text import written_numbers
from dagster_project.text.pseudonyms import PseudonymKeys, pseudonyms

ERASED: Final = "(erased)"
REDUCED: Final = "(reduced)"
HASH_BYTES: Final = 16
_LONGEST_TAIL: Final = 10


class Identity(NamedTuple):
    """A number: what its pseudonym is taken of, and the last digits that every way of writing it has.

    ``tail`` is None where these are too few to look for in texts.
    """

    number: str
    tail: str | None


def identity_of(number: str) -> Identity:
    """The identity of a number in E.164, or of digits that are no such number.

    The tail is the number without its country's code: ``8 029 …`` and ``+375 29 …`` have it in common.
    Where a country writes something into the middle of it at home, it is what stands behind that.
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
    """What the forms of a number for callers from abroad and at home end with."""
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
        """A list of these numbers alone."""
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
        """Those of many numbers that are on the list."""
        hashes = pseudonyms(self.key, map(_bytes, numbers))
        return {n for n, found in zip(numbers, hashes, strict=True) if found in self.numbers}

    def mask_numbers(self, text: str) -> str:
        """The text with 0 for every digit of a suppressed number, so that its template and length stay."""
        if not self.occurs_in(text):
            return text
        places: set[int] = set()
        for digits, at in written_numbers.digit_runs(text):
            for start, length in self._found(digits):
                places.update(at[start : start + length])
        return written_numbers.zero_digits(text, places)

    def occurs_in(self, *texts: str) -> bool:
        """Whether any number of the list stands in one of the texts."""
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
        """Where suppressed numbers begin in a run of digits, and how long they are."""
        for length in self.tail_lengths:
            for start in range(len(digits) - length + 1):
                if self.hash_of(digits[start : start + length]) in self.tails:
                    yield start, length


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class Rules:
    """What a load of one account goes by: days before ``reduced_before`` are reduced."""

    suppression: Suppression
    reduced_before: date
    reduction_key: bytes


Values = Mapping[str, Any]
"""A row's values by column."""


class Occurrences(NamedTuple):
    """What a response or a rejected record holds of a number: its own records, and how many others name it."""

    own: list[Any]
    mentions: int


@dataclass(frozen=True)
class Reduction:
    """How a feed's answers, rows and rejects of old days are rid of personal data; all functions are pure.

    They answer with None where nothing is to be taken out. ``reduce_row`` takes a row's values by column and
    answers with those it is to have; ``reduce_batch`` does the same to what a load is about to write, and
    ``reduce_body`` to a response, so that what it is replayed to is reduced already.
    """

    reduce_body: Callable[[bytes, date, Account], bytes | None]
    reduce_reject: Callable[[str, bytes], str | None]
    reduce_batch: Callable[[Batch, Window, date, bytes], Batch]
    reduce_row: Callable[[Values, bytes], Values | None]


@dataclass(frozen=True)
class PersonalColumns:
    """Which columns of a feed's table are personal: the phone as written, the person's pseudonym, texts.

    ``pseudonyms`` are the columns that a new key computes anew, each with its kind in
    ``ops.rekeyed_pseudonym``; the person's is of the kind ``recipient``.
    """

    phone: str
    person: str
    texts: tuple[str, ...]
    pseudonyms: Mapping[str, str]


@dataclass(frozen=True)
class Personal:
    """How a feed's answers, rows and rejects are rid of personal data; all functions are pure.

    ``identify`` reads a line that a person typed (None: it is not exactly one full number); ``own_phones`` are
    those of many phone fields that suppressed numbers have, ``pseudonym_of`` is what a recipient is
    known by, ``pseudonyms_of`` all that one may be known by. ``redact`` answers with the answer itself where nothing is to be taken out, the others with None.
    ``find_in_body`` and ``find_in_reject`` find what ``redact_body`` and ``redact_reject`` take out. ``erase_row``
    takes a row's values by column and answers with those it is to have. ``rekey_row`` computes the
    pseudonyms anew from what the row still has; it leaves out those that it cannot.
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
