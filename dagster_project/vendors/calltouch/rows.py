"""Encode a page of Calltouch's SMS as rows of ``warehouse.calltouch_sms``.

Grain: one row for each SMS that the vendor lists, equal ones included; the loader numbers those by
``occurrence``. Key: ``sms_key``, the first 16 bytes of SHA-256 over phone, second and text as received, since the
vendor gives no id. A null phone enters the key with the length -1, and a null text as a byte that no text has, so
both differ from empty ones. A status that matures changes the row, not its key. The day is the one that the vendor
wrote, in the site's time zone.

``encode_one`` defines a row. ``vectorized_rows.py`` encodes the same bytes for whole columns of rows of the usual
form, which is nearly all of them. A row that has no readable date, or does not belong to the window, is rejected
with its characters as received. Null and absent texts are NULL: without a phone there is no recipient and no
country, without a text no template and no segments, without a status the outcome is undetermined.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import xxhash

from dagster_project.model.batch import Batch, Reject, RowEncoder
from dagster_project.model.copy_binary import (
    NULL,
    POSTGRES_EPOCH_INSTANT,
    encode_record,
    pack_length,
)
from dagster_project.model.response import Response
from dagster_project.model.window import Window, day_number
from dagster_project.text.pseudonyms import PseudonymKeys, pseudonym
from dagster_project.text.sanitize import sanitize
from dagster_project.vendors.calltouch.context import (
    NO_TEXT,
    RowContext,
    count_unknown_pairs,
    template_id,
)
from dagster_project.vendors.calltouch.instants import (
    DOCUMENTED,
    EPOCH,
    LocalClock,
    form_of,
    read_sent,
    write_wall_time,
)
from dagster_project.vendors.calltouch.outcomes import outcome_of
from dagster_project.vendors.calltouch.pages import decode_page
from dagster_project.vendors.calltouch.phones import read_number
from dagster_project.vendors.calltouch.row_by_row import (
    count_incomplete,
    decode_row_by_row,
    stored_text,
)
from dagster_project.vendors.calltouch.segments import segments_of
from dagster_project.vendors.calltouch.sms_page import PartialSms, Row, SmsPage, SmsResponse
from dagster_project.vendors.calltouch.table import TABLE
from dagster_project.vendors.calltouch.vectorized_rows import KEY, encode_plain

ONE_SECOND: Final = timedelta(seconds=1)


def row_encoder(secret: str) -> RowEncoder:
    """The encoder of pages, with pseudonyms under ``PII_HASH_KEY``; it caches values between pages."""
    return partial(to_batch, context=RowContext.from_secret(secret))


def to_batch(answer: Response, window: Window, context: RowContext) -> Batch:
    """Encode the rows of one page, those of the usual form first, and its rejects.

    Raises:
        NotSmsPage: the response has no list of rows; a client that proves its pages never yields one.
    """
    page = answer.page if isinstance(answer, SmsResponse) else decode_page(answer.body)
    batch, others = encode_plain(page, window, context)
    batch.received = page.received
    batch.rejects += page.rejects
    batch.counts.update(page.counts)
    batch.nulls.update(page.nulls)
    batch.absent.update(page.absent)
    if others:
        _add_others(batch, page, others, answer.body, window, context.keys)
    return batch


class Unplaceable(ValueError):
    """A row that belongs to no day of the window; ``day`` is the one that it has, if any.

    ``actual`` describes the form of what cannot be read.
    """

    def __init__(self, reason: str, day: date | None = None, actual: str | None = None) -> None:
        super().__init__(reason)
        self.day = day
        self.actual = actual


class EncodedRow(NamedTuple):
    day: int
    key: bytes
    record: bytes
    is_final: bool


def encode_one(row: Row, window: Window, keys: PseudonymKeys, counts: Counter[str]) -> EncodedRow:
    """Encode one row of any form.

    Raises:
        Unplaceable: it has no readable date, or is outside the window.
    """
    zone = window.account.time_zone
    sent = read_sent(row.dateSent, zone)
    if sent is None:
        raise Unplaceable(
            "unreadable dateSent", actual=f"as {form_of(row.dateSent)} instead of {DOCUMENTED}"
        )
    wall = sent.wall
    day = wall.date()
    if day not in window:
        raise Unplaceable("outside the asked window", day)
    if sent.form is not None:
        counts[f"unknown_form:dateSent is {sent.form}"] += 1
    values = {
        "sent_on": day,
        "site_id": int(window.account.label),
        "sms_key": sms_key(row.phoneNumber, wall, row.smsMessage),
        "sent_at": sent.instant or instant_of(wall, zone, counts),
        **_recipient(row.phoneNumber, keys),
        **_status(row, counts),
        **_message(row.smsMessage, counts, keys),
    }
    record = encode_record(TABLE, values, counts)
    return EncodedRow(day_number(day), values["sms_key"], record, values["is_final"])


def sms_key(phone: str | None, wall: datetime, message: str | None) -> bytes:
    """The first 16 bytes of SHA-256 over the phone's length (4 bytes), phone, ``dd-mm-yyyy HH:MM:SS`` and text.

    Phone and text are as received, in UTF-8, with lone surrogates encoded as they are. No phone: the length -1;
    no text: ``NO_TEXT``.
    """
    number = NULL
    if phone is not None:
        characters = phone.encode("utf-8", "surrogatepass")
        number = pack_length(len(characters)) + characters
    text = NO_TEXT if message is None else message.encode("utf-8", "surrogatepass")
    second = write_wall_time(wall).encode()
    return sha256(number + second + text).digest()[:KEY]


def instant_of(wall: datetime, zone: ZoneInfo, counts: Counter[str]) -> datetime:
    seconds = LocalClock(zone).read((wall - EPOCH) // ONE_SECOND, counts)
    return POSTGRES_EPOCH_INSTANT + seconds * ONE_SECOND


def _recipient(phone: str | None, keys: PseudonymKeys) -> dict[str, Any]:
    if phone is None:
        return dict.fromkeys(("phone", "phone_e164", "country", "recipient"))
    number = read_number(phone)
    identity = number.identity.encode("utf-8", "surrogatepass")
    return {
        "phone": phone,
        "phone_e164": number.e164,
        "country": number.country,
        "recipient": pseudonym(keys.recipient, identity),
    }


def _status(row: Row, counts: Counter[str]) -> dict[str, Any]:
    pair = row.smsStatus, row.smsStatusDetail
    outcome = outcome_of(*pair)
    if not outcome.known:
        count_unknown_pairs([pair], counts)
    return {
        "status": row.smsStatus,
        "status_detail": row.smsStatusDetail,
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "is_final": outcome.is_final,
    }


def _message(message: str | None, counts: Counter[str], keys: PseudonymKeys) -> dict[str, Any]:
    if message is None:
        return dict.fromkeys(("message", "template_id", "segments"))
    message = sanitize(message, counts)
    return {
        "message": message,
        "template_id": template_id(message, keys.template),
        "segments": segments_of(message),
    }


def _add_others(
    batch: Batch, page: SmsPage, others: list[int], body: bytes, window: Window, keys: PseudonymKeys
) -> None:
    """Append the rows at ``others`` that belong to the window; reject the rest with their sources."""
    encoded: list[EncodedRow] = []
    sources = page.sources
    for place in others:
        try:
            encoded.append(encode_one(page.rows[place], window, keys, batch.counts))
        except Unplaceable as reason:
            sources = sources or decode_row_by_row(body).sources
            batch.rejects.append(
                Reject(str(reason), stored_text(sources[place]), reason.day, reason.actual)
            )
            _uncount_incomplete(batch, page.rows[place], sources[place])
    records = [row.record for row in encoded]
    hashes = np.array([xxhash.xxh3_64_intdigest(record) for record in records], np.uint64)
    batch.days = np.append(batch.days, np.array([row.day for row in encoded], np.int32))
    batch.keys += b"".join([row.key for row in encoded])
    batch.records += records
    batch.hashes = np.append(batch.hashes, hashes)
    batch.observed = (batch.observed or []) + [row.is_final for row in encoded]


def _uncount_incomplete(batch: Batch, row: Row, source: bytes) -> None:
    """Uncount the missing texts of a rejected row, which is not among the loaded rows."""
    if isinstance(row, PartialSms):
        nulls: Counter[str] = Counter()
        absent: Counter[str] = Counter()
        count_incomplete(row, source, nulls, absent)
        batch.nulls -= nulls
        batch.absent -= absent
