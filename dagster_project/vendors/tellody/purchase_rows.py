"""``warehouse.tellody_credit_purchase``: one row a purchase of credits. Pure: from the answer alone.

Source: PaymentHistory. Key: ``paymentId``; the same one with other details is the same row, also
where its date moved to another day. ``purchased_on`` is the day in the account's zone, which
partitions go by, whatever zone the purchase's own date was told in (``time_zone`` keeps that).

The vendor answers with everything there ever was: purchases before the window are counted, with the
first of their days, and not loaded; those after it wait for their day. Money goes from the response's
characters to ``Decimal``. A record without a ``paymentId`` or a date, or with what its column cannot
hold, is set aside whole; of all else what is null or absent is loaded as NULL.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from struct import Struct
from typing import Any, Final

import msgspec

from dagster_project.errors import AnswerNotTrusted
from dagster_project.model.batch import Batch, Reject
from dagster_project.model.copy_binary import encode_batch
from dagster_project.model.response import Response
from dagster_project.model.window import Window
from dagster_project.text.raw_json import NotJson, as_text, is_json
from dagster_project.vendors.tellody.joda_column import normalize_column
from dagster_project.vendors.tellody.older_purchases import count_older
from dagster_project.vendors.tellody.payment_page import (
    NotPaymentPage,
    PaymentPage,
    PaymentResponse,
    current_positions,
    read_page,
    whole_number,
)
from dagster_project.vendors.tellody.purchase_table import TABLE

SOURCE: Final = "tellody_purchases"
AFTER_WINDOW: Final = "after_window"
CARD_AS_NUMBER: Final = "card_digits_as_number"
TWICE_ON_A_PAGE: Final = "twice_on_a_page"

_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_UNREADABLE: Final = object()
_pack_key = Struct(">QQ").pack
_decode_text = json.JSONDecoder(strict=False).decode
_decode_exactly = msgspec.json.Decoder(float_hook=Decimal).decode


class _Refused(ValueError):
    pass


def to_batch(answer: Response, window: Window) -> Batch:
    """The purchases of one page whose day lies in the window.

    Records that the stored request calls superseded are left out: a later read holds them newer.

    Raises:
        AnswerNotTrusted: the body is no page of purchases.
    """
    page = _page_of(answer, window)
    current = current_positions(page, answer.request)
    fields = [page.fields[n] for n in current]
    dates = [date_in(slices) for slices in fields]
    dated = normalize_column(dates, window.account.time_zone)
    days = dated.days_in(window.account.time_zone)
    instants = dated.instants()
    counts = dated.counts()
    counts[TWICE_ON_A_PAGE] = len(page.records) - len(set(page.identities))
    outside: list[tuple[date, int | None]] = []
    elsewhere: list[bytes] = []
    rejects: list[Reject] = []
    rows: list[dict[str, Any]] = []
    originals: list[str] = []
    loaded: list[Mapping[str, bytes]] = []
    for n, slices in enumerate(fields):
        original = page.records[current[n]]
        try:
            day = _day_or_refuse(slices, dates[n], dated.undatable.get(n), days[n])
            if day not in window:
                outside.append((day, whole_number(slices.get("paymentId"))))
                elsewhere += _key_in(slices)
                continue
            when = {"purchased_at": instants[n], "time_zone": dated.zones[n]}
            row = _read_row(slices, counts)
        except _Refused as reason:
            rejects.append(
                Reject(
                    str(reason), as_text(original), days[n] if n not in dated.undatable else None
                )
            )
            continue
        rows.append({"purchased_on": day, "account": window.account.label, **when, **row})
        originals.append(as_text(original))
        loaded.append(slices)
    batch = encode_batch(TABLE, rows, key_of, originals)
    refused = {reject.original for reject in batch.rejects}
    loaded = [each for each, text in zip(loaded, originals, strict=True) if text not in refused]
    for name, _ in TABLE.fields:
        batch.nulls[name] = sum(slices.get(name) == b"null" for slices in loaded)
        batch.absent[name] = sum(name not in slices for slices in loaded)
    batch.nulls, batch.absent = +batch.nulls, +batch.absent
    batch.received = len(current)
    batch.rejects += rejects
    batch.elsewhere = b"".join(elsewhere)
    batch.counts.update(+counts + _count_outside(outside, window))
    return batch


def key_of(row: Mapping[str, Any]) -> bytes:
    """``payment_id`` as 16 bytes: zeros, and its two's complement."""
    return _pack_key(0, row["payment_id"] & 0xFFFF_FFFF_FFFF_FFFF)


def _key_in(slices: Mapping[str, bytes]) -> list[bytes]:
    """The key of a record that is not loaded; none where it has no readable id."""
    payment_id = whole_number(slices.get("paymentId"))
    return [] if payment_id is None else [key_of({"payment_id": payment_id})]


def _page_of(answer: Response, window: Window) -> PaymentPage:
    if isinstance(answer, PaymentResponse):
        return answer.page
    try:
        return read_page(answer.body)
    except (NotJson, NotPaymentPage) as error:
        raise AnswerNotTrusted(
            f"Tellody answered the purchases in an unknown form: {error}.",
            source=SOURCE,
            account=window.account.label,
            window=window,
            hint="run again; if it repeats, look at the stored response.",
        ) from error


def date_in(slices: Mapping[str, bytes]) -> Any:
    """The date of a record as JSON, with exact numbers."""
    text = slices.get("date", b"null")
    try:
        return _decode_exactly(text)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        pass
    try:  # lone surrogates and control characters, which msgspec refuses
        return json.loads(text.decode(), parse_float=Decimal, strict=False)
    except (ValueError, ArithmeticError, RecursionError):
        return _UNREADABLE


def _day_or_refuse(
    slices: Mapping[str, bytes], value: Any, undatable: str | None, day: date | None
) -> date:
    """The day of a record, or ``_Refused`` with the reason why it has none."""
    if not slices:
        raise _Refused("no object")
    if "date" not in slices:
        raise _Refused("date is missing")
    if value is _UNREADABLE:
        raise _Refused("date: no JSON that can be read")
    if undatable is not None:
        raise _Refused(f"date: {undatable}")
    if day is None:
        raise _Refused("date: beyond the years 0001 to 9999 in the account's time zone")
    return day


def _read_row(slices: Mapping[str, bytes], counts: Counter[str]) -> dict[str, Any]:
    """The columns that come from a record's own fields.

    Raises:
        _Refused: naming the first field that its column cannot hold.
    """
    payment_id = whole_number(slices.get("paymentId"))
    if payment_id is None:
        raise _Refused("paymentId is missing or no whole number of 64 bits")
    card = slices.get("cardLastDigits", b"null")
    if _is_number(card):
        # Digits given as a number have lost the zeros they began with: what is left is kept.
        counts[CARD_AS_NUMBER] += 1
        card = b'"' + card + b'"'
    return {
        "payment_id": payment_id,
        "amount": _read_field("amount", slices.get("amount"), _read_money),
        "credits": _read_field("credits", slices.get("credits"), _read_money),
        "months": _read_field("months", slices.get("months"), whole_number),
        "payment_method": _read_field("paymentMethod", slices.get("paymentMethod"), _read_text),
        "card_last_digits": _read_field("cardLastDigits", card, _read_text),
        "account_type": _read_field("accountType", slices.get("accountType"), _read_text),
        "invoice_history": _read_field("invoiceHistory", slices.get("invoiceHistory"), _read_json),
    }


def _read_field(name: str, slice_: bytes | None, read: Callable[[bytes], Any]) -> Any:
    if slice_ is None or slice_ == b"null":
        return None
    value = read(slice_)
    if value is None:
        raise _Refused(f"{name} is of another kind than documented")
    return value


def _read_money(slice_: bytes) -> Decimal | None:
    if not _is_number(slice_):
        return None
    try:
        return Decimal(slice_.decode())
    except InvalidOperation:
        return None


def _is_number(slice_: bytes) -> bool:
    return _NUMBER.fullmatch(slice_) is not None


def _read_text(slice_: bytes) -> str | None:
    try:
        value = _decode_text(slice_.decode()) if slice_[:1] == b'"' else None
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def _read_json(slice_: bytes) -> str | None:
    return slice_.decode() if is_json(slice_) else None


def _count_outside(purchases: list[tuple[date, int | None]], window: Window) -> Counter[str]:
    """Counts of purchases outside of the window, each with its day and its payment."""
    before = [one for one in purchases if one[0] < window.first_day]
    return count_older(before, window) + Counter({AFTER_WINDOW: len(purchases) - len(before)})
