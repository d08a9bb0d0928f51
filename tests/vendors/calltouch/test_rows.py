"""Rows of a page: each loaded exactly, through a real COPY, or rejected with its original."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project.model.batch import Batch, Reject
from dagster_project.model.copy_binary import encode
from dagster_project.model.response import Response
from dagster_project.model.window import Account, Window, day_number
from dagster_project.text.pseudonyms import pseudonym, sub_key
from dagster_project.vendors.calltouch.context import (
    REMEMBERED,
    RowContext,
    TemplateMemory,
    template_id,
)
from dagster_project.vendors.calltouch.instants import EPOCH
from dagster_project.vendors.calltouch.outcomes import PAIRS, outcome_of
from dagster_project.vendors.calltouch.pages import decode_page
from dagster_project.vendors.calltouch.phones import read_number
from dagster_project.vendors.calltouch.row_by_row import NULLABLE
from dagster_project.vendors.calltouch.rows import TABLE, encode_one, sms_key, to_batch
from dagster_project.vendors.calltouch.segments import segments_of
from dagster_project.vendors.calltouch.sms_page import KEYS, SmsResponse
from dagster_project.warehouse.connection import Warehouse
from tests.support.copying import CopyTable

SAMPLE = Path(__file__).parents[2] / "data" / "calltouch_result.json"
SECRET = "a secret that tests may know"
BERLIN = ZoneInfo("Europe/Berlin")
MOSCOW = Account("calltouch", "101", ZoneInfo("Europe/Moscow"))
APRIL = Window(date(2024, 4, 1), date(2024, 4, 30), MOSCOW)
ROW = {
    "phoneNumber": "79209383654",
    "dateSent": "01-04-2024 15:05:32",
    "smsStatus": "delivered",
    "smsStatusDetail": "Доставлено",
    "smsMessage": "Ваш код: 14111",
}


def source_of(element: Any) -> str:
    return element if isinstance(element, str) else json.dumps(element, ensure_ascii=False)


def answer(*elements: Any) -> Response:
    details = ", ".join(map(source_of, elements))
    body = f'{{"data": {{"totalCountSms": {len(elements)}, "smsDetails": [{details}]}}}}'
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    return Response(1, {}, moment, moment, 200, "application/json", body.encode())


def batch_of(*elements: Any, window: Window = APRIL, context: RowContext | None = None) -> Batch:
    return to_batch(answer(*elements), window, context or RowContext.from_secret(SECRET))


@pytest.fixture
def table(warehouse: Warehouse) -> Iterator[CopyTable]:
    with warehouse.connect_admin() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield CopyTable(connection, TABLE.columns)


def named(rows: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip([column.name for column in TABLE.columns], row, strict=True)) for row in rows]


def test_the_documents_own_sample_gives_its_four_rows(table: CopyTable) -> None:
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    sample = Response(2, {}, moment, moment, 200, "application/json", SAMPLE.read_bytes())

    batch = to_batch(sample, APRIL, RowContext.from_secret(SECRET))

    shown = (
        "sent_on",
        "sent_at",
        "phone_e164",
        "country",
        "outcome",
        "reason",
        "is_final",
        "segments",
    )
    rows = named(table.round_trip(batch.records))
    assert [tuple(row[name] for name in shown) for row in rows] == [
        (date(2024, 4, 1), datetime(2024, 4, 1, 12, 5, 32, tzinfo=UTC), "+79209383654", "RU", "delivered", None, True, 1),
        (date(2024, 4, 2), datetime(2024, 4, 2, 8, 15, 17, tzinfo=UTC), "+79209383521", "RU", "failed", "undeliverable", True, 1),
        (date(2024, 4, 4), datetime(2024, 4, 4, 5, 15, 17, tzinfo=UTC), "+79952125854", "RU", "failed", "expired", True, 1),
        (date(2024, 4, 5), datetime(2024, 4, 5, 2, 15, 17, tzinfo=UTC), "+79952126521", "RU", "pending", None, False, 1),
    ]  # fmt: skip
    assert rows[0]["message"] == "Внимание, скидки!\nТолько сегодня"
    assert len({row["template_id"] for row in rows}) == 2
    assert batch.observed == [True, True, True, False]
    assert (batch.received, batch.rejects, batch.counts) == (4, [], Counter())


def expected_row(element: dict[str, str | None], wall: datetime) -> dict[str, Any]:
    """A row as the documentation of the table tells it, reckoned field by field."""
    phone, message = element.get("phoneNumber"), element.get("smsMessage")
    status, detail = element.get("smsStatus"), element.get("smsStatusDetail")
    outcome = outcome_of(status, detail)
    number = b"\xff\xff\xff\xff"
    if phone is not None:
        number = phone.encode("utf-8", "surrogatepass")
        number = len(number).to_bytes(4, "big") + number
    identity = b"".join(
        [
            number,
            f"{wall.day:02}-{wall.month:02}-{wall.year:04} {wall:%H:%M:%S}".encode(),
            b"\xff" if message is None else message.encode("utf-8", "surrogatepass"),
        ]
    )
    return {
        "sent_on": wall.date(),
        "site_id": 101,
        "sms_key": UUID(bytes=sha256(identity).digest()[:16]),
        "sent_at": wall.replace(tzinfo=MOSCOW.time_zone).astimezone(UTC),
        **expected_recipient(phone),
        "status": None if status is None else mended(status),
        "status_detail": None if detail is None else mended(detail),
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "is_final": outcome.is_final,
        **expected_text(message),
    }


def expected_recipient(phone: str | None) -> dict[str, Any]:
    if phone is None:
        return {"phone": None, "phone_e164": None, "country": None, "recipient": None}
    number = read_number(phone)
    recipient = number.identity.encode("utf-8", "surrogatepass")
    return {
        "phone": mended(phone),
        "phone_e164": number.e164,
        "country": number.country,
        "recipient": UUID(bytes=pseudonym(sub_key(SECRET, "recipient"), recipient)),
    }


def expected_text(message: str | None) -> dict[str, Any]:
    if message is None:
        return {"message": None, "template_id": None, "segments": None}
    return {
        "message": mended(message),
        "template_id": UUID(bytes=template_id(mended(message), sub_key(SECRET, "template"))),
        "segments": segments_of(mended(message)),
    }


def mended(text: str) -> str:
    return "".join(
        "\u2400"
        if character == "\x00"
        else "\ufffd"
        if "\ud800" <= character <= "\udfff"
        else character
        for character in text
    )


FORMS = ("%d-%m-%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S")
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=30)
PIECES = st.sampled_from(
    ["Ваш код: ", "4", "12", "https://a.ru/x", "http://b.c/д", "(https://e.f/g", "shop.ru/", "q1w2",
     "a.bc/~[", " ", "\n", "\u00a0", "x@y.ru", "пароль ", "code=", "и/или", "`", "🔥", "€", "{", "a.b.cd/1?code ",
     "Слово", "/", "www.a.b", "0.aa/", ".", "-", "٣", "https://x@почта", "\u2028",
     "a.bc/^", "l" * 75, "ж" * 31]
)  # fmt: skip
MESSAGES = ANY_TEXT | st.lists(PIECES, max_size=12).map("".join)
PLAIN_PHONES = st.from_regex(r"\A[78][79][0-9]{9}\Z")
PHONES = PLAIN_PHONES | ANY_TEXT | st.from_regex(r"\A\+?[0-9 ()-]{0,16}\Z")
PAIRS_SENT = st.sampled_from(sorted(PAIRS)) | st.tuples(ANY_TEXT, ANY_TEXT)
WALLS = st.datetimes(datetime(2024, 4, 1), datetime(2024, 4, 30, 23, 59, 59)).map(  # noqa: DTZ001
    lambda wall: wall.replace(microsecond=0)
)


@st.composite
def good_rows(
    draw: st.DrawFn, phones: st.SearchStrategy[str] = PHONES, incomplete: bool = False
) -> tuple[str, Any]:
    """The source of a row, and what it has to become."""
    wall = draw(WALLS)
    status, detail = draw(PAIRS_SENT)
    values = draw(phones), wall.strftime(draw(st.sampled_from(FORMS))), status, detail
    element = dict(zip(KEYS, (*values, draw(MESSAGES)), strict=True))
    for key in draw(st.sets(st.sampled_from(NULLABLE), max_size=2) if incomplete else st.just(())):
        element[key] = None
        if draw(st.booleans()):
            del element[key]
    source = json.dumps(element, ensure_ascii=draw(st.booleans()))
    source = source.encode("utf-8", "backslashreplace").decode()
    return source, expected_row(json.loads(source), wall)


BAD_ROWS = st.sampled_from(
    [
        *("null", "1e400", "[]", '"x"', "{}", "9" * 4400, "[" * 9000 + "]" * 9000),
        source_of(ROW | {"dateSent": None}),
        *(source_of(ROW | {key: 79209383654}) for key in KEYS),
        *(
            source_of(ROW | {"dateSent": written})
            for written in (
                *("", "01-04-2024", "31-04-2024 10:00:00", "01-04-0001 00:00:00"),
                *("31-12-9999 23:59:59", "31-03-2024 23:59:59", "2024-05-01 00:00:00"),
            )
        ),
    ]
).map(lambda source: (source, None))


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        good_rows() | good_rows(PLAIN_PHONES) | good_rows(incomplete=True) | BAD_ROWS, max_size=8
    )
)
def test_every_row_is_loaded_exactly_or_rejected_with_its_original(
    table: CopyTable, rows: list[tuple[str, Any]]
) -> None:
    batch = batch_of(*[source for source, _ in rows])

    loaded = named(table.round_trip(batch.records))
    assert sorted(loaded, key=repr) == sorted((row for _, row in rows if row), key=repr)
    assert Counter(reject.original for reject in batch.rejects) == Counter(
        source for source, row in rows if row is None
    )
    assert batch.received == len(rows)
    assert batch.keys == b"".join(row["sms_key"].bytes for row in loaded)
    assert batch.days.tolist() == [day_number(row["sent_on"]) for row in loaded]
    assert batch.observed == [row["is_final"] for row in loaded]
    assert batch.hashes.tolist() == [xxhash.xxh3_64_intdigest(record) for record in batch.records]


@settings(max_examples=300, deadline=None)
@given(st.lists(good_rows(PLAIN_PHONES) | good_rows(PLAIN_PHONES, incomplete=True), max_size=8))
def test_by_columns_a_row_is_byte_for_byte_what_it_is_by_itself(
    rows: list[tuple[str, Any]],
) -> None:
    context = RowContext.from_secret(SECRET)
    page = answer(*[source for source, _ in rows])
    batch = to_batch(page, APRIL, context)

    alone = [encode_one(row, APRIL, context.keys, Counter()) for row in decode_page(page.body).rows]

    assert sorted(batch.records) == sorted(row.record for row in alone)


@pytest.mark.parametrize(
    ("written", "reason", "day"),
    [
        ("31-03-2024 23:59:59", "outside the asked window", date(2024, 3, 31)),
        ("01-05-2024 00:00:00", "outside the asked window", date(2024, 5, 1)),
        ("01-04-0001 00:00:00", "outside the asked window", date(1, 4, 1)),
        ("31-12-9999 23:59:59", "outside the asked window", date(9999, 12, 31)),
        ("2024-03-31 23:59:59", "outside the asked window", date(2024, 3, 31)),
        ("31-04-2024 00:00:00", "unreadable dateSent", None),
        ("yesterday", "unreadable dateSent", None),
    ],
)
def test_a_row_without_a_place_is_rejected_as_it_came(
    written: str, reason: str, day: date | None
) -> None:
    stray = json.dumps(ROW | {"dateSent": written}, indent=1)

    batch = batch_of(ROW, stray, ROW)

    assert batch.rejects == [Reject(reason, stray, day)]
    assert (len(batch), batch.received) == (2, 3)


@pytest.mark.parametrize(
    "written",
    [
        "2024-04-01T15:05:32",
        "2024-04-01T15:05:32.999999999",
        "2024-04-01 15:05:32.5",
        "2024-04-01T12:05:32Z",
        "2024-04-01T12:05:32.000z",
        "2024-04-01T15:05:32+03:00",
        "2024-04-01T15:05:32,7+0300",
        "2024-04-01T07:05:32-05",
        "20240401T150532",
        "20240401T120532Z",
    ],
)
def test_a_date_in_iso_8601_is_the_same_row_and_is_told(written: str) -> None:
    batch = batch_of(ROW | {"dateSent": written})
    documented = batch_of(ROW)
    assert (batch.records, batch.keys) == (documented.records, documented.keys)
    assert next(iter(batch.counts)).startswith("unknown_form:dateSent is ISO 8601")
    assert not documented.counts


def test_an_offset_decides_day_and_hour_where_the_wall_clock_does_not() -> None:
    berlin = Window(date(2024, 10, 27), date(2024, 10, 27), Account("calltouch", "101", BERLIN))
    first, second = (
        to_batch(answer(ROW | {"dateSent": written}), berlin, RowContext.from_secret(SECRET))
        for written in ("2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00")
    )
    assert first.keys == second.keys
    assert first.records != second.records
    assert not first.counts.keys() & {"ambiguous_hour"}
    midnight = batch_of(ROW | {"dateSent": "2024-03-31T22:00:00Z"})
    assert midnight.days.tolist() == [day_number(date(2024, 4, 1))]


def test_what_came_instead_of_a_date_is_told_by_its_form_alone() -> None:
    [reject] = batch_of(ROW | {"dateSent": "Апр 1, 2024 15:05 +7 920 938-36-54"}).rejects
    assert reject.actual == "as aaa 9, 9999 99:99 +9 999 999-99-99 instead of dd-mm-yyyy HH:MM:SS"


def test_a_row_in_windows_1251_has_its_day_and_names_its_fields() -> None:
    page = answer(ROW, ROW | {"smsMessage": "code", "smsStatusDetail": "ok"})
    recoded = page.body.decode().encode("cp1251")
    batch = to_batch(replace(page, body=recoded), APRIL, RowContext.from_secret(SECRET))
    [reject] = batch.rejects
    assert (reject.reason, reject.day) == ("unreadable row: not UTF-8", date(2024, 4, 1))
    assert reject.actual == "in smsStatusDetail, smsMessage"
    assert len(batch) == 1


def test_a_date_under_another_name_is_told_with_the_name() -> None:
    renamed = {("sentAt2" if key == "dateSent" else key): text for key, text in ROW.items()}
    [reject] = batch_of(renamed).rejects
    assert reject.reason == "unreadable row: dateSent is missing"
    assert reject.actual == "beside sentAt#"


def test_a_page_that_was_decoded_is_not_decoded_again() -> None:
    page = answer(ROW)
    decoded = SmsResponse(
        1, {}, page.asked_at, page.received_at, 200, "", b"", decode_page(page.body)
    )

    assert to_batch(decoded, APRIL, RowContext.from_secret(SECRET)).records == batch_of(ROW).records


def test_equal_rows_stay_several() -> None:
    batch = batch_of(ROW, ROW, ROW | {"smsStatus": "waiting"})

    assert len(batch) == 3
    assert len({batch.keys[at : at + 16] for at in (0, 16, 32)}) == 1
    assert len(set(batch.hashes.tolist())) == 2


def test_a_key_depends_on_phone_second_and_text_alone_and_not_on_how_the_second_is_written() -> (
    None
):
    elements = [
        ROW,
        ROW | {"smsStatus": "error", "smsStatusDetail": "Запрещено"},
        ROW | {"dateSent": "01.04.2024 15:05:32"},
        ROW | {"dateSent": "2024-04-01 15:05:32"},
        ROW | {"phoneNumber": "+79209383654"},
        ROW | {"dateSent": "01-04-2024 15:05:33"},
        ROW | {"smsMessage": "Ваш код: 14112"},
    ]

    keys = [batch_of(element).keys for element in elements]

    assert len(set(keys[:4])) == 1
    assert len(set(keys)) == 4


@pytest.mark.parametrize("key", NULLABLE)
def test_null_is_a_value_and_another_one_than_empty(table: CopyTable, key: str) -> None:
    null, empty = ROW | {key: None}, ROW | {key: ""}
    absent = {name: text for name, text in ROW.items() if name != key}

    batch = batch_of(null, empty, absent)

    rows = named(table.round_trip(batch.records))
    column = dict(TABLE.fields)[key]
    assert [row[column] for row in rows] == [None, "", None]
    assert (batch.rejects, batch.nulls, batch.absent) == ([], {key: 1}, {key: 1})
    assert batch.records[0] == batch.records[2]
    assert len({batch.keys[at : at + 16] for at in (0, 16, 32)}) == (
        2 if "Status" not in key else 1
    )


@pytest.mark.parametrize(
    ("status", "detail", "outcome"),
    [
        (None, "Доставлено", ("undetermined", "no_status", False)),
        (None, None, ("undetermined", "no_status", False)),
        ("delivered", None, ("delivered", None, True)),
        ("error", None, ("failed", "no_detail", True)),
        ("sent", None, ("pending", None, False)),
        ("unknown", None, ("undetermined", "unknown_status", False)),
        ("read", None, ("undetermined", "unknown_status", False)),
    ],
)
def test_what_a_status_or_a_detail_that_is_null_comes_to(
    status: str | None, detail: str | None, outcome: tuple[str, str | None, bool]
) -> None:
    found = outcome_of(status, detail)
    assert (found.outcome, found.reason, found.is_final) == outcome
    batch = batch_of(ROW | {"smsStatus": status, "smsStatusDetail": detail})
    strange = {"unknown_status:read + null": 1} if status == "read" else {}
    assert (batch.counts, batch.observed) == (strange, [outcome[2]])


def test_what_a_rejected_row_lacks_is_not_counted_among_the_loaded_ones() -> None:
    stray = {"dateSent": "31-03-2024 23:59:59", "smsMessage": None}

    batch = batch_of(ROW, stray, ROW | {"smsMessage": None})

    assert len(batch.rejects) == 1
    assert (batch.nulls, batch.absent) == ({"smsMessage": 1}, {})


def test_a_key_cannot_be_imitated_by_moving_characters_from_phone_to_text() -> None:
    wall = datetime(2024, 4, 1, 15, 5, 32)  # noqa: DTZ001
    second = "01-04-2024 15:05:32"

    assert sms_key("7", wall, f"{second}x") != sms_key(f"7{second}", wall, "x")


def test_a_number_is_one_recipient_in_any_mask_and_under_one_key_alone() -> None:
    def recipient(phone: str, secret: str = SECRET) -> bytes:
        record = batch_of(
            ROW | {"phoneNumber": phone}, context=RowContext.from_secret(secret)
        ).records[0]
        field = encode("text", "RU")
        start = record.index(field) + len(field)
        return record[start : start + 20]

    masks = ("79209383654", "89209383654", "+7 920 938-36-54", "9209383654")
    assert len({recipient(phone) for phone in masks}) == 1
    assert recipient(masks[0]) != recipient("79209383655")
    assert recipient(masks[0]) != recipient(masks[0], SECRET + "!")


def test_texts_that_cannot_be_stored_are_mended_and_counted(table: CopyTable) -> None:
    ugly = json.dumps(ROW | {"smsMessage": "a\x00b\ud83d"})

    batch = batch_of(ROW, ugly)

    assert [row["message"] for row in named(table.round_trip(batch.records))] == [
        ROW["smsMessage"],
        "a\u2400b\ufffd",
    ]
    assert batch.counts == Counter(nul_replaced=1, surrogate_replaced=1)


def test_an_unseen_pair_is_counted_under_its_name() -> None:
    new = ROW | {"smsStatus": "sent", "smsStatusDetail": "Код 42"}

    batch = batch_of(new, ROW, new, ROW | {"smsStatus": "read", "phoneNumber": "1"})

    assert batch.counts == Counter(
        {"unknown_status:sent + Код ##": 2, "unknown_status:read + Доставлено": 1}
    )


def test_a_repeated_hour_is_counted_whatever_form_the_row_has() -> None:
    berlin = Account("calltouch", "101", ZoneInfo("Europe/Berlin"))
    window = Window(date(2024, 10, 27), date(2024, 10, 27), berlin)
    plain = ROW | {"dateSent": "27-10-2024 02:30:00"}

    batch = batch_of(plain, plain | {"phoneNumber": "375291234567"}, window=window)

    assert batch.counts == Counter(ambiguous_hour=2)


def test_the_counts_of_the_page_are_handed_on() -> None:
    batch = batch_of(ROW | {"new": 1}, "null")

    assert batch.counts == Counter({"unknown_key:new": 1})
    assert [reject.reason for reject in batch.rejects] == ["unreadable row: not an object but null"]


def test_an_empty_page_is_an_empty_batch() -> None:
    batch = batch_of()

    assert (len(batch), batch.received, batch.keys, batch.observed) == (0, 0, b"", [])
    assert (len(batch.days), len(batch.hashes)) == (0, 0)


def test_what_is_remembered_between_pages_is_bounded_and_changes_no_row() -> None:
    context = RowContext.from_secret(SECRET)
    elements = [
        ROW | {"smsMessage": f"Слово {chr(0x3400 + n)}", "smsStatusDetail": f"{chr(0x3400 + n)}"}
        for n in range(REMEMBERED + 100)
    ]

    first = batch_of(*elements, context=context)
    again = batch_of(*elements, context=context)

    assert len(context.templates) <= REMEMBERED
    assert len(context.statuses) <= REMEMBERED
    assert first.records == again.records
    assert len(first.counts) == 21


@pytest.mark.parametrize(
    "text",
    [
        "https://a.bc/x[1] ",
        "https://a.bc/x^~{2}|",
        "a.bc/x€7",
        "a.bc/`",
        "\nshop.ru/s/8?a=b#c ",
        "shop.ru/x/y a.bc/z",
        "http://почта.рф/3",
        "и/или x.y 1/2",
    ],
)
def test_what_is_remembered_of_a_text_fits_every_text_that_looks_alike(text: str) -> None:
    key = sub_key(SECRET, "template")
    memory = TemplateMemory(key)
    for filler in ("l", "ж"):
        for count in range(40, 165):
            message = f"{text}{filler * count}"
            expected = encode("uuid", template_id(message, key)) + encode(
                "smallint", segments_of(message)
            )
            assert memory.look_up([message.encode()]) == [expected]


def test_long_texts_are_not_remembered() -> None:
    context = RowContext.from_secret(SECRET)

    batch_of(ROW | {"smsMessage": "я" * 5000, "smsStatusDetail": "я" * 5000}, context=context)

    assert (context.templates, context.statuses) == ({}, {})


@pytest.mark.parametrize("piece", ["/", "a.bc/ ", "http://", "1", "\n/"])
def test_a_message_of_a_megabyte_takes_no_more_than_a_moment(piece: str) -> None:
    element = ROW | {"smsMessage": piece * (1_000_000 // len(piece))}
    started = time.process_time()

    assert len(batch_of(element)) == 1
    assert time.process_time() - started < 5


def test_seconds_since_2000_are_what_instants_count_from() -> None:
    assert EPOCH + timedelta(seconds=86_400) == datetime(2000, 1, 2)  # noqa: DTZ001
