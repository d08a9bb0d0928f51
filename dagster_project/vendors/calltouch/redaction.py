"""Pages of Calltouch's SMS without personal data: of erased people, or of days that have grown old.

An SMS to an erased number keeps its day, hour, status and segments: ``phoneNumber`` and text become
``(erased)``, the text with as many points after it as make it cost what it did, and the second is cut to
the hour; a text that is null stays null. Where an erased number stands in the text of an SMS to somebody else, its digits become 0. Rows
are made of the page as it is then, so they and their keys are the same at every load and replay.

Pure: no clock, no environment, no I/O.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date
from typing import Any, Final

from dagster_project.model import Answer
from dagster_project.privacy import ERASED, REDUCED, Suppression
from dagster_project.storable import storable
from dagster_project.vendors.calltouch.instants import cut_to_hour, latest_day
from dagster_project.vendors.calltouch.pages import (
    BOM,
    KEYS,
    NotAPage,
    Page,
    decode_page,
    places_of_rows,
)
from dagster_project.vendors.calltouch.phones import COUNTRY_OF_SECOND_DIGIT, read_number
from dagster_project.vendors.calltouch.segments import segments_of

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
    numbers = [_identity(row.phoneNumber or "") for row in rows]
    own = suppression.among(set(numbers))
    suspects = {place for place, number in enumerate(numbers) if number in own} if own else set()
    for texts in (
        [row.smsMessage or "" for row in rows],
        [(row.smsStatus or "") + _APART + (row.smsStatusDetail or "") for row in rows],
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
    sent = value.get("dateSent")
    hour = cut_to_hour(sent) if isinstance(sent, str) else None
    if hour is not None:
        kept["dateSent"] = hour
    if isinstance(value.get("smsMessage"), str):
        kept["smsMessage"] = erased_text(segments_of(storable(value["smsMessage"], Counter())))
    elif value.get("smsMessage") is not None:
        kept["smsMessage"] = 0  # no text, and set aside as it was
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


def _day_of(value: Any) -> date | None:
    """The day of an element, or the one after it where it may lie on either."""
    written = value.get("dateSent") if isinstance(value, dict) else None
    return latest_day(written) if isinstance(written, str) else None


def redact_reject(original: str, suppression: Suppression) -> str | None:
    """A rejected record as the redacted page would have it; None where it holds no such number."""
    changed = _redact_source(original.encode("utf-8", "surrogatepass"), suppression)
    return None if changed is None else changed.decode()


def reduce_body(body: bytes, before: date) -> bytes | None:
    """A page in which SMS of earlier days, and such of no day, are without number and text.

    A text that is null stays null; a number that is null becomes as the others, which marks the SMS.
    """

    def change(source: bytes) -> bytes | None:
        value = _read(source)
        day = _day_of(value)
        if day is None:
            return _written(REDUCED)
        if day >= before or value.get("phoneNumber") == REDUCED:
            return None
        kept = {key: value.get(key) for key in ("dateSent", "smsStatus", "smsStatusDetail")}
        text = None if value.get("smsMessage") is None else REDUCED
        return _written({"phoneNumber": REDUCED, **kept, "smsMessage": text})

    try:
        return _rewritten(body, change)
    except NotAPage:
        return None
