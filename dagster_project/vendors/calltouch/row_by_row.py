"""Read a page row by row: slower and tolerant, where the strict decoders of ``pages`` fail."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import asdict

from dagster_project.model.batch import Reject
from dagster_project.text import raw_json
from dagster_project.text.sanitize import sanitize
from dagster_project.vendors.calltouch.names import count_name, mask_digits
from dagster_project.vendors.calltouch.sms_page import (
    BOM,
    KEYS,
    LARGEST_ERROR,
    TEXT_SHOWN,
    UNREADABLE,
    NotJson,
    NotSmsPage,
    PartialSms,
    ReceivedSms,
    Row,
    Sms,
    SmsPage,
    day_of,
    doubt_total,
    may_be_overlong,
    read_whole_number,
    reject_overlong,
)

KEY_SHOWN: Final = 40
KEYS_SHOWN: Final = 3
LARGEST_ROW: Final = 8 << 20
"""Bytes of a row of an unusual form: read slowly, it takes many times as much."""
NULLABLE: Final = tuple(key for key in KEYS if key != "dateSent")
_decode_row = msgspec.json.Decoder(Sms).decode
_decode_more = msgspec.json.Decoder(ReceivedSms).decode
_decode_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def decode_row_by_row(body: bytes) -> SmsPage:
    """Decode a page row by row: slower, tolerant, and with the rows' ``sources``."""
    body = body.removeprefix(BOM)
    levelled = _LONE_SURROGATE.sub(_replace_surrogate, body)
    (total, number), elements = _open_envelope(levelled, body)
    rows: list[Row] = []
    page = SmsPage(
        read_whole_number(total),
        read_whole_number(number),
        rows,
        clean=False,
        doubt=doubt_total(total),
    )
    names: Counter[str] = Counter()
    is_suspect = may_be_overlong(body)
    for element, source in _pair_with_sources(elements, levelled, body):
        try:
            sms = _decode_row(element) if element == source else _decode_slowly(source, names)
        except UNREADABLE:
            sms = _decode_leniently(source, names)
        if not isinstance(sms, Reject) and is_suspect:
            sms = reject_overlong(sms) or sms
        if isinstance(sms, Reject):
            page.rejects.append(sms)
            continue
        rows.append(sms)
        page.sources.append(source)
        if isinstance(sms, PartialSms):
            count_incomplete(sms, source, page.nulls, page.absent)
    for name, times in names.items():
        count_name(page.counts, "unknown_key", name[:KEY_SHOWN], times=times)
    return page


def row_spans(body: bytes) -> list[tuple[int, int]]:
    """The start and end of each element of ``data.smsDetails``, in a body without a BOM.

    Raises:
        NotSmsPage: it has none.
    """
    levelled = _LONE_SURROGATE.sub(_replace_surrogate, body)
    return list(_find_spans(_open_envelope(levelled, body)[1], levelled))


_LONE_SURROGATE: Final = re.compile(
    rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u([dD][89a-fA-F]..)|\\)", re.DOTALL
)
"""Lone surrogates; it also matches whole pairs and backslashes, to step over them."""


def _replace_surrogate(match: re.Match[bytes]) -> bytes:
    """Replace a lone surrogate by a text of the same length, so that all positions stay the same."""
    return match[0] if match[1] is None else b"\\ufffd"


Numbers = tuple[bytes | None, bytes | None]
Buffer = bytes | msgspec.Raw


def _open_envelope(body: bytes, original: bytes) -> tuple[Numbers, list[bytes]]:
    """The raw ``totalCountSms`` and ``pageOfResult``, and the rows."""
    if found := _describe_other_form(body):
        raise NotSmsPage(_load(original), found)
    try:
        data = raw_json.members(raw_json.members(body)["data"])
        rows = raw_json.elements(data["smsDetails"])
    except (raw_json.NotJson, KeyError):
        raise NotSmsPage(_load(original)) from None
    return (data.get("totalCountSms"), data.get("pageOfResult")), rows


def _describe_other_form(body: bytes) -> str:
    """How a JSON body differs from the documented form; empty: it does not. Copies nothing large."""
    value: Buffer = body
    for name, inner in (("the answer", "data"), ("data", "smsDetails")):
        try:
            fields = _fields(value)
        except raw_json.NotJson:
            return f"{name} is {_kind_at(value)}, not an object"
        if inner not in fields:
            return f"{name} has no {inner}"
        value = fields[inner]
    kind = _kind_at(value)
    return "" if kind == "a list" else f"data.smsDetails is {kind}, not a list"


def _fields(value: Buffer) -> Mapping[str, Buffer]:
    try:
        return _decode_names(value)
    except UNREADABLE:
        return raw_json.members(bytes(memoryview(value)))


def _kind_at(value: Buffer) -> str:
    return raw_json.kind_of(bytes(memoryview(value)[:KEY_SHOWN]).lstrip())


def _load(body: bytes) -> Any:
    """Read an error's document; None if it is too large for one."""
    if len(body) > LARGEST_ERROR:
        if raw_json.is_whole(body):
            return None
        raise NotJson
    try:
        return json.loads(body, strict=False)
    except (ValueError, RecursionError):
        raise NotJson from None


def _pair_with_sources(
    rows: list[bytes], levelled: bytes, body: bytes
) -> Iterator[tuple[bytes, bytes]]:
    """Pair each row with the same span of the body as received."""
    for row, (start, end) in zip(rows, _find_spans(rows, levelled), strict=True):
        yield row, body[start:end]


def _find_spans(rows: list[bytes], levelled: bytes) -> Iterator[tuple[int, int]]:
    end = max(levelled.find(b"smsDetails"), 0)
    for row in rows:
        start = end + 1
        # The usual place is looked at first: to find a long text takes as long as to decode the row.
        if levelled[end:start] != b"," or not levelled.startswith(row, start):
            start = levelled.find(row, end)
        end = start + len(row)
        yield start, end


def count_incomplete(
    row: PartialSms, source: bytes, nulls: Counter[str], absent: Counter[str]
) -> None:
    """Count the row's missing texts as null or absent, by its source."""
    present = _JSON.decode(source.decode()).keys()
    for key in NULLABLE:
        if getattr(row, key) is None:
            (nulls if key in present else absent)[key] += 1


def _build_row(texts: Mapping[str, Any]) -> Row:
    values: list[Any] = [texts.get(key) for key in KEYS]
    return PartialSms(*values) if None in values else Sms(*values)


def _decode_leniently(source: bytes, names: Counter[str]) -> Row | Reject:
    """Decode a row that is incomplete, has other keys, or needs the slower decoder; or reject it."""
    try:
        received = _decode_more(source)
        names.update(_decode_names(source).keys() - _OWN_KEYS)
    except UNREADABLE:
        return _decode_slowly(source, names)
    return _build_row({key: text for key, text in asdict(received).items() if text is not UNSET})


_OWN_KEYS: Final = frozenset(KEYS)
_KINDS: Final = {dict: "an object", list: "a list", bool: "a truth value", type(None): "null"}


def _read_integer(digits: str) -> float:
    """A JSON integer; a very long one as a float, since Python refuses to read more than 4,300 digits."""
    return int(digits) if len(digits) < 20 else float(digits)


_JSON: Final = json.JSONDecoder(strict=False, parse_int=_read_integer)


def _decode_slowly(source: bytes, names: Counter[str]) -> Row | Reject:
    if len(source) > LARGEST_ROW:
        original = stored_text(source[:TEXT_SHOWN]) + f"… ({len(source)} bytes)"
        return Reject("unreadable row: larger than any SMS", original)
    value: Any = None
    actual = None
    try:
        value = _JSON.decode(source.decode())
        reason = _rejection_reason(value)
    except UnicodeDecodeError:
        reason = "not UTF-8"
        value, actual = _decode_with_replacement(source)
    except RecursionError:
        reason = "nested too deeply"
    except ValueError:
        raise NotJson from None
    if reason is not None:
        actual = actual or _undocumented_keys(value)
        return Reject(f"unreadable row: {reason}", stored_text(source), day_of(value), actual)
    names.update(value.keys() - _OWN_KEYS)
    return _build_row(value)


def _decode_with_replacement(source: bytes) -> tuple[Any, str | None]:
    """Decode a row that is not UTF-8 with replacement characters, for its day; and name the fields concerned."""
    try:
        value = _JSON.decode(source.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None, None
    texts = value.items() if isinstance(value, dict) else ()
    fields = [key for key, text in texts if key in _OWN_KEYS and "\ufffd" in str(text)]
    return value, f"in {', '.join(fields)}" if fields else None


def _undocumented_keys(value: Any) -> str | None:
    """The undocumented keys of a row without a date: one of them may be its new name."""
    if not isinstance(value, dict) or "dateSent" in value:
        return None
    names = sorted(mask_digits(key)[:KEY_SHOWN] for key in value.keys() - _OWN_KEYS)[:KEYS_SHOWN]
    return f"beside {', '.join(names)}" if names else None


def _rejection_reason(value: Any) -> str | None:
    if not isinstance(value, dict):
        return f"not an object but {_kind(value)}"
    if "dateSent" not in value:
        return "dateSent is missing"
    for key in KEYS:
        text = value.get(key)
        if not isinstance(text, str) and (text is not None or key == "dateSent"):
            return f"{key} is not a text but {_kind(text)}"
    return None


def _kind(value: Any) -> str:
    return "a text" if isinstance(value, str) else _KINDS.get(type(value), "a number")


def stored_text(source: bytes) -> str:
    """A reject's original: the vendor's characters, as far as Postgres can store them."""
    return sanitize(source.decode("utf-8", "replace"), Counter())
