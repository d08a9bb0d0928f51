"""The keys for encoding rows, and the caches that are kept from page to page.

The caches are limited: each is cleared when it is full. They change how fast rows are encoded, not the rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final
from zoneinfo import ZoneInfo

from dagster_project.model.copy_binary import NULL, encode, encode_boolean
from dagster_project.text.pseudonyms import PseudonymKeys, pseudonym
from dagster_project.vendors.calltouch.instants import LocalClock
from dagster_project.vendors.calltouch.names import count_name
from dagster_project.vendors.calltouch.outcomes import outcome_of
from dagster_project.vendors.calltouch.phones import read_number
from dagster_project.vendors.calltouch.segments import segments_of

REMEMBERED: Final = 16_384
LONGEST_REMEMBERED: Final = 2_048
NO_TEXT: Final = b"\xff"
"""Stands for a null text among texts in UTF-8, which never have this byte."""
STATUS_SHOWN: Final = 40

_TO_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
_LINK: Final = re.compile(rb"(?:https?://|(?>(?:[A-Za-z0-9-]++\.)+)[A-Za-z]{2,24}/)[!-Z_a-z]*+")
_SLASH: Final = ord("/")
_LINKS_AT_MOST: Final = 4


class RowContext:
    """The keys and caches for the rows of any account; one thread at a time."""

    def __init__(self, keys: PseudonymKeys) -> None:
        self.keys = keys
        self.phones = PhoneMemory(keys.recipient)
        self.statuses = StatusMemory()
        self.templates = TemplateMemory(keys.template)
        self._clocks: dict[ZoneInfo, LocalClock] = {}

    @classmethod
    def from_secret(cls, secret: str) -> RowContext:
        """Derive the keys from ``PII_HASH_KEY``."""
        return cls(PseudonymKeys.from_secret(secret))

    def clock(self, zone: ZoneInfo) -> LocalClock:
        if zone not in self._clocks:
            self._clocks[zone] = LocalClock(zone)
        return self._clocks[zone]


class PhoneMemory(dict[str | None, tuple[bytes, bytes]]):
    """By a phone as written: its encoded field, and the encoded fields ``phone`` to ``recipient``.

    Without a phone (``None``), all four fields are NULL.
    """

    def __init__(self, recipient_key: bytes) -> None:
        super().__init__()
        self.recipient_key = recipient_key

    def __missing__(self, phone: str | None) -> tuple[bytes, bytes]:
        if len(self) >= REMEMBERED:
            self.clear()
        if phone is None:
            self[None] = NULL, 4 * NULL
            return self[None]
        number = read_number(phone)
        recipient = pseudonym(self.recipient_key, number.identity.encode())
        field = encode("text", phone)
        fields = (
            field,
            b"".join(
                (
                    field,
                    encode("text", number.e164),
                    encode("text", number.country),
                    encode("uuid", recipient),
                )
            ),
        )
        if len(field) <= LONGEST_REMEMBERED:
            self[phone] = fields
        return fields


Pair = tuple[str | None, str | None]
"""A status and its detail."""


class StatusMemory(dict[Pair, tuple[bytes, bool, bool]]):
    """By status and detail: the encoded fields ``status`` to ``is_final``, whether it is final, whether known."""

    def __missing__(self, pair: Pair) -> tuple[bytes, bool, bool]:
        if len(self) >= REMEMBERED:
            self.clear()
        outcome = outcome_of(*pair)
        texts = (*pair, outcome.outcome, outcome.reason)
        encoded = b"".join(encode("text", text) for text in texts) + encode_boolean(
            outcome.is_final
        )
        fields = encoded, outcome.is_final, outcome.known
        if len(encoded) <= LONGEST_REMEMBERED:
            self[pair] = fields
        return fields


def count_unknown_pairs(pairs: Iterable[Pair], counts: Counter[str]) -> None:
    """Count pairs that are not in the table of outcomes, and whose outcome was decided by their status."""
    for pair, times in Counter(pairs).items():
        name = " + ".join("null" if part is None else part[:STATUS_SHOWN] for part in pair)
        count_name(counts, "unknown_status", name, times=times)


class TemplateMemory(dict[bytes, bytes]):
    """By a levelled text: the encoded fields ``template_id`` and ``segments``.

    Levelling replaces every digit by 0 and every link by zeros of its length. That changes neither field:
    templates have digits and links masked, and all these characters take the same space in an SMS. Without a
    text (``NO_TEXT``), both fields are NULL.
    """

    def __init__(self, template_key: bytes) -> None:
        super().__init__()
        self.template_key = template_key

    def __missing__(self, levelled: bytes) -> bytes:
        if len(self) >= REMEMBERED:
            self.clear()
        if levelled == NO_TEXT:
            self[NO_TEXT] = 2 * NULL
            return self[NO_TEXT]
        text = levelled.decode()
        template = encode("uuid", template_id(text, self.template_key))
        fields = template + encode("smallint", segments_of(text))
        if len(levelled) <= LONGEST_REMEMBERED:
            self[levelled] = fields
        return fields

    def look_up(self, messages: Iterable[bytes]) -> list[bytes]:
        zeroed = [message.translate(_TO_ZEROS) for message in messages]
        levelled = [_level_links(text) if _SLASH in text else text for text in zeroed]
        return list(map(self.__getitem__, levelled))


def _level_links(text: bytes) -> bytes:
    """Level the first few links that begin a word, as far as their characters count once in an SMS."""
    slash = text.find(_SLASH)
    for _ in range(_LINKS_AT_MOST):
        link = _LINK.match(text, text.rfind(b" ", 0, slash) + 1) or _LINK.match(
            text, text.rfind(b"\n", 0, slash) + 1
        )
        end = slash + 1
        if link is not None and link.end() > slash:
            start, end = link.span()
            text = text[:start] + b"0.aa/".ljust(end - start, b"0") + text[end:]
        slash = text.find(_SLASH, end)
        if slash < 0:
            break
    return text


def template_id(message: str, template_key: bytes) -> bytes:
    """The keyed pseudonym of a text's masked form; without a key, short texts could be guessed."""
    # Its patterns take a twentieth of a second to compile: most processes mask no text.
    from dagster_project.vendors.calltouch.people import mask_text

    return pseudonym(template_key, mask_text(message).encode())
