"""Erase and reduce Calltouch's rows, rejects and batches, and compute their pseudonyms.

``redaction.py`` does the same to pages. Existing rows are rewritten to what a load of the redacted page would
write. All erased people share one recipient.

A reduced SMS keeps everything but number, text and a status of unknown wording. NULL in ``recipient`` or
``message`` still says that there was no number or no text; ``phone`` marks the row as reduced in any case.
``sms_key`` becomes a keyed hash of itself, since the plain key could be guessed from a known text.
Pure: no clock, no environment, no I/O.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from functools import lru_cache
from itertools import chain
from struct import Struct
from typing import Final
from uuid import UUID

import numpy as np
import xxhash

from dagster_project.model.batch import Batch
from dagster_project.model.copy_binary import NULL, encode
from dagster_project.model.privacy import (
    ERASED,
    REDUCED,
    Identity,
    Personal,
    PersonalColumns,
    Reduction,
    Rules,
    Suppression,
    Values,
    reduce_reject,
    reduced_reject,
)
from dagster_project.model.window import Account, Window, day_number
from dagster_project.text.pseudonyms import PseudonymKeys, pseudonym, pseudonyms
from dagster_project.text.sanitize import NUL, NUL_SYMBOL, REPLACEMENT
from dagster_project.vendors.calltouch.context import template_id
from dagster_project.vendors.calltouch.outcomes import outcome_of
from dagster_project.vendors.calltouch.phones import read_number
from dagster_project.vendors.calltouch.redaction import (
    erased_text,
    find_in_body,
    find_in_reject,
    redact,
    redact_body,
    redact_reject,
    reduce_body,
    reduced_status,
)
from dagster_project.vendors.calltouch.rows import instant_of, sms_key
from dagster_project.vendors.calltouch.segments import segments_of
from dagster_project.vendors.calltouch.suppressed_phones import (
    identify,
    identities_of,
    own_phones,
)

_REDUCED_PHONE: Final = encode("text", REDUCED) + NULL
_REDUCED_TEXT: Final = encode("text", REDUCED)
_PHONE_AT: Final = 52
_length: Final = Struct(">i").unpack_from


def pseudonym_of(identity: Identity, keys: PseudonymKeys) -> bytes:
    """The recipient's pseudonym."""
    return pseudonym(keys.recipient, identity.number.encode("utf-8", "surrogatepass"))


def pseudonyms_of(identity: Identity, keys: PseudonymKeys) -> frozenset[bytes]:
    """The recipient's pseudonym, and those of other ways in which the number may have been read."""
    readings = [one.encode("utf-8", "surrogatepass") for one in identities_of(identity)]
    return frozenset(pseudonyms(keys.recipient, readings))


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


def erase_row(
    values: Values, account: Account, keys: PseudonymKeys, rules: Rules, gone: frozenset[bytes]
) -> Values | None:
    """Rewrite a row as a load of the redacted page would; None: nothing is to be removed.

    ``gone``: the pseudonyms of the erased recipients, by which reduced rows are recognized.
    """
    changed = dict(values)
    if _is_own(values, rules.suppression, gone):
        changed |= _erased_values(values, account, keys)
    elif values["message"] is not None:
        changed |= _mask_mentions(values, account, keys, rules.suppression)
    changed |= _mask_status(values, rules.suppression)
    if values["phone"] == REDUCED and changed["phone"] == ERASED:
        changed |= reduce_row(changed, rules.reduction_key) or {}
    return None if changed == values else changed


def _is_own(values: Values, suppression: Suppression, gone: frozenset[bytes]) -> bool:
    """Whether the SMS was sent to a suppressed number."""
    phone, recipient = values["phone"], values["recipient"]
    if phone is None or phone == ERASED:
        return False
    if phone == REDUCED:
        return recipient is not None and recipient.bytes in gone
    return bool(own_phones([phone], suppression))


def _erased_values(values: Values, account: Account, keys: PseudonymKeys) -> Values:
    """The new values of a row whose number was erased; a reduced row must be reduced again."""
    wall = _wall_time(values, account).replace(minute=0, second=0)
    message = values["message"]
    text, segments = None, values["segments"]
    if message is not None:
        segments = segments if message == REDUCED else segments_of(message)
        text = erased_text(segments)
    return {
        "phone": ERASED,
        "phone_e164": None,
        "country": None,
        "recipient": UUID(bytes=pseudonym(keys.recipient, ERASED.encode())),
        "message": text,
        "template_id": _template(text, keys),
        "segments": segments,
        "sent_at": instant_of(wall, account.time_zone, Counter()),
        "sms_key": UUID(bytes=sms_key(ERASED, wall, text)),
    }


def _mask_mentions(
    values: Values, account: Account, keys: PseudonymKeys, suppression: Suppression
) -> Values:
    """The new values of a row to somebody else whose text mentions suppressed numbers."""
    message = suppression.mask_numbers(values["message"])
    if message == values["message"]:
        return {}
    wall = _wall_time(values, account)
    phone, received = recover_original(values, wall)
    return {
        "message": message,
        "template_id": _template(message, keys),
        "segments": segments_of(message),
        "sms_key": UUID(bytes=sms_key(phone, wall, suppression.mask_numbers(received))),
    }


def _mask_status(values: Values, suppression: Suppression) -> Values:
    """The new values of status, detail and outcome, without suppressed numbers."""
    old = values["status"], values["status_detail"]
    status, detail = (None if text is None else suppression.mask_numbers(text) for text in old)
    if (status, detail) == old:
        return {}
    outcome = outcome_of(status, detail)
    return {
        "status": status,
        "status_detail": detail,
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "is_final": outcome.is_final,
    }


def recover_original(values: Values, wall: datetime) -> tuple[str | None, str]:
    """Recover a row's phone and text as the vendor wrote them, from which its key was made.

    Postgres cannot store NUL and lone surrogates; the key shows which of them the text had.
    """
    phone, message = values["phone"], values["message"]
    phones = dict.fromkeys((phone, phone and phone.replace(NUL_SYMBOL, NUL)))
    texts = chain(
        (message, message.replace(NUL_SYMBOL, NUL)),
        (
            nul.replace(REPLACEMENT, chr(surrogate))
            for nul in dict.fromkeys((message, message.replace(NUL_SYMBOL, NUL)))
            if REPLACEMENT in nul
            for surrogate in range(0xD800, 0xE000)
        ),
    )
    for text in texts:
        for written in phones:
            if sms_key(written, wall, text) == values["sms_key"].bytes:
                return written, text
    return phone, message


def _wall_time(values: Values, account: Account) -> datetime:
    wall: datetime = values["sent_at"].astimezone(account.time_zone).replace(tzinfo=None)
    return wall


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


def rekey_row(values: Values, keys: PseudonymKeys) -> Values:
    """The row's pseudonyms under another key, as far as it still has number and text."""
    if values["phone"] == REDUCED:
        return {}
    return {
        "recipient": _recipient(values["phone"], keys),
        "template_id": _template(values["message"], keys),
    }


def _template(text: str | None, keys: PseudonymKeys) -> UUID | None:
    return None if text is None else UUID(bytes=template_id(text, keys.template))


def _recipient(phone: str | None, keys: PseudonymKeys) -> UUID | None:
    if phone is None:
        return None
    number = read_number(phone).identity.encode("utf-8", "surrogatepass")
    return UUID(bytes=pseudonym(keys.recipient, number))


def shown_template(text: str) -> str | None:
    """Mask a text for loads, recounts and labels; None: the text was erased or reduced."""
    from dagster_project.vendors.calltouch.people import mask_text  # as in ``context``

    return None if text.startswith((ERASED, REDUCED)) else mask_text(text)


PERSONAL: Final = Personal(
    columns=PersonalColumns(
        phone="phone",
        person="recipient",
        texts=("message", "status", "status_detail"),
        pseudonyms={"recipient": "recipient", "template_id": "template"},
    ),
    identify=identify,
    own_phones=own_phones,
    pseudonym_of=pseudonym_of,
    pseudonyms_of=pseudonyms_of,
    redact=redact,
    redact_body=redact_body,
    redact_reject=redact_reject,
    find_in_body=find_in_body,
    find_in_reject=find_in_reject,
    erase_row=erase_row,
    rekey_row=rekey_row,
)
REDUCTION: Final = Reduction(
    reduce_body=reduce_body,
    reduce_reject=reduce_reject,
    reduce_batch=reduce_batch,
    reduce_row=reduce_row,
)
