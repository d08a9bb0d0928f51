"""Remove numbers and texts of old days from Calltouch's pages, rows and batches.

A reduced SMS keeps everything but number, text and a status of unknown wording. NULL in ``recipient`` or
``message`` still says that there was no number or no text; ``phone`` marks the row as reduced in any case.
``sms_key`` becomes a keyed hash of itself, since the plain key could be guessed from a known text.
Pure: no clock, no environment, no I/O.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from struct import Struct
from typing import Any, Final
from uuid import UUID

import numpy as np
import xxhash

from dagster_project.model.batch import Batch
from dagster_project.model.copy_binary import NULL, encode
from dagster_project.model.privacy import (
    REDUCED,
    Reduction,
    Values,
    reduce_reject,
    reduced_reject,
)
from dagster_project.model.window import Account, Window, day_number
from dagster_project.text.pseudonyms import pseudonym, pseudonyms
from dagster_project.vendors.calltouch.instants import latest_day
from dagster_project.vendors.calltouch.outcomes import is_known
from dagster_project.vendors.calltouch.redaction import (
    dump_json,
    parse_utf8_json,
    rewrite_elements,
)
from dagster_project.vendors.calltouch.sms_page import (
    NotSmsPage,
)


def _day_of(value: Any) -> date | None:
    """The day of an element; the later one if it may be on either of two."""
    written = value.get("dateSent") if isinstance(value, dict) else None
    return latest_day(written) if isinstance(written, str) else None


def reduced_status(text: str | None) -> str | None:
    """Reduce a status or its detail: a wording that is not the vendor's may be about a person."""
    return text if text is None or is_known(text) else REDUCED


def reduce_body(body: bytes, before: date, account: Account) -> bytes | None:
    """Remove number and text from a page's SMS of earlier days, and from those without a day.

    A null text stays null. A null number is replaced like any other, which marks the SMS as reduced.
    """

    def change(source: bytes) -> bytes | None:
        value = parse_utf8_json(source)
        day = _day_of(value)
        if day is None:
            return dump_json(REDUCED)
        if day >= before or value.get("phoneNumber") == REDUCED:
            return None
        kept = {"dateSent": value["dateSent"]}
        for key in ("smsStatus", "smsStatusDetail"):
            status = value.get(key)
            # A status that is no text becomes a number, so that the record is rejected as before.
            kept[key] = reduced_status(status) if isinstance(status, str | None) else 0
        text = None if value.get("smsMessage") is None else REDUCED
        return dump_json({"phoneNumber": REDUCED, **kept, "smsMessage": text})

    try:
        return rewrite_elements(body, change)
    except NotSmsPage:
        return None


_REDUCED_PHONE: Final = encode("text", REDUCED) + NULL
_REDUCED_TEXT: Final = encode("text", REDUCED)
_PHONE_AT: Final = 52
_length: Final = Struct(">i").unpack_from


def reduce_batch(batch: Batch, window: Window, before: date, key: bytes) -> Batch:
    """Reduce the batch's rows and rejects of days before ``before``."""
    is_old = batch.days < day_number(before)
    places = np.flatnonzero(is_old)
    old_keys = np.frombuffer(batch.keys, "V16")
    new_keys = pseudonyms(key, old_keys[places].tolist())
    changed = list(map(_reduced_record, [batch.records[at] for at in places.tolist()], new_keys))
    new_hashes = np.fromiter(map(xxhash.xxh3_64_intdigest, changed), np.uint64, len(changed))
    keys, batch.hashes = old_keys.copy(), batch.hashes.copy()
    keys[places] = np.frombuffer(b"".join(new_keys), "V16")
    batch.keys, batch.hashes[places] = keys.tobytes(), new_hashes
    for at, record in zip(places.tolist(), changed, strict=True):
        batch.records[at] = record
    batch.rejects = [
        reduced_reject(reject, key) if (reject.day or window.first_day) < before else reject
        for reject in batch.rejects
    ]
    return batch


def _reduced_record(record: bytes, new_key: bytes) -> bytes:
    """Reduce an encoded record. Up to ``sent_at`` its fields have fixed positions; then follow phone, E.164,
    country, recipient, four of status, ``is_final``, text, template and segments, each after its length
    (-1: NULL)."""

    def after(at: int, fields: int) -> int:
        for _ in range(fields):
            at += 4 + max(_length(record, at)[0], 0)
        return at

    country = after(_PHONE_AT, 2)
    status = after(country, 2)
    detail = after(status, 1)
    outcome = after(detail, 1)
    text = after(outcome, 3)
    rest = after(text, 1)
    reduced_text = NULL if record[text : text + 4] == NULL else _REDUCED_TEXT
    return b"".join(
        (
            record[:24],
            new_key,
            record[40:_PHONE_AT],
            _REDUCED_PHONE,
            record[country:status],
            _reduced_field(record[status:detail]),
            _reduced_field(record[detail:outcome]),
            record[outcome:text],
            reduced_text,
            record[rest:],
        )
    )


@lru_cache(maxsize=4096)
def _reduced_field(field: bytes) -> bytes:
    """Reduce an encoded status or detail."""
    return field if field == NULL else encode("text", reduced_status(field[4:].decode()))


def reduce_row(values: Values, key: bytes) -> Values | None:
    """Remove number and text from a row; None: it is already reduced."""
    if values["phone"] == REDUCED:
        return None
    return {
        **values,
        "phone": REDUCED,
        "phone_e164": None,
        "status": reduced_status(values["status"]),
        "status_detail": reduced_status(values["status_detail"]),
        "message": None if values["message"] is None else REDUCED,
        "sms_key": UUID(bytes=pseudonym(key, values["sms_key"].bytes)),
    }


REDUCTION: Final = Reduction(
    reduce_body=reduce_body,
    reduce_reject=reduce_reject,
    reduce_batch=reduce_batch,
    reduce_row=reduce_row,
)
