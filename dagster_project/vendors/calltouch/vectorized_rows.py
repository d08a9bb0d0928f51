"""Encode rows of the usual form by columns, a page at a time, to the same bytes as ``rows.encode_one``.

Rows of the usual form have a time ``dd-mm-yyyy HH:MM:SS`` within the window, and texts that are null or that
Postgres can store. Their fields up to ``sent_at`` have a fixed length, and those up to ``recipient`` too if the
phone is a plain number: NumPy lays them out as structures. Unusual phones, statuses, templates and segments come
from caches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from itertools import compress
from operator import not_
from typing import Final, NamedTuple

import numpy as np
import xxhash
from msgspec.structs import astuple
from numpy.typing import NDArray

from dagster_project.model.batch import Batch
from dagster_project.model.window import Window, day_number
from dagster_project.text.pseudonyms import PSEUDONYM_SIZE, pseudonyms
from dagster_project.text.sanitize import is_sanitized
from dagster_project.vendors.calltouch.context import NO_TEXT, RowContext, count_unknown_pairs
from dagster_project.vendors.calltouch.instants import DAY, read_wall_times
from dagster_project.vendors.calltouch.phones import COUNTRY_OF_SECOND_DIGIT
from dagster_project.vendors.calltouch.sms_page import Row, SmsPage

Characters = NDArray[np.uint8]
Structures = np.ndarray[tuple[int], np.dtype[np.void]]

PHONE: Final = 11
E164: Final = 12
SECOND: Final = 19
KEY: Final = 16
MICROSECONDS: Final = 1_000_000

_HEAD: Final = np.dtype(
    [
        ("sent_on_size", ">i4"),
        ("sent_on", ">i4"),
        ("site_id_size", ">i4"),
        ("site_id", ">i8"),
        ("sms_key_size", ">i4"),
        ("sms_key", "u1", KEY),
        ("sent_at_size", ">i4"),
        ("sent_at", ">i8"),
    ]
)
_NUMBER: Final = np.dtype(
    [
        ("phone_size", ">i4"),
        ("phone", "u1", PHONE),
        ("phone_e164_size", ">i4"),
        ("phone_e164", "u1", E164),
        ("country_size", ">i4"),
        ("country", "u1", 2),
        ("recipient_size", ">i4"),
        ("recipient", "u1", PSEUDONYM_SIZE),
    ]
)
_KEYED_PHONE: Final = np.dtype(
    [("phone_size", ">i4"), ("phone", "u1", PHONE), ("second", "u1", SECOND)]
)
NULL_SIZE: Final = -1

_ZERO: Final = np.uint8(ord("0"))
_BEGINS_PLAIN: Final = np.zeros((256, 256), np.bool_)
_COUNTRIES: Final = np.zeros((256, 2), np.uint8)
for _digit, _country in COUNTRY_OF_SECOND_DIGIT.items():
    _COUNTRIES[ord(_digit)] = tuple(_country.encode())
    _BEGINS_PLAIN[[ord("7"), ord("8")], ord(_digit)] = True
_PLUS_SEVEN: Final = np.frombuffer(b"+7", np.uint8)
_NO_PHONE: Final = "?" * PHONE
_DASH: Final = ord("-")


class PlainRows(NamedTuple):
    """Rows of the usual form, by columns; ``wall``: the times of ``seconds``, in seconds since 2000.

    ``messages`` are the texts in UTF-8, ``NO_TEXT`` for ``None``. ``complete``: nothing is ``None``.
    """

    complete: bool
    phones: list[str | None]
    seconds: Characters
    wall: NDArray[np.int64]
    statuses: list[str | None]
    details: list[str | None]
    texts: list[str | None]
    messages: list[bytes]


def encode_plain(page: SmsPage, window: Window, context: RowContext) -> tuple[Batch, list[int]]:
    """Encode the page's rows of the usual form, in order; return the batch and the positions of the others."""
    plain, others = _choose(page, window)
    return _encode(plain, window, context), others


def _choose(page: SmsPage, window: Window) -> tuple[PlainRows, list[int]]:
    rows, others = _choose_usual_texts(page)
    seconds = _matrix("".join([row.dateSent for row in rows]), SECOND)
    wall, plain = read_wall_times(seconds)
    plain &= wall >= day_number(window.first_day) * DAY
    plain &= wall < (day_number(window.last_day) + 1) * DAY
    if not plain.all():
        others = sorted(others + np.delete(np.arange(len(page.rows)), others)[~plain].tolist())
        rows = [row for row, is_plain in zip(rows, plain.tolist(), strict=True) if is_plain]
        seconds, wall = seconds[plain], wall[plain]
    texts = [row.smsMessage for row in rows]
    return PlainRows(
        page.is_complete,
        [row.phoneNumber for row in rows],
        seconds,
        wall,
        [row.smsStatus for row in rows],
        [row.smsStatusDetail for row in rows],
        texts,
        [NO_TEXT if text is None else text.encode() for text in texts],
    ), others


def _choose_usual_texts(page: SmsPage) -> tuple[Sequence[Row], list[int]]:
    """Choose rows with a time of the usual length and storable texts; return also the positions of the others."""
    if page.clean and set(map(len, [row.dateSent for row in page.rows])) <= {SECOND}:
        return page.rows, []
    usual, others = [], []
    for place, row in enumerate(page.rows):
        if len(row.dateSent) == SECOND and (page.clean or _is_storable(row)):
            usual.append(row)
        else:
            others.append(place)
    return usual, others


def _is_storable(row: Row) -> bool:
    return is_sanitized("".join(filter(None, astuple(row))))


def _encode(plain: PlainRows, window: Window, context: RowContext) -> Batch:
    counts: Counter[str] = Counter()
    days = (plain.wall // DAY).astype(np.int32)
    numbers, keyed_phones = _phone_fields(plain, context)
    keys = _keys(keyed_phones, plain.messages)
    pairs = zip(plain.statuses, plain.details, strict=True)
    statuses = list(map(context.statuses.__getitem__, pairs))
    known = [is_known for _, _, is_known in statuses]
    if not all(known):
        pairs = zip(plain.statuses, plain.details, strict=True)
        count_unknown_pairs(compress(pairs, map(not_, known)), counts)
    fields = zip(
        _head_fields(plain, days, keys, window, context, counts),
        numbers,
        [encoded for encoded, _, _ in statuses],
        *_message_fields(plain),
        context.templates.look_up(plain.messages),
        strict=True,
    )
    records = list(map(b"".join, fields))
    return Batch(
        days=days,
        keys=keys,
        records=records,
        hashes=np.fromiter(map(xxhash.xxh3_64_intdigest, records), np.uint64, len(records)),
        observed=[is_final for _, is_final, _ in statuses],
        counts=counts,
    )


def _head_fields(
    plain: PlainRows,
    days: NDArray[np.int32],
    keys: bytes,
    window: Window,
    context: RowContext,
    counts: Counter[str],
) -> list[bytes]:
    """The encoded fields ``sent_on`` to ``sent_at`` of each row."""
    clock = context.clock(window.account.time_zone)
    heads = _new_structures(_HEAD, len(days))
    heads["sent_on"] = days
    heads["site_id"] = int(window.account.label)
    heads["sms_key"] = _matrix(keys, KEY)
    heads["sent_at"] = clock.to_utc(plain.wall, counts) * MICROSECONDS
    return _to_bytes_list(heads)


def _phone_fields(plain: PlainRows, context: RowContext) -> tuple[list[bytes], list[bytes]]:
    """The encoded fields ``phone`` to ``recipient``; and phone and time in the form for the key."""
    phones = _phone_characters(plain)
    e164 = np.empty((len(phones), E164), np.uint8)
    e164[:, :2] = _PLUS_SEVEN
    e164[:, 2:] = phones[:, 1:]
    recipients = pseudonyms(context.keys.recipient, e164.view(f"V{E164}").ravel().tolist())
    numbers = _new_structures(_NUMBER, len(phones))
    numbers["phone"] = phones
    numbers["phone_e164"] = e164
    numbers["country"] = _COUNTRIES[phones[:, 1]]
    numbers["recipient"] = _matrix(b"".join(recipients), PSEUDONYM_SIZE)
    keyed = _new_structures(_KEYED_PHONE, len(phones))
    keyed["phone"] = phones
    keyed["second"] = plain.seconds
    keyed["second"][:, [2, 5]] = _DASH
    fields, keyed_phones = _to_bytes_list(numbers), _to_bytes_list(keyed)
    is_plain = (phones - _ZERO < 10).all(axis=1) & _BEGINS_PLAIN[phones[:, 0], phones[:, 1]]
    for place in np.flatnonzero(~is_plain).tolist():
        phone, fields[place] = context.phones[plain.phones[place]]
        keyed_phones[place] = phone + keyed_phones[place][-SECOND:]
    return fields, keyed_phones


def _message_fields(plain: PlainRows) -> tuple[list[bytes], list[bytes]]:
    """The encoded field ``message``: its lengths and its texts."""
    sizes = np.fromiter(map(len, plain.messages), ">i4", len(plain.messages))
    absent = _rows_without_text(plain)
    sizes[absent] = NULL_SIZE
    texts = plain.messages
    if absent:
        texts = [b"" if text == NO_TEXT else text for text in texts]
    lengths: list[bytes] = sizes.view("V4").tolist()
    return lengths, texts


def _rows_without_text(plain: PlainRows) -> list[int]:
    if plain.complete:
        return []
    return [place for place, text in enumerate(plain.texts) if text is None]


def _phone_characters(plain: PlainRows) -> Characters:
    """Eleven characters for each phone; question marks if it has more or fewer, or is null."""
    phones = [_NO_PHONE if phone is None else phone for phone in plain.phones]
    if not set(map(len, phones)) <= {PHONE}:
        phones = [phone if len(phone) == PHONE else _NO_PHONE for phone in phones]
    return _matrix("".join(phones), PHONE)


def _keys(keyed_phones: list[bytes], messages: list[bytes]) -> bytes:
    """The rows' ``sms_key``, one after the other."""
    digests = [
        sha256(keyed_phone + message).digest()
        for keyed_phone, message in zip(keyed_phones, messages, strict=True)
    ]
    return _matrix(b"".join(digests), 32)[:, :KEY].tobytes()


def _matrix(characters: str | bytes, width: int) -> Characters:
    if isinstance(characters, str):
        characters = characters.encode("ascii", "replace")
    return np.frombuffer(characters, np.uint8).reshape(-1, width)


def _new_structures(layout: np.dtype[np.void], count: int) -> Structures:
    """Make ``count`` structures with their ``…_size`` fields filled in."""
    structures = np.empty(count, layout)
    names = layout.names or ()
    for name in names:
        value = name.removesuffix("_size")
        if value != name and value in names:
            structures[name] = layout[value].itemsize
    return structures


def _to_bytes_list(structures: Structures) -> list[bytes]:
    pieces: list[bytes] = structures.view(f"V{structures.itemsize}").tolist()
    return pieces
