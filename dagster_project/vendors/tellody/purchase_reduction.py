"""Reduce purchases of old days: remove card digits, invoices and payers' names.

``cardLastDigits`` and ``invoiceHistory`` become ``(reduced)``; so do ``paymentMethod`` and ``accountType``, unless
they are only a few words, such as ``Paypal``. Null stays null. A purchase without a readable day stays as it is, and
so do its rejects. Pure: no clock, no environment, no I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from struct import Struct
from typing import Any, Final

import numpy as np
import xxhash

from dagster_project.model.batch import Batch
from dagster_project.model.copy_binary import encode
from dagster_project.model.privacy import (
    REDUCED,
    Reduction,
    Values,
    reduce_reject,
    reduced_reject,
)
from dagster_project.model.window import Account, Window, day_number
from dagster_project.text.raw_json import NotJson, elements, members
from dagster_project.vendors.tellody.joda_column import normalize_column
from dagster_project.vendors.tellody.payment_page import fields_of
from dagster_project.vendors.tellody.purchase_rows import date_in
from dagster_project.vendors.tellody.purchase_table import TABLE

_WORDS: Final = re.compile(r"[^\W\d_]++(?:[ /-][^\W\d_]++){0,2}")
_LONGEST: Final = 40
_JSON: Final = json.JSONDecoder(strict=False)
_REDUCED_JSON: Final = json.dumps(REDUCED)
_length: Final = Struct(">i").unpack_from


def reduced_words(text: str) -> str:
    """Keep a text of a few words; reduce any other."""
    return text if len(text) <= _LONGEST and _WORDS.fullmatch(text) else REDUCED


_BY_COLUMN: Final[Mapping[str, Callable[[str], str]]] = {
    "payment_method": reduced_words,
    "card_last_digits": lambda text: REDUCED,
    "account_type": reduced_words,
    "invoice_history": lambda text: _REDUCED_JSON,
}
_BY_FIELD: Final[Mapping[str, Callable[[str], str]]] = {
    "paymentMethod": reduced_words,
    "cardLastDigits": lambda text: REDUCED,
    "accountType": reduced_words,
    "invoiceHistory": lambda text: REDUCED,
}


def reduce_row(values: Values, key: bytes) -> Values | None:
    """Remove personal data from a row; None: it has none."""
    changed = {
        name: _apply_unless_null(reduce, values[name]) for name, reduce in _BY_COLUMN.items()
    }
    new = {**values, **changed}
    return None if new == values else new


def _apply_unless_null(reduce: Callable[[str], str], value: str | None) -> str | None:
    return None if value is None else reduce(value)


def reduce_batch(batch: Batch, window: Window, before: date, key: bytes) -> Batch:
    """Reduce the batch's purchases and rejects of days before ``before``."""
    places = np.flatnonzero(batch.days < day_number(before)).tolist()
    batch.hashes = batch.hashes.copy()
    for at in places:
        record = _reduced_record(batch.records[at])
        batch.records[at] = record
        batch.hashes[at] = xxhash.xxh3_64_intdigest(record)
    batch.rejects = [
        reduced_reject(reject, key) if reject.day and reject.day < before else reject
        for reject in batch.rejects
    ]
    return batch


def _reduced_record(record: bytes) -> bytes:
    """Reduce an encoded record: the fields of the table's columns, each after its length (-1: NULL)."""
    fields, at = [], 0
    for column in TABLE.columns:
        end = at + 4 + max(_length(record, at)[0], 0)
        field, reduce = record[at:end], _BY_COLUMN.get(column.name)
        if reduce is not None and _length(field)[0] >= 0:
            field = encode(column.type, reduce(field[4:].decode()))
        fields.append(field)
        at = end
    return b"".join(fields)


def reduce_body(body: bytes, before: date, account: Account) -> bytes | None:
    """Reduce the purchases of earlier days in a response; None: nothing changed, or it is no such response."""
    try:
        records = elements(members(body)["data"])
    except (NotJson, KeyError):
        return None
    fields = list(map(fields_of, records))
    dated = normalize_column([date_in(slices) for slices in fields], account.time_zone)
    days = dated.days_in(account.time_zone)
    parts, kept_until = [], 0
    at = body.find(b'"data"')
    for n, (record, slices) in enumerate(zip(records, fields, strict=True)):
        at = body.find(record, at)
        day = None if n in dated.undatable else days[n]
        if day is not None and day < before and (new := _reduced_object(slices)) is not None:
            parts += [body[kept_until:at], new]
            kept_until = at + len(record)
        at += len(record)
    return b"".join([*parts, body[kept_until:]]) if parts else None


def _reduced_object(slices: Mapping[str, bytes]) -> bytes | None:
    """Reduce a purchase's JSON, with the other fields as the vendor wrote them. None: nothing changed."""
    changed = {
        name: new
        for name, reduce in _BY_FIELD.items()
        if (old := slices.get(name, b"null")) != b"null"
        and (new := _reduced_slice(reduce, old)) != old
    }
    if not changed:
        return None
    fields = {**slices, **changed}
    return b"{%b}" % b",".join(json.dumps(name).encode() + b":" + fields[name] for name in fields)


def _reduced_slice(reduce: Callable[[str], str], slice_: bytes) -> bytes:
    value: Any = None
    with suppress(ValueError, RecursionError):
        value = _JSON.decode(slice_.decode())
    new = reduce(value) if isinstance(value, str) else REDUCED
    return slice_ if new == value else json.dumps(new).encode()


REDUCTION: Final = Reduction(
    reduce_body=reduce_body,
    reduce_reject=reduce_reject,
    reduce_batch=reduce_batch,
    reduce_row=reduce_row,
)
