"""Rows of the usual form, a page at a time: what ``rows.encode_one`` says, by columns.

Of the usual form are rows with a phone of eleven digits that starts as Russian mobiles and
Kazakhstan's numbers do, a second written ``dd-mm-yyyy HH:MM:SS`` within the window, and texts that
Postgres can store. The fields of such a row up to ``recipient`` have a fixed length: NumPy lays
them out as one structure. The three that vary follow: the status, from memory; the message; the
template and segments, from memory.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Final, NamedTuple

import numpy as np
import xxhash
from msgspec.structs import astuple
from numpy.typing import NDArray

from dagster_project.model import Batch, Window, day_number
from dagster_project.pseudonym import PSEUDONYM_SIZE, pseudonyms
from dagster_project.storable import is_storable
from dagster_project.vendors.calltouch.context import RowContext
from dagster_project.vendors.calltouch.instants import DAY, read_wall_times
from dagster_project.vendors.calltouch.pages import Page, Sms
from dagster_project.vendors.calltouch.phones import COUNTRY_OF_SECOND_DIGIT

Characters = NDArray[np.uint8]

PHONE: Final = 11
E164: Final = 12
SECOND: Final = 19
KEY: Final = 16

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
_NAMES: Final = [name for name in _HEAD.names or () if not name.endswith("_size")]
_KEY_INPUT: Final = np.dtype(
    [("phone_size", ">i4"), ("phone", "u1", PHONE), ("second", "u1", SECOND)]
)
_ZERO: Final = np.uint8(ord("0"))
_BEGINS_PLAIN: Final = np.zeros((256, 256), np.bool_)
_COUNTRIES: Final = np.zeros((128, 2), np.uint8)
for _digit, _country in COUNTRY_OF_SECOND_DIGIT.items():
    _COUNTRIES[ord(_digit)] = tuple(_country.encode())
    _BEGINS_PLAIN[[ord("7"), ord("8")], ord(_digit)] = True
_PLUS_SEVEN: Final = np.frombuffer(b"+7", np.uint8)
_DASH: Final = ord("-")
MICROSECONDS: Final = 1_000_000


class PlainRows(NamedTuple):
    """Rows of the usual form, by columns; ``wall`` is what ``seconds`` say, in seconds since 2000."""

    phones: Characters
    seconds: Characters
    wall: NDArray[np.int64]
    statuses: list[str]
    details: list[str]
    messages: list[bytes]


def choose_plain(page: Page, window: Window) -> tuple[PlainRows, list[int]]:
    """The page's plain rows, and the positions of the others."""
    rows, others = _of_usual_lengths(page)
    phones = _matrix("".join([row.phoneNumber for row in rows]), PHONE)
    seconds = _matrix("".join([row.dateSent for row in rows]), SECOND)
    wall, plain = read_wall_times(seconds)
    plain &= (phones - _ZERO < 10).all(axis=1)
    plain &= _BEGINS_PLAIN[phones[:, 0], phones[:, 1]]
    plain &= wall >= day_number(window.first_day) * DAY
    plain &= wall < (day_number(window.last_day) + 1) * DAY
    if not plain.all():
        places = np.delete(np.arange(len(page.rows)), others)[~plain]
        others = sorted(others + places.tolist())
        rows = [row for row, is_plain in zip(rows, plain.tolist(), strict=True) if is_plain]
        phones, seconds, wall = phones[plain], seconds[plain], wall[plain]
    return PlainRows(
        phones,
        seconds,
        wall,
        [row.smsStatus for row in rows],
        [row.smsStatusDetail for row in rows],
        [row.smsMessage.encode() for row in rows],
    ), others


def _of_usual_lengths(page: Page) -> tuple[list[Sms], list[int]]:
    """Rows whose phone and second are as long as plain ones, texts storable; and where others are."""
    phones = set(map(len, [row.phoneNumber for row in page.rows]))
    seconds = set(map(len, [row.dateSent for row in page.rows]))
    if page.clean and phones <= {PHONE} and seconds <= {SECOND}:
        return page.rows, []
    usual, others = [], []
    for place, row in enumerate(page.rows):
        fits = len(row.phoneNumber) == PHONE and len(row.dateSent) == SECOND
        if fits and (page.clean or all(map(is_storable, astuple(row)))):
            usual.append(row)
        else:
            others.append(place)
    return usual, others


def encode_plain(plain: PlainRows, window: Window, context: RowContext) -> Batch:
    """The batch of plain rows, in their order."""
    counts: Counter[str] = Counter()
    days = (plain.wall // DAY).astype(np.int32)
    keys = _keys(plain)
    statuses = list(
        map(context.statuses.__getitem__, zip(plain.statuses, plain.details, strict=True))
    )
    context.statuses.count_strange(zip(plain.statuses, plain.details, strict=True), counts)
    sizes = np.fromiter(map(len, plain.messages), ">i4", len(days))
    fields = zip(
        _heads(plain, days, keys, window, context, counts),
        [encoded for encoded, _ in statuses],
        sizes.view("V4").tolist(),
        plain.messages,
        context.tails.of(plain.messages),
        strict=True,
    )
    records = list(map(b"".join, fields))
    return Batch(
        days=days,
        keys=keys,
        records=records,
        hashes=np.fromiter(map(xxhash.xxh3_64_intdigest, records), np.uint64, len(records)),
        observed=[is_final for _, is_final in statuses],
        received=len(records),
        counts=counts,
    )


def _keys(plain: PlainRows) -> bytes:
    """The rows' ``sms_key``, one after the other."""
    inputs = np.empty(len(plain.wall), _KEY_INPUT)
    inputs["phone_size"] = PHONE
    inputs["phone"] = plain.phones
    inputs["second"] = plain.seconds
    inputs["second"][:, [2, 5]] = _DASH
    openings = inputs.view(f"V{_KEY_INPUT.itemsize}").tolist()
    digests = [
        sha256(opening + message).digest()
        for opening, message in zip(openings, plain.messages, strict=True)
    ]
    return _matrix(b"".join(digests), 32)[:, :KEY].tobytes()


def _heads(
    plain: PlainRows,
    days: NDArray[np.int32],
    keys: bytes,
    window: Window,
    context: RowContext,
    counts: Counter[str],
) -> list[bytes]:
    """The encoded fields ``sent_on`` to ``recipient`` of each row."""
    heads = np.empty(len(days), _HEAD)
    for name in _NAMES:
        heads[f"{name}_size"] = _HEAD[name].itemsize
    heads["sent_on"] = days
    heads["site_id"] = int(window.account.label)
    heads["sms_key"] = _matrix(keys, KEY)
    clock = context.clock(window.account.time_zone)
    heads["sent_at"] = clock.to_utc(plain.wall, counts) * MICROSECONDS
    heads["phone"] = plain.phones
    heads["phone_e164"] = e164 = _e164(plain.phones)
    heads["country"] = _COUNTRIES[plain.phones[:, 1]]
    identities = e164.view(f"V{E164}").ravel().tolist()
    recipients = pseudonyms(context.recipient_key, identities)
    heads["recipient"] = _matrix(b"".join(recipients), PSEUDONYM_SIZE)
    return heads.view(f"V{_HEAD.itemsize}").tolist()


def _e164(phones: Characters) -> Characters:
    numbers = np.empty((len(phones), E164), np.uint8)
    numbers[:, :2] = _PLUS_SEVEN
    numbers[:, 2:] = phones[:, 1:]
    return numbers


def _matrix(characters: str | bytes, width: int) -> Characters:
    if isinstance(characters, str):
        characters = characters.encode("ascii", "replace")
    return np.frombuffer(characters, np.uint8).reshape(-1, width)
