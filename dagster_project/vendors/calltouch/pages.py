"""Decode a page of Calltouch's SMS results: bytes in, ``SmsPage`` out.

A row has the five texts of the document. First a strict typed decoder decodes the whole page. If it fails on a
null or a missing key, the page is decoded again with those allowed: any text but ``dateSent``, which gives the
row its day, may be null or absent, and is counted by its field. If that fails too (a wrong type, an unknown
key, half a surrogate pair, a control character, bytes that are not UTF-8), the page is read row by row, and only
the unreadable rows become rejects, each with its source as received. Rows with unknown keys are loaded; the
keys' names are counted with digits masked, since a key may be a phone number.

The client checks whether it is the requested page (total, number, errors).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from dagster_project.model.batch import Reject
from dagster_project.model.response import Response
from dagster_project.text import raw_json
from dagster_project.text.sanitize import sanitize
from dagster_project.vendors.calltouch.instants import read_wall_time
from dagster_project.vendors.calltouch.names import count_name, mask_digits

BOM: Final = b"\xef\xbb\xbf"
KEY_SHOWN: Final = 40
KEYS_SHOWN: Final = 3
LONGEST_TEXT: Final = 1_500_000
"""Characters; each may take four bytes, in each of several copies."""
PROBE, BETWEEN_PROBES = 1 << 16, 1 << 20
"""Bytes; together fewer than the longest text takes, so that a longer one fills a probe."""
LARGEST_ROW: Final = 8 << 20
"""Bytes of a row of an unusual form: read slowly, it takes many times as much."""
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
NULLABLE: Final = tuple(key for key in KEYS if key != "dateSent")


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


class _Data(msgspec.Struct):
    smsDetails: list[Sms]  # noqa: N815
    totalCountSms: int  # noqa: N815
    pageOfResult: int | None = None  # noqa: N815


class _Envelope(msgspec.Struct):
    data: _Data


class _Received(msgspec.Struct, gc=False):
    """A row as received, ``UNSET`` where a key is absent; it may have other keys beside."""

    dateSent: str  # noqa: N815
    phoneNumber: str | UnsetType | None = UNSET  # noqa: N815
    smsStatus: str | UnsetType | None = UNSET  # noqa: N815
    smsStatusDetail: str | UnsetType | None = UNSET  # noqa: N815
    smsMessage: str | UnsetType | None = UNSET  # noqa: N815


class _ReceivedAlone(_Received, forbid_unknown_fields=True, gc=False):
    """Such a row without other keys."""


class _PartialData(msgspec.Struct):
    smsDetails: list[_ReceivedAlone]  # noqa: N815
    totalCountSms: int  # noqa: N815
    pageOfResult: int | None = None  # noqa: N815


class _PartialEnvelope(msgspec.Struct):
    data: _PartialData


_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_decode_whole = msgspec.json.Decoder(_Envelope).decode
_decode_partial = msgspec.json.Decoder(_PartialEnvelope).decode


def decode_page(body: bytes) -> SmsPage:
    """Decode the rows of one response; each is read or rejected.

    Raises:
        NotJson: the body, or one of its rows, is not JSON.
        NotSmsPage: it is JSON without a list of rows.
    """
    body = body.removeprefix(BOM)
    page = _decode_at_once(body)
    if page is None:
        return decode_row_by_row(body)
    return _reject_overlong_rows(page) if _may_be_overlong(body) else page


def _decode_at_once(body: bytes) -> SmsPage | None:
    clean = b"\\u0000" not in body
    try:
        data = _decode_whole(body).data
        doubt = _doubt_total(b"%d" % data.totalCountSms)
        return SmsPage(data.totalCountSms, data.pageOfResult, data.smsDetails, clean, doubt=doubt)
    except _UNREADABLE:
        pass
    try:
        partial = _decode_partial(body).data
    except _UNREADABLE:
        return None
    rows, nulls, absent = _complete_rows(partial.smsDetails)
    return SmsPage(
        partial.totalCountSms,
        partial.pageOfResult,
        rows,
        clean,
        nulls=nulls,
        absent=absent,
        doubt=_doubt_total(b"%d" % partial.totalCountSms),
    )


def _may_be_overlong(body: bytes) -> bool:
    """Whether a text may be too long: then one of the probes lies in it, and finds no row's key.

    A text cannot contain that key, since its quotation marks would be escaped.
    """
    probes = range(0, len(body) - PROBE, BETWEEN_PROBES)
    return any(body.find(b'"phoneNumber"', at, at + PROBE) < 0 for at in probes)


def _reject_overlong_rows(page: SmsPage) -> SmsPage:
    """Reject the rows of a large page whose text is too long."""
    rejects = [_reject_overlong(row) for row in page.rows]
    if not any(rejects):
        return page
    kept = [row for row, reject in zip(page.rows, rejects, strict=True) if reject is None]
    return replace(page, rows=kept, rejects=page.rejects + [one for one in rejects if one])


def _reject_overlong(row: Row) -> Reject | None:
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
    return Reject(f"unreadable row: {name} is longer than any SMS", original, _day(texts))


def _complete_rows(
    rows: Sequence[_Received],
) -> tuple[list[PartialSms], Counter[str], Counter[str]]:
    """Fill in ``None`` for null or absent texts, and count both by field."""
    columns: list[list[Any]] = []
    nulls: Counter[str] = Counter()
    absent: Counter[str] = Counter()
    for key in KEYS:
        column = [getattr(row, key) for row in rows]
        nulls[key] = column.count(None)
        absent[key] = column.count(UNSET)
        columns.append([None if v is UNSET else v for v in column] if absent[key] else column)
    return list(map(PartialSms, *columns)), +nulls, +absent


_decode_row = msgspec.json.Decoder(Sms).decode
_decode_more = msgspec.json.Decoder(_Received).decode
_decode_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def decode_row_by_row(body: bytes) -> SmsPage:
    """Decode a page row by row: slower, tolerant, and with the rows' ``sources``."""
    body = body.removeprefix(BOM)
    levelled = _LONE_SURROGATE.sub(_replace_surrogate, body)
    (total, number), elements = _open_envelope(levelled, body)
    rows: list[Row] = []
    page = SmsPage(
        _read_whole_number(total),
        _read_whole_number(number),
        rows,
        clean=False,
        doubt=_doubt_total(total),
    )
    names: Counter[str] = Counter()
    may_be_overlong = _may_be_overlong(body)
    for element, source in _pair_with_sources(elements, levelled, body):
        try:
            sms = _decode_row(element) if element == source else _decode_slowly(source, names)
        except _UNREADABLE:
            sms = _decode_leniently(source, names)
        if not isinstance(sms, Reject) and may_be_overlong:
            sms = _reject_overlong(sms) or sms
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
    except _UNREADABLE:
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


def _doubt_total(total: bytes | None) -> str:
    """Why a total cannot be the number of a window's SMS; empty: it can."""
    number = _read_whole_number(total)
    if total is None:
        return "data.totalCountSms is missing"
    if number is None:
        kind = raw_json.kind_of(total)
        return f"data.totalCountSms is {'no whole number' if kind == 'a number' else kind}"
    if number < 0:
        return "data.totalCountSms is negative"
    return f"data.totalCountSms is a number of {len(total)} digits" if number > MOST_SMS else ""


def _read_whole_number(source: bytes | None) -> int | None:
    try:
        return msgspec.json.decode(source or b"", type=int)
    except msgspec.MsgspecError:
        return None


def _pair_with_sources(
    rows: list[bytes], levelled: bytes, body: bytes
) -> Iterator[tuple[bytes, bytes]]:
    """Pair each row with the same span of the body as received."""
    for row, (start, end) in zip(rows, _find_spans(rows, levelled), strict=True):
        yield row, body[start:end]


def _find_spans(rows: list[bytes], levelled: bytes) -> Iterator[tuple[int, int]]:
    end = max(levelled.find(b"smsDetails"), 0)
    for row in rows:
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
    except _UNREADABLE:
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
        return Reject(f"unreadable row: {reason}", stored_text(source), _day(value), actual)
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


def _day(value: Any) -> date | None:
    written = value.get("dateSent") if isinstance(value, dict) else None
    wall = read_wall_time(written) if isinstance(written, str) else None
    return wall.date() if wall else None


def stored_text(source: bytes) -> str:
    """A reject's original: the vendor's characters, as far as Postgres can store them."""
    return sanitize(source.decode("utf-8", "replace"), Counter())
