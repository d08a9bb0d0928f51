"""Erase people from Calltouch's rows, and compute their pseudonyms.

``redaction.py`` does the same to pages. Existing rows are rewritten to what a load of the redacted page would
write. All erased people share one recipient.
Pure: no clock, no environment, no I/O.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import chain
from typing import Final
from uuid import UUID

from dagster_project.model.privacy import (
    ERASED,
    REDUCED,
    Identity,
    Personal,
    PersonalColumns,
    Rules,
    Suppression,
    Values,
)
from dagster_project.model.window import Account
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
)
from dagster_project.vendors.calltouch.reduction import reduce_row
from dagster_project.vendors.calltouch.rows import instant_of, sms_key
from dagster_project.vendors.calltouch.segments import segments_of
from dagster_project.vendors.calltouch.suppressed_phones import (
    identify,
    identities_of,
    own_phones,
)


def pseudonym_of(identity: Identity, keys: PseudonymKeys) -> bytes:
    """The recipient's pseudonym."""
    return pseudonym(keys.recipient, identity.number.encode("utf-8", "surrogatepass"))


def pseudonyms_of(identity: Identity, keys: PseudonymKeys) -> frozenset[bytes]:
    """The recipient's pseudonym, and those of other ways in which the number may have been read."""
    readings = [one.encode("utf-8", "surrogatepass") for one in identities_of(identity)]
    return frozenset(pseudonyms(keys.recipient, readings))


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
