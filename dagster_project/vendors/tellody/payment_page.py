"""Read a page of PaymentHistory: its records as the vendor wrote them, and its total. Pure.

Source: ``{"extras": …, "data": [purchase, …], "count": total}``, newest purchase first. A purchase is identified by
``paymentId``; a record without a readable one by its characters, so that it can be counted and rejected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dagster_project.model.response import Response
from dagster_project.text.raw_json import NotJson, elements, is_whole, kind_of, members, stray_text

Identity = int | bytes
MOST_PURCHASES: Final = 1_000_000
"""The most purchases that an account can have; a higher count is an error."""
SUPERSEDED: Final = "superseded"
"""In a stored request: the positions of records that another response of the same window has newer."""

_WHOLE_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """Records, their fields' slices and their identities, in parallel; ``count``: the total of all pages."""

    records: list[bytes]
    fields: list[Mapping[str, bytes]]
    identities: list[Identity]
    count: int


@dataclass(frozen=True, slots=True)
class PaymentResponse(Response):
    """A response with its page, which the client decoded to check completeness."""

    page: PaymentPage = field(compare=False, repr=False)


class NotPaymentPage(ValueError):
    """JSON, but not of the documented form. Quotes nothing."""


def read_page(body: bytes) -> PaymentPage:
    """Split a body into its records.

    Raises:
        NotJson: the body is no whole JSON.
        NotPaymentPage: it is no object, ``data`` is no list, or ``count`` no number of purchases.
    """
    envelope = _envelope(body)
    count = whole_number(envelope.get("count"))
    if count is None or count < 0:
        raise NotPaymentPage("count is missing or no whole number from 0")
    if count > MOST_PURCHASES:
        raise NotPaymentPage(f"count is a number of {len(str(count))} digits")
    data = envelope.get("data")
    if data == b"null" and count == 0:
        data = b"[]"
    if data is None or data[:1] != b"[":
        found = "" if data is None else f", but {kind_of(data)}"
        raise NotPaymentPage(f"data is missing or no list{found}")
    records = elements(data)
    fields = [fields_of(record) for record in records]
    identities = [
        record if (payment_id := whole_number(slices.get("paymentId"))) is None else payment_id
        for record, slices in zip(records, fields, strict=True)
    ]
    return PaymentPage(records, fields, identities, count)


def _envelope(body: bytes) -> Mapping[str, bytes]:
    try:
        return members(body)
    except NotJson:
        if where := stray_text(body):
            raise NotPaymentPage(f"there is other text {where} the JSON") from None
        if is_whole(body):
            raise NotPaymentPage(f"no object, but {kind_of(body.lstrip())}") from None
        raise


def fields_of(record: bytes) -> Mapping[str, bytes]:
    """The slices of a record; none if it is no object."""
    try:
        return members(record)
    except NotJson:
        return {}


def whole_number(slice_: bytes | None) -> int | None:
    """Read a JSON integer within ``bigint``; else None."""
    if slice_ is None or not _WHOLE_NUMBER.fullmatch(slice_):
        return None
    number = int(slice_)
    return number if -(2**63) <= number < 2**63 else None


def current_positions(page: PaymentPage, request: Mapping[str, Any]) -> list[int]:
    """The positions of the current records: not superseded, each purchase once.

    If a page has a purchase twice, the first one is taken: pages are newest first.
    """
    outdated = set(request.get(SUPERSEDED, ()))
    first = {identity: n for n, identity in reversed(list(enumerate(page.identities)))}
    return [
        n
        for n, identity in enumerate(page.identities)
        if n not in outdated and first[identity] == n
    ]
