"""A page of Calltouch's SMS results as it is decoded: its rows, and what is wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from dagster_project.model.batch import Reject
from dagster_project.model.response import Response
from dagster_project.text import raw_json
from dagster_project.text.sanitize import sanitize
from dagster_project.vendors.calltouch.instants import read_wall_time

BOM: Final = b"\xef\xbb\xbf"
LONGEST_TEXT: Final = 1_500_000
"""Characters; each may take four bytes, in each of several copies."""
PROBE, BETWEEN_PROBES = 1 << 16, 1 << 20
"""Bytes; together fewer than the longest text takes, so that a longer one fills a probe."""
TEXT_SHOWN: Final = 1_000
LARGEST_ERROR: Final = 1 << 16
MOST_SMS: Final = 10**9
"""A window for which the vendor counts more has been counted wrong."""


class Sms(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A row as received, under the vendor's names."""

    phoneNumber: str  # noqa: N815
    dateSent: str  # noqa: N815
    smsStatus: str  # noqa: N815
    smsStatusDetail: str  # noqa: N815
    smsMessage: str  # noqa: N815


class PartialSms(msgspec.Struct, gc=False):
    """A row of a page in which texts are missing: ``None`` is null or absent."""

    phoneNumber: str | None  # noqa: N815
    dateSent: str  # noqa: N815
    smsStatus: str | None  # noqa: N815
    smsStatusDetail: str | None  # noqa: N815
    smsMessage: str | None  # noqa: N815


Row = Sms | PartialSms
KEYS: Final = Sms.__struct_fields__


@dataclass(frozen=True, slots=True)
class SmsPage:
    """A decoded page. ``total`` and ``number`` are the vendor's, ``None`` if they are not whole numbers.

    ``clean``: no text of the page can have NUL or a lone surrogate. ``sources`` are the rows' own bytes, if the
    page had to be read row by row. ``nulls`` and ``absent`` count the rows by the field that is null or absent.
    ``doubt`` says why the total is not valid.
    """

    total: int | None
    number: int | None
    rows: Sequence[Row]
    clean: bool = True
    rejects: list[Reject] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    sources: list[bytes] = field(default_factory=list)
    nulls: Counter[str] = field(default_factory=Counter)
    absent: Counter[str] = field(default_factory=Counter)
    doubt: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether every row has all of its texts."""
        return not (self.nulls or self.absent)

    @property
    def received(self) -> int:
        """The number of elements of ``smsDetails``, readable or not, as in the vendor's total."""
        return len(self.rows) + len(self.rejects)


@dataclass(frozen=True, slots=True)
class SmsResponse(Response):
    """A response with its page, which the client decoded to check completeness."""

    page: SmsPage = field(compare=False, repr=False)


class NotSmsPage(ValueError):
    """JSON without a list ``data.smsDetails``, such as an error's.

    ``document`` is all of it, None where it is too large for an error. Quotes nothing.
    """

    def __init__(self, document: Any, what: str = "the answer has no data.smsDetails") -> None:
        super().__init__(what)
        self.document = document


class NotJson(NotSmsPage):
    """The body is not JSON (empty, cut, HTML), or an error nested too deeply to be read."""

    def __init__(self) -> None:
        super().__init__(None, "the answer is not JSON")


class ReceivedSms(msgspec.Struct, gc=False):
    """A row as received, ``UNSET`` where a key is absent; it may have other keys beside."""

    dateSent: str  # noqa: N815
    phoneNumber: str | UnsetType | None = UNSET  # noqa: N815
    smsStatus: str | UnsetType | None = UNSET  # noqa: N815
    smsStatusDetail: str | UnsetType | None = UNSET  # noqa: N815
    smsMessage: str | UnsetType | None = UNSET  # noqa: N815


UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def may_be_overlong(body: bytes) -> bool:
    """Whether a text may be too long: then one of the probes lies in it, and finds no row's key.

    A text cannot contain that key, since its quotation marks would be escaped.
    """
    probes = range(0, len(body) - PROBE, BETWEEN_PROBES)
    return any(body.find(b'"phoneNumber"', at, at + PROBE) < 0 for at in probes)


def reject_overlong(row: Row) -> Reject | None:
    """Reject a row with a text longer than any SMS; its original is shortened. None: no text is too long."""
    texts = {key: getattr(row, key) for key in KEYS}
    name = next((key for key, text in texts.items() if text and len(text) > LONGEST_TEXT), None)
    if name is None:
        return None
    cut = {
        key: f"{text[:TEXT_SHOWN]}… ({len(text)} characters)"
        if text and len(text) > TEXT_SHOWN
        else text
        for key, text in texts.items()
    }
    original = sanitize(json.dumps(cut, ensure_ascii=False), Counter())
    return Reject(f"unreadable row: {name} is longer than any SMS", original, day_of(texts))


def doubt_total(total: bytes | None) -> str:
    """Why a total cannot be the number of a window's SMS; empty: it can."""
    number = read_whole_number(total)
    if total is None:
        return "data.totalCountSms is missing"
    if number is None:
        kind = raw_json.kind_of(total)
        return f"data.totalCountSms is {'no whole number' if kind == 'a number' else kind}"
    if number < 0:
        return "data.totalCountSms is negative"
    return f"data.totalCountSms is a number of {len(total)} digits" if number > MOST_SMS else ""


def read_whole_number(source: bytes | None) -> int | None:
    try:
        return msgspec.json.decode(source or b"", type=int)
    except msgspec.MsgspecError:
        return None


def day_of(value: Any) -> date | None:
    written = value.get("dateSent") if isinstance(value, dict) else None
    wall = read_wall_time(written) if isinstance(written, str) else None
    return wall.date() if wall else None
