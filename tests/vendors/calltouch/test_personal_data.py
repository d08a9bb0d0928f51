"""Numbers taken out of pages in any mask, and nothing else; rows reduced alike by batch and by value."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.model.copy_binary import encode_record
from dagster_project.model.privacy import Rules, Suppression, identity_of
from dagster_project.model.response import Response
from dagster_project.model.window import Account, Window
from dagster_project.text.pseudonyms import PseudonymKeys
from dagster_project.vendors.calltouch import personal_data, redaction, reduction
from dagster_project.vendors.calltouch.context import RowContext
from dagster_project.vendors.calltouch.phones import read_number
from dagster_project.vendors.calltouch.rows import TABLE, to_batch
from dagster_project.vendors.calltouch.segments import segments_of
from dagster_project.vendors.calltouch.templates import template_of

ACCOUNT = Account("calltouch", "77", ZoneInfo("Europe/Moscow"))
DAY = date(2024, 4, 1)
WINDOW = Window(DAY, DAY, ACCOUNT)
KEY = b"k" * 32
SECRET = "a secret of the tests"
NUMBER = "+79201234567"


def suppressing(*numbers: str) -> Suppression:
    empty = Suppression(KEY)
    found = [identity_of(read_number(number).identity) for number in numbers]
    tails = [one.tail for one in found if one.tail]
    return Suppression(
        KEY,
        frozenset(empty.hash_of(one.number) for one in found),
        frozenset(empty.hash_of(tail) for tail in tails),
        tuple(sorted({len(tail) for tail in tails})),
    )


def row(phone: Any = "79210000000", text: Any = "Привет", **more: Any) -> dict[str, Any]:
    return {
        "phoneNumber": phone,
        "dateSent": "01-04-2024 09:15:30",
        "smsStatus": "delivered",
        "smsStatusDetail": "Доставлено",
        "smsMessage": text,
        **more,
    }


def page(*rows: Any) -> bytes:
    data = {"totalCountSms": len(rows), "pageOfResult": 1, "smsDetails": list(rows)}
    return json.dumps({"data": data}, ensure_ascii=False).encode()


def rows_of(body: bytes) -> list[Any]:
    found: list[Any] = json.loads(body)["data"]["smsDetails"]
    return found


def answer(body: bytes) -> Response:
    now = datetime(2024, 4, 2, tzinfo=UTC)
    return Response(1, {}, now, now, 200, "application/json", body)


@pytest.mark.parametrize(
    "written",
    ["79201234567", "+7 (920) 123-45-67", "8-920-123-45-67", "9201234567", "8 920 123 45 67"],
)
def test_the_persons_own_sms_is_erased_in_any_mask(written: str) -> None:
    body = redaction.redact_body(page(row(written, "Код 4411")), suppressing(NUMBER))
    assert body is not None
    [erased] = rows_of(body)
    assert erased["phoneNumber"] == "(erased)"
    assert erased["dateSent"] == "01-04-2024 09:00:00"
    assert erased["smsStatus"] == "delivered"
    assert "4411" not in json.dumps(erased)


@pytest.mark.parametrize("segments", [1, 2, 3, 10])
def test_an_erased_text_costs_as_many_segments_as_it_did(segments: int) -> None:
    text = redaction.erased_text(segments)
    assert segments_of(text) == segments
    assert text.startswith("(erased)")


@pytest.mark.parametrize(
    "before",
    ["+7 920 123-45-67", "8(920)1234567", "тел.9201234567", "7/920/123/45/67", "x79201234567y"],
)
def test_in_a_text_the_digits_become_zeros_and_template_and_segments_stay(before: str) -> None:
    text = f"Звоните: {before}. Ваш код 12"
    after = suppressing(NUMBER).mask_numbers(text)
    assert "9201234567" not in "".join(filter(str.isdigit, after))
    assert after.endswith("Ваш код 12")
    assert (template_of(after), segments_of(after)) == (template_of(text), segments_of(text))


def test_a_page_without_such_a_number_comes_back_as_it_is() -> None:
    whole = answer(page(row(), row("79201234568"), row(text="8 800 555-35-35, заказ 1234567890")))
    assert redaction.redact(whole, suppressing(NUMBER)) is whole


def test_what_is_not_of_the_usual_form_is_looked_through_too() -> None:
    odd = [
        row(79201234567),
        row(extra={"спросить": ["8 920 123 45 67", 79201234567]}),
        row(None, "мой 89201234567"),
        ["89201234567"],
        "89201234567",
        89201234567,
        row("79210000001", "\ud83d +79201234567"),
    ]
    body = redaction.redact_body(page(*odd[:6]), suppressing(NUMBER))
    assert body is not None
    assert "9201234567" not in "".join(filter(str.isdigit, body.decode()))
    assert len(rows_of(body)) == 6
    lone = json.dumps({"data": {"totalCountSms": 1, "smsDetails": [odd[6]]}}).encode()
    body = redaction.redact_body(lone, suppressing(NUMBER))
    assert body is not None
    assert b"9201234567" not in body


@given(
    st.lists(
        st.builds(
            row,
            st.sampled_from(["79201234567", "89201234567", "79210000001", "нет", "12345", None]),
            st.text(max_size=30) | st.sampled_from(["тел 89201234567", "Код 1234", None, 7]),
        ),
        max_size=8,
    )
)
def test_redaction_keeps_every_row_and_finds_nothing_the_second_time(rows: list[Any]) -> None:
    data = {"totalCountSms": len(rows), "smsDetails": rows}
    body = json.dumps({"data": data}).encode()
    suppressed = suppressing(NUMBER)
    once = redaction.redact_body(body, suppressed)
    if once is not None:
        assert redaction.redact_body(once, suppressed) is None
        assert len(rows_of(once)) == len(rows)
    batch = to_batch(answer(once or body), WINDOW, RowContext.from_secret(SECRET))
    assert batch.received == len(rows)


def test_a_batch_is_reduced_as_its_rows_are() -> None:
    context = RowContext.from_secret(SECRET)
    rows = [row(f"7921000{n:04}", f"Код {n}") for n in range(20)]
    rows += [row("нет номера", ""), row("+1 202 555 0123", "long " * 60)]
    rows += [
        row(text="a", smsStatus="error 8 921 000", smsStatusDetail="Не дошло до Ивана"),
        row(text="b", smsStatus="ERROR", smsStatusDetail="Неверный номер."),
        row(text="c", smsStatusDetail=None),
    ]
    rows += [row(None), row(text=None), row(None, None, smsStatus=None, smsStatusDetail=None)]
    young = to_batch(answer(page(*rows)), WINDOW, context)
    reduced = reduction.reduce_batch(
        to_batch(answer(page(*rows)), WINDOW, context), WINDOW, date(2024, 4, 2), KEY
    )
    for at, record in enumerate(young.records):
        values = decoded(record)
        by_value = reduction.reduce_row(values, KEY)
        assert by_value is not None
        assert encode_record(TABLE, by_value, Counter()) == reduced.records[at]
        assert by_value["sms_key"].bytes == reduced.keys[at * 16 : at * 16 + 16]
    keys = {reduced.keys[at : at + 16] for at in range(0, len(reduced.keys), 16)}
    assert len(keys) == len(rows)


NULLS = [
    row(NUMBER, None),
    row(NUMBER, smsStatus=None, smsStatusDetail=None),
    row(None, "мой 8 920 123 45 67"),
    row(None, None),
    row(text=None),
]


@pytest.mark.parametrize("of", NULLS, ids=range(len(NULLS)))
def test_a_row_with_nulls_is_erased_as_its_page_is_and_stays_null(of: dict[str, Any]) -> None:
    suppressed, context = suppressing(NUMBER), RowContext.from_secret(SECRET)
    rules = Rules(suppressed, date.min, KEY)
    gone = frozenset([personal_data.pseudonym_of(identity_of(NUMBER), context.keys)])
    body = page(of)
    [before] = to_batch(answer(body), WINDOW, context).records
    redacted = redaction.redact_body(body, suppressed)
    [after] = to_batch(answer(redacted or body), WINDOW, context).records

    new = personal_data.erase_row(decoded(before), ACCOUNT, context.keys, rules, gone)

    assert encode_record(TABLE, new or decoded(before), Counter()) == after
    assert (decoded(after)["message"] is None) == (of["smsMessage"] is None)
    assert b"9201234567" not in b"".join(after.split(b" "))


def test_a_row_with_nulls_stays_what_it_is_when_reduced_and_rekeyed() -> None:
    context, other = RowContext.from_secret(SECRET), PseudonymKeys.from_secret("another key")
    body = page(row(None), row(text=None))
    without_number, without_text = map(decoded, to_batch(answer(body), WINDOW, context).records)

    reduced = reduction.reduce_row(without_number, KEY)
    assert reduced is not None
    assert (reduced["phone"], reduced["recipient"]) == ("(reduced)", None)
    assert reduction.reduce_row(reduced, KEY) is None
    reduced = reduction.reduce_row(without_text, KEY)
    assert reduced is not None
    assert (reduced["message"], reduced["template_id"], reduced["segments"]) == (None, None, None)
    body = reduction.reduce_body(body, date(2024, 4, 2), ACCOUNT) or b""
    assert [tuple(each.values())[::4] for each in rows_of(body)] == [
        ("(reduced)", "(reduced)"),
        ("(reduced)", None),
    ]
    assert reduction.reduce_body(body, date(2024, 4, 2), ACCOUNT) is None
    assert personal_data.rekey_row(without_number, other)["recipient"] is None
    assert personal_data.rekey_row(without_text, other)["template_id"] is None


def test_only_statuses_of_the_vendors_own_wording_outlive_a_reduction() -> None:
    context = RowContext.from_secret(SECRET)
    odd = row(smsStatus="error 8 921 000-00-00", smsStatusDetail="Не дошло до Ивана Петрова")
    own = row(smsStatus="ERROR", smsStatusDetail="Неверный номер.")
    body = reduction.reduce_body(page(odd, own), date(2024, 4, 2), ACCOUNT)
    assert body is not None
    assert [(one["smsStatus"], one["smsStatusDetail"]) for one in rows_of(body)] == [
        ("(reduced)", "(reduced)"),
        ("ERROR", "Неверный номер."),
    ]
    batch = to_batch(answer(page(odd, own)), WINDOW, context)
    outcomes = [decoded(record)["outcome"] for record in batch.records]
    reduced = reduction.reduce_batch(batch, WINDOW, date(2024, 4, 2), KEY)
    assert [decoded(record)["outcome"] for record in reduced.records] == outcomes
    assert b"921" not in b"".join(reduced.records)


def test_days_that_are_not_old_are_left_as_they_are() -> None:
    context = RowContext.from_secret(SECRET)
    batch = to_batch(answer(page(row())), WINDOW, context)
    records = list(batch.records)
    assert reduction.reduce_batch(batch, WINDOW, DAY, KEY).records == records


def decoded(record: bytes) -> dict[str, Any]:
    """The fields of a record as Postgres would answer with them, as far as reducing needs them."""
    values: dict[str, Any] = {}
    at = 0
    for column in TABLE.columns:
        length = int.from_bytes(record[at : at + 4], "big", signed=True)
        field = record[at + 4 : at + 4 + max(length, 0)]
        at += 4 + max(length, 0)
        values[column.name] = None if length < 0 else _READ[column.type](field)
    return values


_READ = {
    "date": lambda field: date.fromordinal(
        date(2000, 1, 1).toordinal() + int.from_bytes(field, "big", signed=True)
    ),
    "bigint": lambda field: int.from_bytes(field, "big", signed=True),
    "smallint": lambda field: int.from_bytes(field, "big", signed=True),
    "uuid": lambda field: UUID(bytes=field),
    "timestamptz": lambda field: datetime.fromtimestamp(
        946_684_800 + int.from_bytes(field, "big", signed=True) // 1_000_000, UTC
    ),
    "text": lambda field: field.decode(),
    "boolean": lambda field: field == b"\1",
}
