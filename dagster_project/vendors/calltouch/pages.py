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

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import xxhash
from msgspec import UNSET
from numpy.typing import NDArray

from dagster_project.model.response import Response
from dagster_project.vendors.calltouch.row_by_row import decode_row_by_row, row_spans
from dagster_project.vendors.calltouch.sms_page import (
    BOM,
    KEYS,
    UNREADABLE,
    NotSmsPage,
    PartialSms,
    ReceivedSms,
    Sms,
    SmsPage,
    SmsResponse,
    doubt_total,
    may_be_overlong,
    reject_overlong,
)


class _Data(msgspec.Struct):
    smsDetails: list[Sms]  # noqa: N815
    totalCountSms: int  # noqa: N815
    pageOfResult: int | None = None  # noqa: N815


class _Envelope(msgspec.Struct):
    data: _Data


class _ReceivedAlone(ReceivedSms, forbid_unknown_fields=True, gc=False):
    """Such a row without other keys."""


class _PartialData(msgspec.Struct):
    smsDetails: list[_ReceivedAlone]  # noqa: N815
    totalCountSms: int  # noqa: N815
    pageOfResult: int | None = None  # noqa: N815


class _PartialEnvelope(msgspec.Struct):
    data: _PartialData


class _RawData(msgspec.Struct):
    smsDetails: list[msgspec.Raw]  # noqa: N815


class _RawEnvelope(msgspec.Struct):
    data: _RawData


_decode_raw = msgspec.json.Decoder(_RawEnvelope).decode
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
    return _reject_overlong_rows(page) if may_be_overlong(body) else page


def hash_rows(response: Response) -> NDArray[np.uint64] | None:
    """Hash the rows of one response as they are written; None: it has no list of rows that can be told apart."""
    rows = _rows_as_written(response)
    if rows is None:
        return None
    return np.fromiter(map(xxhash.xxh3_64_intdigest, rows), np.uint64, len(rows))


def _rows_as_written(response: Response) -> Sequence[bytes | msgspec.Raw] | None:
    if isinstance(response, SmsResponse) and response.page.sources and not response.page.rejects:
        return response.page.sources
    body = response.body.removeprefix(BOM)
    try:
        return _decode_raw(body).data.smsDetails
    except UNREADABLE:
        pass
    try:
        return [body[start:end] for start, end in row_spans(body)]
    except NotSmsPage:
        return None


def _decode_at_once(body: bytes) -> SmsPage | None:
    clean = b"\\u0000" not in body
    try:
        data = _decode_whole(body).data
        doubt = doubt_total(b"%d" % data.totalCountSms)
        return SmsPage(data.totalCountSms, data.pageOfResult, data.smsDetails, clean, doubt=doubt)
    except UNREADABLE:
        pass
    try:
        partial = _decode_partial(body).data
    except UNREADABLE:
        return None
    rows, nulls, absent = _complete_rows(partial.smsDetails)
    return SmsPage(
        partial.totalCountSms,
        partial.pageOfResult,
        rows,
        clean,
        nulls=nulls,
        absent=absent,
        doubt=doubt_total(b"%d" % partial.totalCountSms),
    )


def _reject_overlong_rows(page: SmsPage) -> SmsPage:
    """Reject the rows of a large page whose text is too long."""
    rejects = [reject_overlong(row) for row in page.rows]
    if not any(rejects):
        return page
    kept = [row for row, reject in zip(page.rows, rejects, strict=True) if reject is None]
    return replace(page, rows=kept, rejects=page.rejects + [one for one in rejects if one])


def _complete_rows(
    rows: Sequence[ReceivedSms],
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
