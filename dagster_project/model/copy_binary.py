"""Encode Python values as fields of Postgres' binary COPY, and the rows of a small feed as a batch.

A field is a 4-byte length and the type's binary form, as its ``…_recv`` function reads it; NULL has
the length -1. A record is the fields of a table's ``columns`` in order. The count of fields that
begins a tuple on the wire is left to the loader, which appends fields of its own.

Nothing is rounded or guessed: a value that Postgres cannot hold exactly raises ``Unencodable``.
A vendor with millions of rows may encode them by columns itself, to the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from struct import Struct, error, pack
from typing import Any, Final
from uuid import UUID

import numpy as np
import xxhash

from dagster_project.model.batch import Batch, Reject
from dagster_project.model.table import Table
from dagster_project.model.window import day_number
from dagster_project.text.sanitize import sanitize

NULL: Final = b"\xff\xff\xff\xff"
TRUE: Final = b"\x00\x00\x00\x01\x01"
FALSE: Final = b"\x00\x00\x00\x01\x00"
POSTGRES_EPOCH_INSTANT: Final = datetime(2000, 1, 1, tzinfo=UTC)

pack_length: Final = Struct(">i").pack
pack_smallint: Final = Struct(">ih").pack
pack_integer: Final = Struct(">ii").pack
pack_bigint: Final = Struct(">iq").pack

_INTEGERS: Final = {
    "smallint": (pack_smallint, 2),
    "int": (pack_integer, 4),
    "integer": (pack_integer, 4),
    "bigint": (pack_bigint, 8),
}
_NUMERIC_NEGATIVE: Final = 0x4000
_NUMERIC_MAX_SCALE: Final = 0x3FFF
_NUMERIC_MAX_WHOLE_DIGITS: Final = 131072
_MICROSECOND: Final = timedelta(microseconds=1)


class Unencodable(ValueError):
    """A value that the column's type cannot hold exactly. The message does not quote it."""


def encode(type_name: str, value: Any) -> bytes:
    """Encode one field: the length and the binary form of ``value`` as ``type_name``; ``None`` is NULL.

    Raises:
        Unencodable: the value is of the wrong kind, or out of the type's range.
    """
    if value is None:
        return NULL
    if type_name in _INTEGERS:
        return _encode_integer(type_name, value)
    return _ENCODERS[type_name](value)


def _encode_integer(type_name: str, value: Any) -> bytes:
    if type(value) is not int:
        raise Unencodable(f"{type_name}: not a whole number but {type(value).__name__}")
    pack, size = _INTEGERS[type_name]
    try:
        return pack(size, value)
    except error:
        raise Unencodable(f"{type_name}: out of range") from None


def encode_text(value: str) -> bytes:
    if not isinstance(value, str):
        raise Unencodable(f"text: not a text but {type(value).__name__}")
    if "\x00" in value:
        raise Unencodable("text: holds NUL")
    try:
        payload = value.encode()
    except UnicodeEncodeError:
        raise Unencodable("text: holds a lone surrogate") from None
    return pack_length(len(payload)) + payload


def encode_boolean(value: bool) -> bytes:
    if type(value) is not bool:
        raise Unencodable(f"boolean: not a truth value but {type(value).__name__}")
    return TRUE if value else FALSE


def encode_date(value: date) -> bytes:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise Unencodable(f"date: not a day but {type(value).__name__}")
    return pack_integer(4, day_number(value))


def encode_timestamptz(value: datetime) -> bytes:
    """Encode as microseconds since 2000-01-01 00:00 UTC; ``value`` must have a UTC offset."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise Unencodable("timestamptz: not an instant with an offset")
    return pack_bigint(8, (value - POSTGRES_EPOCH_INSTANT) // _MICROSECOND)


def encode_uuid(value: UUID | bytes) -> bytes:
    payload = value.bytes if isinstance(value, UUID) else value
    if not isinstance(payload, bytes) or len(payload) != 16:
        raise Unencodable("uuid: not 16 bytes")
    return b"\x00\x00\x00\x10" + payload


def encode_numeric(value: Decimal | int) -> bytes:
    """Encode as base-10000 digits with weight, sign and scale, exactly, trailing zeros included.

    Postgres holds at most 131,072 digits before the point and 16,383 after it. A positive exponent
    is written out (``1E+3`` becomes ``1000``). NaN, infinities and binary floats are refused.
    """
    if type(value) is int:
        value = Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite():
        raise Unencodable("numeric: not a finite decimal")
    negative, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    if len(digits) <= 20 and -20 <= exponent <= 20:
        return _encode_short_numeric(negative, digits, exponent)
    return _encode_numeric(negative, digits, exponent)


def _encode_numeric(negative: int, digits: tuple[int, ...], exponent: int) -> bytes:
    scale = max(-exponent, 0)
    if scale > _NUMERIC_MAX_SCALE or (
        digits != (0,) and len(digits) + exponent > _NUMERIC_MAX_WHOLE_DIGITS
    ):
        raise Unencodable("numeric: out of range")
    if digits == (0,):
        return pack(">iHhHH", 8, 0, 0, 0, scale)
    first, groups = _base_10000("".join(map(str, digits)), exponent)
    sign = _NUMERIC_NEGATIVE if negative else 0
    count = len(groups)
    return pack(f">iHhHH{count}H", 8 + 2 * count, count, first, sign, scale, *groups)


# Prices repeat. Not keyed by the Decimal itself: 4.9 equals 4.90, and shows one digit less.
_encode_short_numeric = lru_cache(maxsize=4096)(_encode_numeric)


def _base_10000(digits: str, exponent: int) -> tuple[int, list[int]]:
    """The weight of the first group and the groups of ``digits`` × 10^``exponent``."""
    digits += "0" * (exponent % 4)
    last_weight = exponent // 4
    digits = "0" * (-len(digits) % 4) + digits
    groups = [int(digits[at : at + 4]) for at in range(0, len(digits), 4)]
    return last_weight + len(groups) - 1, groups


_ENCODERS: Final[dict[str, Callable[[Any], bytes]]] = {
    "text": encode_text,
    "json": encode_text,
    "boolean": encode_boolean,
    "date": encode_date,
    "timestamptz": encode_timestamptz,
    "uuid": encode_uuid,
    "numeric": encode_numeric,
}


def encode_batch(
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    key_of: Callable[[Mapping[str, Any]], bytes],
    originals: Sequence[str] | None = None,
) -> Batch:
    """Encode the rows of a small feed, each a mapping by the names of ``table.columns``.

    ``key_of`` returns the row's 16-byte key, as ``table.key_sql`` computes it. Texts are sanitized.
    A row that cannot be encoded becomes a reject with its text from ``originals``; without
    ``originals``, ``Unencodable`` is raised.
    """
    days: list[int] = []
    keys: list[bytes] = []
    records: list[bytes] = []
    rejects: list[Reject] = []
    counts: Counter[str] = Counter()
    for number, row in enumerate(rows):
        try:
            record = encode_record(table, row, counts)
        except Unencodable as reason:
            if originals is None:
                raise
            rejects.append(Reject(str(reason), originals[number], row[table.day_column]))
            continue
        days.append(day_number(row[table.day_column]))
        keys.append(key_of(row))
        records.append(record)
    return Batch(
        days=np.array(days, dtype=np.int32),
        keys=b"".join(keys),
        records=records,
        hashes=np.array([xxhash.xxh3_64_intdigest(record) for record in records], np.uint64),
        received=len(rows),
        rejects=rejects,
        counts=counts,
    )


def encode_record(table: Table, row: Mapping[str, Any], counts: Counter[str]) -> bytes:
    """Encode the fields of ``table.columns``, texts sanitized; an error names the column."""
    fields: list[bytes] = []
    for column in table.columns:
        value = row[column.name]
        if isinstance(value, str):
            value = sanitize(value, counts)
        try:
            fields.append(encode(column.type, value))
        except Unencodable as reason:
            raise Unencodable(f"{column.name}: {reason}") from None
    return b"".join(fields)
