"""A page of Calltouch's SMS results, decoded: bytes in, ``Page`` out, nothing judged.

A row is the five texts of the document. The whole page is decoded at once by a strict typed
decoder; where that stumbles over any one row (a wrong type, a null, a missing or an unknown key,
half a surrogate pair, a raw control character, bytes that are not UTF-8), the page is read again
row by row, and only the rows that cannot be read become rejects, each with its source text as
received. Unknown keys cost their row nothing: their names are counted, digits masked, since a key
may hold a phone number.

Whether the page is the one that was asked for (total, number, errors) is the client's matter.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import msgspec

from dagster_project.model import Reject
from dagster_project.storable import storable
from dagster_project.vendors.calltouch.instants import read_wall_time
from dagster_project.vendors.calltouch.names import count_name

BOM: Final = b"\xef\xbb\xbf"
KEY_SHOWN: Final = 40


class Sms(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A row as received, under the vendor's names."""

    phoneNumber: str  # noqa: N815
    dateSent: str  # noqa: N815
    smsStatus: str  # noqa: N815
    smsStatusDetail: str  # noqa: N815
    smsMessage: str  # noqa: N815


KEYS: Final = Sms.__struct_fields__


@dataclass(frozen=True, slots=True)
class Page:
    """``total`` and ``number`` are the vendor's, ``None`` where they are not whole numbers.

    ``clean`` says that no text of the page can hold NUL or a lone surrogate. ``sources`` are the
    rows' own characters, where the page had to be read row by row.
    """

    total: int | None
    number: int | None
    rows: list[Sms]
    clean: bool = True
    rejects: list[Reject] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    sources: list[str] = field(default_factory=list)

    @property
    def received(self) -> int:
        """The elements of ``smsDetails``, readable or not: what the vendor's total counts."""
        return len(self.rows) + len(self.rejects)


class NotAPage(ValueError):
    """JSON without a list ``data.smsDetails``, such as an error's. ``document`` is all of it."""

    def __init__(self, document: Any, what: str = "the answer has no data.smsDetails") -> None:
        super().__init__(what)
        self.document = document


class NotJson(NotAPage):
    """Not JSON at all: empty, cut, HTML; or an envelope nested deeper than can be read."""

    def __init__(self) -> None:
        super().__init__(None, "the answer is not JSON")


class _Data(msgspec.Struct):
    smsDetails: list[Sms]  # noqa: N815
    totalCountSms: int  # noqa: N815
    pageOfResult: int | None = None  # noqa: N815


class _Envelope(msgspec.Struct):
    data: _Data


_decode_whole = msgspec.json.Decoder(_Envelope).decode


def decode_page(body: bytes) -> Page:
    """The rows of one answer, each read or rejected.

    Raises:
        NotJson: the body is no JSON document.
        NotAPage: it is, but it does not hold rows.
    """
    body = body.removeprefix(BOM)
    try:
        data = _decode_whole(body).data
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return decode_row_by_row(body)
    return Page(data.totalCountSms, data.pageOfResult, data.smsDetails, b"\\u0000" not in body)


def decode_row_by_row(body: bytes) -> Page:
    """As ``decode_page``, ten times slower, indulgent, and with the rows' ``sources``."""
    text = body.removeprefix(BOM).decode("utf-8", "surrogateescape")
    start = _start_of_rows(text)
    if start is None:
        raise NotAPage(_load(text))
    elements, end = _elements(text, start)
    document = _load(text[:start] + text[end:])
    data = document.get("data")
    if not isinstance(data, dict) or data.get("smsDetails") != []:
        raise NotAPage(document)
    page = Page(_whole(data.get("totalCountSms")), _whole(data.get("pageOfResult")), [], False)
    for value, first, last in elements:
        _sort_out(value, text[first:last], page)
    return page


def _sort_out(value: Any, source: str, page: Page) -> None:
    """Put one element among the page's rows or its rejects."""
    reason = _why_unreadable(value, source)
    if reason is not None:
        original = storable(source, page.counts)
        page.rejects.append(Reject(f"unreadable row: {reason}", original, _day(value)))
        return
    page.rows.append(Sms(*(value[key] for key in KEYS)))
    page.sources.append(source)
    for name in value.keys() - set(KEYS):
        count_name(page.counts, "unknown_key", name[:KEY_SHOWN])


_NOT_UTF_8: Final = re.compile("[\udc80-\udcff]")
_KINDS: Final = {dict: "an object", list: "a list", bool: "a truth value", type(None): "null"}


def _why_unreadable(value: Any, source: str) -> str | None:
    if value is _TOO_DEEP:
        return "nested too deeply"
    if _NOT_UTF_8.search(source):
        return "not UTF-8"
    if not isinstance(value, dict):
        return f"not an object but {_kind(value)}"
    for key in KEYS:
        if key not in value:
            return f"{key} is missing"
        if not isinstance(value[key], str):
            return f"{key} is not a text but {_kind(value[key])}"
    return None


def _kind(value: Any) -> str:
    return "a text" if isinstance(value, str) else _KINDS.get(type(value), "a number")


def _day(value: Any) -> date | None:
    written = value.get("dateSent") if isinstance(value, dict) else None
    wall = read_wall_time(written) if isinstance(written, str) else None
    return wall.date() if wall else None


_TOO_DEEP: Final = object()
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}:]', re.DOTALL)


def _read_integer(digits: str) -> float:
    """A number too long for any count is a float: Python refuses to read 4,301 digits."""
    return int(digits) if len(digits) < 20 else float(digits)


_JSON: Final = json.JSONDecoder(strict=False, parse_int=_read_integer)


def _load(text: str) -> Any:
    try:
        return _JSON.decode(text)
    except (ValueError, RecursionError):
        raise NotJson from None


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _start_of_rows(text: str) -> int | None:
    """The position just after the bracket that opens ``data.smsDetails``."""
    path: list[str] = []
    name = ""
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark == ":" and path:
            path[-1] = _load(name)
        elif mark == "[" and path == ["data", "smsDetails"]:
            return token.end()
        elif mark in "{[":
            path.append("")
        elif mark in "]}":
            del path[-1:]
        else:
            name = mark
    return None


def _elements(text: str, at: int) -> tuple[list[tuple[Any, int, int]], int]:
    """The array's elements from ``at`` on: value, first and last position; and where it closes."""
    found: list[tuple[Any, int, int]] = []
    at = _after_space(text, at)
    while text[at : at + 1] != "]":
        value, end = _element(text, at)
        found.append((value, at, end))
        at = _after_space(text, end)
        if text[at : at + 1] == ",":
            at = _after_space(text, at + 1)
        elif text[at : at + 1] != "]":
            raise NotJson
    return found, at


def _element(text: str, at: int) -> tuple[Any, int]:
    try:
        return _JSON.raw_decode(text, at)
    except RecursionError:
        return _TOO_DEEP, _end_of_nest(text, at)
    except ValueError:
        raise NotJson from None


def _end_of_nest(text: str, at: int) -> int:
    depth = 0
    for token in _TOKEN.finditer(text, at):
        mark = token[0]
        depth += (mark in "{[") - (mark in "]}")
        if depth == 0:
            return token.end()
    raise NotJson


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()
