"""Calltouch's personal data taken out: of pages, rows and rejects, for good or because of their age.

An SMS to an erased number keeps its day, hour, status and segments: ``phone`` and text become
``(erased)``, the text with as many points after it as make it cost what it did; the second is cut to
the hour; the recipient is the one that all erased share. Where an erased number
stands in the text of an SMS to somebody else, its digits become 0. Either is done to the page, so that
the rows made of it, and their keys, are the same at every load and replay.

A reduced SMS keeps all but number and text; ``sms_key`` becomes a keyed hash of itself, since the plain
one could be guessed from a known text. Pure: no clock, no environment, no I/O.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date, datetime
from struct import Struct
from typing import Any, Final
from uuid import UUID

import numpy as np
import xxhash

from dagster_project.copy_binary import NULL, encode
from dagster_project.model import Account, Answer, Batch, Reject, Window, day_number
from dagster_project.privacy import (
    ERASED,
    REDUCED,
    Identity,
    Personal,
    Rules,
    Suppression,
    Values,
    identity_of,
)
from dagster_project.pseudonym import pseudonym, pseudonyms
from dagster_project.storable import storable
from dagster_project.vendors.calltouch.context import RowContext, template_id
from dagster_project.vendors.calltouch.instants import read_wall_time, write_wall_time
from dagster_project.vendors.calltouch.pages import (
    BOM,
    KEYS,
    NotAPage,
    Page,
    decode_page,
    places_of_rows,
)
from dagster_project.vendors.calltouch.phones import COUNTRY_OF_SECOND_DIGIT, read_number
from dagster_project.vendors.calltouch.rows import instant_of, sms_key
from dagster_project.vendors.calltouch.segments import segments_of
from dagster_project.vendors.calltouch.templates import template_of

_REDUCED_PHONE: Final = encode("text", REDUCED) + NULL
_REDUCED_TEXT: Final = encode("text", REDUCED)
_PHONE_AT: Final = 52
_FIXED_RECIPIENT: Final = 20
_FIXED_FINAL: Final = 5
_length: Final = Struct(">i").unpack_from
_JSON: Final = json.JSONDecoder(strict=False)
_APART: Final = "\n\x00\n\x00"
"""More than can stand between two digits of a number."""
_PLAIN_STARTS: Final = frozenset(
    first + second for first in "78" for second in COUNTRY_OF_SECOND_DIGIT
)

_ONE_SEGMENT: Final = 160
_MORE_SEGMENTS: Final = 153
"""Characters of GSM-7 that a text of one segment holds, and each segment of a longer one."""
_Change = Callable[[bytes], bytes | None]


def erased_text(segments: int) -> str:
    """What stands for the text of an SMS to an erased number."""
    if segments < 2:
        return ERASED
    return ERASED.ljust(max(_MORE_SEGMENTS * (segments - 1), _ONE_SEGMENT) + 1, ".")


def identify(typed: str) -> Identity | None:
    """The number that a person typed in any mask; None where it cannot be one."""
    if sum(letter.isdigit() for letter in typed) < 5:
        return None
    return identity_of(read_number(typed.strip()).identity)


def pseudonym_of(identity: Identity, context: RowContext) -> bytes:
    """The recipient's pseudonym."""
    return pseudonym(context.recipient_key, identity.number.encode("utf-8", "surrogatepass"))


def redact(answer: Answer, suppression: Suppression) -> Answer:
    """The answer without suppressed numbers; itself, where it has none."""
    page = answer.decoded if isinstance(answer.decoded, Page) else None
    body = _redacted(answer.body, page, suppression)
    return answer if body is None else replace(answer, body=body, decoded=None)


def redact_body(body: bytes, suppression: Suppression) -> bytes | None:
    """A page without suppressed numbers; None, where it has none."""
    return _redacted(body, None, suppression)


def _redacted(body: bytes, page: Page | None, suppression: Suppression) -> bytes | None:
    try:
        page = page or decode_page(body)
    except NotAPage:
        return None
    suspects = _suspects(page, suppression)
    if not suspects:
        return None
    return _rewritten(body, lambda source: _redact_source(source, suppression), suspects)


def _suspects(page: Page, suppression: Suppression) -> Collection[int]:
    """Places of elements that hold a suppressed number; all, where the page is not of the usual form."""
    rows = page.rows
    if page.rejects or page.sources:
        return range(page.received)
    numbers = [_identity(row.phoneNumber) for row in rows]
    own = suppression.among(set(numbers))
    suspects = {place for place, number in enumerate(numbers) if number in own} if own else set()
    for texts in (
        [row.smsMessage for row in rows],
        [row.smsStatus + _APART + row.smsStatusDetail for row in rows],
    ):
        if suppression.occurs_in(_APART.join(set(texts))):
            suspects |= {at for at, text in enumerate(texts) if suppression.occurs_in(text)}
    return suspects


def _identity(phone: str) -> str:
    """What ``read_number`` says, at once for nearly all."""
    if len(phone) == 11 and phone[:2] in _PLAIN_STARTS and phone.isascii() and phone.isdecimal():
        return f"+7{phone[1:]}"
    return read_number(phone).identity


def _rewritten(
    body: bytes, change: _Change, suspects: Collection[int] | None = None
) -> bytes | None:
    """The page with those elements changed for which ``change`` has something; None: for none."""
    body = body.removeprefix(BOM)
    parts: list[bytes] = []
    kept_until = 0
    for place, (start, end) in enumerate(places_of_rows(body)):
        new = change(body[start:end]) if suspects is None or place in suspects else None
        if new is not None:
            parts += [body[kept_until:start], new]
            kept_until = end
    return b"".join([*parts, body[kept_until:]]) if parts else None


def _redact_source(source: bytes, suppression: Suppression) -> bytes | None:
    value = _read(source)
    if value is None:
        text = source.decode("utf-8", "replace")
        return _written(ERASED) if suppression.occurs_in(text) else None
    changed = _redact_value(value, suppression)
    return None if changed == value else _written(changed)


def _redact_value(value: Any, suppression: Suppression) -> Any:
    """One element of a page: erased, where it is the person's own; else with the number taken out."""
    number = value.get("phoneNumber") if isinstance(value, dict) else None
    if isinstance(number, str | int) and suppression.has(read_number(str(number)).identity):
        return _erased(value, suppression)
    return _scrubbed(value, suppression)


def _erased(value: dict[str, Any], suppression: Suppression) -> dict[str, Any]:
    kept = {key: _scrubbed(value[key], suppression) for key in KEYS if key in value}
    kept["phoneNumber"] = ERASED if isinstance(value["phoneNumber"], str) else 0
    wall = _wall_of(value)
    if wall is not None:
        kept["dateSent"] = write_wall_time(wall.replace(minute=0, second=0))
    if isinstance(value.get("smsMessage"), str):
        kept["smsMessage"] = erased_text(segments_of(storable(value["smsMessage"], Counter())))
    elif "smsMessage" in value:
        kept["smsMessage"] = None
    return kept


def _scrubbed(value: Any, suppression: Suppression) -> Any:
    if isinstance(value, str):
        return suppression.without(value)
    if isinstance(value, dict):
        return {
            suppression.without(key): _scrubbed(item, suppression) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_scrubbed(item, suppression) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return 0 if suppression.occurs_in(str(value)) else value


def _read(source: bytes) -> Any:
    """The element as JSON; None where it is no such thing, or not UTF-8."""
    try:
        return _JSON.decode(source.decode())
    except (ValueError, RecursionError):
        return None


def _written(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _wall_of(value: Any) -> datetime | None:
    written = value.get("dateSent") if isinstance(value, dict) else None
    return read_wall_time(written) if isinstance(written, str) else None


def redact_reject(original: str, suppression: Suppression) -> str | None:
    """A rejected record as the redacted page would have it; None where it holds no such number."""
    changed = _redact_source(original.encode("utf-8", "surrogatepass"), suppression)
    return None if changed is None else changed.decode()


def reduce_body(body: bytes, before: date) -> bytes | None:
    """A page in which SMS of earlier days, and such of no day, are without number and text."""

    def change(source: bytes) -> bytes | None:
        value = _read(source)
        wall = _wall_of(value)
        if wall is None:
            return _written(REDUCED)
        if wall.date() >= before or value.get("phoneNumber") == REDUCED:
            return None
        kept = {key: value.get(key) for key in ("dateSent", "smsStatus", "smsStatusDetail")}
        return _written({"phoneNumber": REDUCED, **kept, "smsMessage": REDUCED})

    try:
        return _rewritten(body, change)
    except NotAPage:
        return None


def reduce_reject(original: str, key: bytes) -> str | None:
    """What stands for a rejected record; its hash still tells it from others. None: it is reduced."""
    if original.startswith("(reduced "):
        return None
    return f"(reduced {pseudonym(key, original.encode('utf-8', 'surrogatepass')).hex()})"


def reduce_batch(batch: Batch, window: Window, before: date, key: bytes) -> Batch:
    """The batch with the rows of days before ``before`` reduced, rejects too."""
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
        _reduced_reject(reject, key) if (reject.day or window.first_day) < before else reject
        for reject in batch.rejects
    ]
    return batch


def _reduced_reject(reject: Reject, key: bytes) -> Reject:
    return replace(reject, original=reduce_reject(reject.original, key) or reject.original)


def _reduced_record(record: bytes, new_key: bytes) -> bytes:
    """Fields of fixed places up to ``sent_at``; then phone, E.164, country, recipient, four of status,
    ``is_final``, text, template and segments, each with its length before it."""
    at = _PHONE_AT
    at += 4 + _length(record, at)[0]
    at += 4 + max(_length(record, at)[0], 0)
    middle = at
    at += 4 + max(_length(record, at)[0], 0) + _FIXED_RECIPIENT
    at += 4 + _length(record, at)[0]
    at += 4 + _length(record, at)[0]
    at += 4 + _length(record, at)[0]
    at += 4 + max(_length(record, at)[0], 0) + _FIXED_FINAL
    rest = at + 4 + _length(record, at)[0]
    head, kept, tail = record[40:_PHONE_AT] + _REDUCED_PHONE, record[middle:at], record[rest:]
    return record[:24] + new_key + head + kept + _REDUCED_TEXT + tail


def erase_row(
    values: Values, account: Account, context: RowContext, rules: Rules, gone: frozenset[bytes]
) -> Values | None:
    """A row as a load of the redacted page would write it; None where nothing is to be taken out.

    ``gone``: pseudonyms of the erased recipients, by which reduced rows are known.
    """
    phone, reduced = values["phone"], values["phone"] == REDUCED
    wall = values["sent_at"].astimezone(account.time_zone).replace(tzinfo=None)
    if values["recipient"].bytes in gone:
        if phone == ERASED:
            return None
        wall, text = wall.replace(minute=0, second=0), erased_text(values["segments"])
        erased = {
            **values,
            "phone": ERASED,
            "phone_e164": None,
            "country": None,
            "recipient": UUID(bytes=pseudonym(context.recipient_key, ERASED.encode())),
            "message": text,
            "template_id": _template(text, context),
            "sent_at": instant_of(wall, account.time_zone, context, Counter()),
            "sms_key": UUID(bytes=sms_key(ERASED, wall, text)),
        }
        return reduce_row(erased, rules.reduction_key) if reduced else erased
    if reduced:
        return None
    message = rules.suppression.without(values["message"])
    if message == values["message"]:
        return None
    return {
        **values,
        "message": message,
        "sms_key": UUID(bytes=sms_key(phone, wall, message)),
    }


def reduce_row(values: Values, key: bytes) -> Values | None:
    """A row without number and text; None where it has none any more."""
    if values["phone"] == REDUCED:
        return None
    return {
        **values,
        "phone": REDUCED,
        "phone_e164": None,
        "message": REDUCED,
        "sms_key": UUID(bytes=pseudonym(key, values["sms_key"].bytes)),
    }


def rekey_row(values: Values, context: RowContext) -> Values:
    """The row's pseudonyms under another key, as far as number and text are still there."""
    if values["phone"] == REDUCED:
        return {}
    return {
        "recipient": _recipient(values["phone"], context),
        "template_id": _template(values["message"], context),
    }


def _template(text: str, context: RowContext) -> UUID | None:
    key = context.template_key
    return None if key is None else UUID(bytes=template_id(text, key))


def _recipient(phone: str, context: RowContext) -> UUID:
    number = read_number(phone).identity
    return UUID(bytes=pseudonym(context.recipient_key, number.encode("utf-8", "surrogatepass")))


def shown_template(text: str) -> str | None:
    """The template of a text; None where the text was taken out."""
    return None if text.startswith((ERASED, REDUCED)) else template_of(text)


PERSONAL: Final = Personal(
    identify=identify,
    pseudonym_of=pseudonym_of,
    redact=redact,
    redact_body=redact_body,
    redact_reject=redact_reject,
    reduce_body=reduce_body,
    reduce_reject=reduce_reject,
    reduce_batch=reduce_batch,
    erase_row=erase_row,
    reduce_row=reduce_row,
    rekey_row=rekey_row,
)
