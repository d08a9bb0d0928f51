"""Remove erased people from pages of Calltouch's SMS, and find what pages hold of them.

An SMS to an erased number keeps its day, hour, status and segments. ``phoneNumber`` and text become ``(erased)``;
points are added to the text until it has as many segments as before; minute and second become 0; a null text
stays null. In an SMS to somebody else, the digits of an erased number become 0. Rows are encoded from the
redacted page, so rows and keys are the same at every load and replay.

Pure: no clock, no environment, no I/O.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Final

from dagster_project.model.privacy import ERASED, Occurrences, Suppression
from dagster_project.model.response import Response
from dagster_project.text.sanitize import sanitize
from dagster_project.text.written_numbers import join_texts
from dagster_project.vendors.calltouch.instants import cut_to_hour
from dagster_project.vendors.calltouch.pages import decode_page
from dagster_project.vendors.calltouch.row_by_row import row_spans
from dagster_project.vendors.calltouch.segments import segments_of
from dagster_project.vendors.calltouch.sms_page import (
    BOM,
    KEYS,
    NotJson,
    NotSmsPage,
    SmsPage,
    SmsResponse,
)
from dagster_project.vendors.calltouch.suppressed_phones import own_phones

_JSON: Final = json.JSONDecoder(strict=False)
_JSON_TEXT: Final = re.compile(r'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)"', re.DOTALL)
_JSON_TOKEN: Final = re.compile(_JSON_TEXT.pattern + r"|-?[0-9][0-9.eE+-]*+", re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NO_BYTE: Final = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Lone surrogates that do not stand for an undecodable byte."""
_ESCAPED: Final = re.compile(r"\\+u([0-9A-Fa-f]{4})")
_DATE: Final = re.compile(r"[0-9]{2}-[0-9]{2}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_ONE_SEGMENT: Final = 160
_MORE_SEGMENTS: Final = 153
"""GSM-7 characters in a text of one segment, and in each segment of a longer text."""
_Change = Callable[[bytes], bytes | None]


def erased_text(segments: int) -> str:
    """The replacement for the text of an SMS to an erased number, with the same segments."""
    if segments < 2:
        return ERASED
    return ERASED.ljust(max(_MORE_SEGMENTS * (segments - 1), _ONE_SEGMENT) + 1, ".")


def redact(answer: Response, suppression: Suppression) -> Response:
    """Remove suppressed numbers from a response; returns the same response if it has none."""
    page = answer.page if isinstance(answer, SmsResponse) else None
    body = _redact_page(answer.body, page, suppression)
    return answer if body is None else replace(Response(**answer.values()), body=body)


def redact_body(body: bytes, suppression: Suppression) -> bytes | None:
    """Remove suppressed numbers from a page; None: it has none."""
    return _redact_page(body, None, suppression)


def _redact_page(body: bytes, page: SmsPage | None, suppression: Suppression) -> bytes | None:
    try:
        page = page or decode_page(body)
    except NotSmsPage as error:
        if isinstance(error, NotJson):
            redacted = _to_bytes(suppression.mask_numbers(_to_text(body)))
        else:
            redacted = _redact_rest(body, suppression)
        return None if redacted == body else redacted
    body = body.removeprefix(BOM)
    suspects = _suspect_elements(page, body, suppression)
    if not (suspects or suppression.occurs_in(*_texts_around(body))):
        return None
    return rewrite_elements(
        body,
        lambda source: _redact_source(source, suppression),
        suspects,
        lambda around: _redact_rest(around, suppression),
    )


def _find_suspects(page: SmsPage, suppression: Suppression) -> Collection[int]:
    """Find the page's rows with a suppressed number; all rows, if some have unknown keys."""
    rows = page.rows
    if any(name.startswith("unknown_key") for name in page.counts):
        return range(len(rows))
    phones = [row.phoneNumber or "" for row in rows]
    own = own_phones(set(phones), suppression)
    suspects = {at for at, phone in enumerate(phones) if phone in own} if own else set()
    for texts in (
        [row.smsMessage or "" for row in rows],
        [join_texts((row.smsStatus or "", row.smsStatusDetail or "")) for row in rows],
        ["" if _DATE.fullmatch(row.dateSent) else row.dateSent for row in rows],
    ):
        if suppression.occurs_in(*set(texts)):
            suspects |= {at for at, text in enumerate(texts) if suppression.occurs_in(text)}
    return suspects


def _suspect_elements(page: SmsPage, body: bytes, suppression: Suppression) -> Collection[int]:
    """The elements of the page that may have a suppressed number, by their place: all that could not be read, too."""
    suspects = _find_suspects(page, suppression)
    if not (page.sources or page.rejects):
        return suspects
    found, number = set(), 0
    for place, (start, end) in enumerate(row_spans(body)):
        if number < len(page.sources) and body[start:end] == page.sources[number]:
            if number in suspects:
                found.add(place)
            number += 1
        else:
            found.add(place)
    return found


def _texts_around(body: bytes) -> list[str]:
    """The texts before a page's list, and after the last key of its last element."""
    last_key = max(body.rfind(b'"%b"' % key.encode()) for key in KEYS)
    texts = body[: body.find(b"smsDetails")], body[last_key:]
    return [text.decode("utf-8", "replace") for text in texts]


def _redact_rest(body: bytes, suppression: Suppression) -> bytes:
    """Mask suppressed numbers in the texts outside of a page's elements; totals stay."""
    return _to_bytes(_mask_tokens(_to_text(body), suppression, _JSON_TEXT))


def _mask_tokens(written: str, suppression: Suppression, tokens: re.Pattern[str]) -> str:
    """Mask suppressed numbers in these tokens of a JSON text; the rest stays as it was written."""
    return tokens.sub(lambda match: _mask_token(match[0], suppression), written)


def _mask_token(written: str, suppression: Suppression) -> str:
    try:
        value = _JSON.decode(written)
    except ValueError:
        return suppression.mask_numbers(written)
    if not isinstance(value, str):
        return "0" if suppression.occurs_in(_digits_of(value)) else written
    changed = suppression.mask_numbers(value)
    if changed == value:
        return written
    lone = _NO_BYTE if _SURROGATE.search(written) else _SURROGATE
    return lone.sub(_escape, json.dumps(changed, ensure_ascii=False))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _to_text(source: bytes) -> str:
    """Decode a source; a byte that is not UTF-8 becomes a lone surrogate, which ``_to_bytes`` converts back."""
    return source.decode("utf-8", "surrogateescape")


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def rewrite_elements(
    body: bytes,
    change: _Change,
    suspects: Collection[int] | None = None,
    around: Callable[[bytes], bytes] = bytes,
) -> bytes | None:
    """Rewrite the elements that ``change`` returns a replacement for; None: nothing changed.

    ``around`` rewrites what is before the first and after the last element.
    """
    body = body.removeprefix(BOM)
    places = row_spans(body)
    first, last = (places[0][0], places[-1][1]) if places else (len(body), len(body))
    parts: list[bytes] = [around(body[:first])]
    kept_until = first
    for place, (start, end) in enumerate(places):
        new = change(body[start:end]) if suspects is None or place in suspects else None
        if new is not None:
            parts += [body[kept_until:start], new]
            kept_until = end
    rewritten = b"".join([*parts, body[kept_until:last], around(body[last:])])
    return None if rewritten == body else rewritten


def _redact_source(source: bytes, suppression: Suppression) -> bytes | None:
    """Erase an element of a suppressed person; in any other, mask the number in its tokens.

    An element that cannot be read is replaced as a whole if it is the person's own, or no JSON.
    """
    text = _to_text(source)
    value, is_readable = parse_utf8_json(source), True
    if value is None:
        value, is_readable = _parse_json(text), False
    if value is None:
        plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
        return dump_json(ERASED) if suppression.occurs_in(plain) else None
    if _is_own(value, suppression):
        return dump_json(_erase_element(value, suppression) if is_readable else ERASED)
    changed = _mask_tokens(text, suppression, _JSON_TOKEN)
    return None if changed == text else _to_bytes(changed)


def _is_own(value: Any, suppression: Suppression) -> bool:
    number = value.get("phoneNumber") if isinstance(value, dict) else None
    if isinstance(number, int | float):
        number = _digits_of(number)
    return isinstance(number, str) and bool(own_phones([number], suppression))


def _erase_element(value: dict[str, Any], suppression: Suppression) -> dict[str, Any]:
    kept = {key: _mask_value(value[key], suppression) for key in KEYS if key in value}
    kept["phoneNumber"] = ERASED if isinstance(value["phoneNumber"], str) else 0
    sent = value.get("dateSent")
    hour = cut_to_hour(sent) if isinstance(sent, str) else None
    if hour is not None:
        kept["dateSent"] = hour
    if isinstance(value.get("smsMessage"), str):
        kept["smsMessage"] = erased_text(segments_of(sanitize(value["smsMessage"], Counter())))
    elif value.get("smsMessage") is not None:
        kept["smsMessage"] = 0  # no text, so that it is rejected as before
    return kept


def _mask_value(value: Any, suppression: Suppression) -> Any:
    written = json.dumps(value)
    changed = _mask_tokens(written, suppression, _JSON_TOKEN)
    return value if changed == written else _JSON.decode(changed)


def _digits_of(value: float) -> str:
    """A number in all of its digits; a phone from a spreadsheet may be ``7.9161234567e10``."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def parse_utf8_json(source: bytes) -> Any:
    """Parse an element; None: it is not JSON, or not UTF-8."""
    try:
        return _parse_json(source.decode())
    except UnicodeDecodeError:
        return None


def _parse_json(text: str) -> Any:
    try:
        return _JSON.decode(text)
    except (ValueError, RecursionError):
        return None


def dump_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def redact_reject(original: str, suppression: Suppression) -> str | None:
    """Rewrite a reject as in the redacted page; None: it has no suppressed number."""
    changed = _redact_source(original.encode("utf-8", "surrogatepass"), suppression)
    return None if changed is None else _to_text(changed)


def find_in_body(body: bytes, suppression: Suppression) -> Occurrences:
    """Find the numbers in a page."""
    try:
        page = decode_page(body)
    except NotSmsPage:
        return Occurrences([], int(redact_body(body, suppression) is not None))
    body = body.removeprefix(BOM)
    suspects = _suspect_elements(page, body, suppression)
    places = row_spans(body) if suspects else []
    spans = [places[at] for at in sorted(suspects)]
    parts = [_find_in_element(body[start:end], suppression) for start, end in spans]
    return Occurrences(
        [own for part in parts for own in part.own], sum(part.mentions for part in parts)
    )


def find_in_reject(original: str, suppression: Suppression) -> Occurrences:
    """Find the numbers in a reject."""
    return _find_in_element(original.encode("utf-8", "surrogatepass"), suppression)


def _find_in_element(source: bytes, suppression: Suppression) -> Occurrences:
    value = _parse_json(_to_text(source))
    if _is_own(value, suppression):
        return Occurrences([value], 0)
    return Occurrences([], int(_redact_source(source, suppression) is not None))
