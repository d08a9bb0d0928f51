"""What loads do for privacy: numbers that were erased stay away, and old days carry no person's data.

A *suppressed* number is known by keyed hashes alone: of its identity (E.164, or its digits), and of its
last ten digits, by which it is found in texts whatever stands before or between them. It is taken out
of every answer before that is stored.

A *reduced* day is older than ``PII_RETENTION_DAYS``: its rows keep outcome, template, pseudonym of the
recipient, segments and country; number and text are taken out, and ``sms_key`` becomes a keyed
hash of itself. Both are done by pure functions, the same at the first load, at every later one, at a
replay, and where what is stored is rewritten: so a rerun of an unchanged day still writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from dagster_project.model import Account, Answer, Batch, Window
from dagster_project.pseudonym import pseudonyms

ERASED: Final = "(erased)"
REDUCED: Final = "(reduced)"
LONGEST_TAIL: Final = 10
SHORTEST_TAIL: Final = 7
HASH_BYTES: Final = 16

_BETWEEN_DIGITS = r"[\s()\[\].,/+_‐‑‒–—\u00a0-]{0,3}+"
_NO_DIGIT: Final = re.compile("[^0-9]")
_DIGIT_RUN: Final = re.compile(f"[0-9](?:{_BETWEEN_DIGITS}[0-9]){{{SHORTEST_TAIL - 1},}}+")


class Identity(NamedTuple):
    """A number: what its pseudonym is taken of, and its last digits (None: too few to look for)."""

    number: str
    tail: str | None


def identity_of(number: str) -> Identity:
    digits = re.sub("[^0-9]", "", number)
    return Identity(number, digits[-LONGEST_TAIL:] if len(digits) >= SHORTEST_TAIL else None)


@dataclass(frozen=True)
class Suppression:
    """The numbers that were erased, as hashes under ``key``."""

    key: bytes
    numbers: frozenset[bytes] = frozenset()
    tails: frozenset[bytes] = frozenset()
    tail_lengths: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.numbers)

    def hash_of(self, text: str) -> bytes:
        return blake2b(_bytes(text), key=self.key, digest_size=HASH_BYTES).digest()

    def has(self, number: str) -> bool:
        return self.hash_of(number) in self.numbers

    def among(self, numbers: Collection[str]) -> set[str]:
        """Those of many numbers that are on the list."""
        hashes = pseudonyms(self.key, map(_bytes, numbers))
        return {n for n, found in zip(numbers, hashes, strict=True) if found in self.numbers}

    def without(self, text: str) -> str:
        """The text with 0 for every digit of a suppressed number, so that its template and length stay."""
        if not self.occurs_in(text):
            return text
        letters = list(text)
        for run in _DIGIT_RUN.finditer(text):
            places = [at for at in range(*run.span()) if "0" <= text[at] <= "9"]
            for start, length in self._found("".join(text[at] for at in places)):
                for at in places[start : start + length]:
                    letters[at] = "0"
        return "".join(letters)

    def occurs_in(self, text: str) -> bool:
        """Whether any number of the list stands in the text."""
        if not self.tails:
            return False
        runs = {_NO_DIGIT.sub("", run) for run in set(_DIGIT_RUN.findall(text))}
        return any(True for digits in runs for _ in self._found(digits))

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


@dataclass(frozen=True)
class Personal:
    """How a feed's answers, rows and rejects are rid of personal data; all functions are pure.

    ``identify`` reads a number that a person typed (None: it is none); ``number_of`` is what the phone of a
    row is known by. ``redact`` answers with the
    answer itself where nothing is to be taken out, the others with None. ``erase_row`` and ``reduce_row``
    take a row's values by column and answer with those it is to have. ``rekey_row`` computes the
    pseudonyms anew from what the row still has; it leaves out those that it cannot.
    """

    identify: Callable[[str], Identity | None]
    number_of: Callable[[str], str]
    pseudonym_of: Callable[[Identity, Any], bytes]
    redact: Callable[[Answer, Suppression], Answer]
    redact_body: Callable[[bytes, Suppression], bytes | None]
    redact_reject: Callable[[str, Suppression], str | None]
    reduce_body: Callable[[bytes, date], bytes | None]
    reduce_reject: Callable[[str, bytes], str | None]
    reduce_batch: Callable[[Batch, Window, date, bytes], Batch]
    erase_row: Callable[[Values, Account, Any, Rules, frozenset[bytes]], Values | None]
    reduce_row: Callable[[Values, bytes], Values | None]
    rekey_row: Callable[[Values, Any], Values]
