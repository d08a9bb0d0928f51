"""The Calltouch client against a vendor that is spoilt on purpose, over real HTTP."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from dagster_project.errors import (
    AccessDenied,
    AnswerNotTrusted,
    CredentialsRefused,
    QuotaSpent,
    RequestRefused,
    SettingsError,
    TryLater,
    WarehouseError,
)
from dagster_project.model import Account, Answer, Restart, Tally, Window
from dagster_project.transport.governor import Governor
from dagster_project.vendors.calltouch.client import THREADS, Client
from dagster_project.warehouse.budget import Budget
from dagster_project.warehouse.connection import Warehouse
from tests.transport.scripted_server import Asked, Play, hang, reply, reset
from tests.vendors.calltouch.played import (
    DAY,
    MOSCOW,
    OTHER_PATH,
    PATH,
    SITE,
    TOKEN,
    WINDOW,
    Played,
    Spoilt,
    calltouch,
    page_of,
    phones,
    read,
    sms,
)

NO_ACCESS = (
    '{"meta": [], "data": {"message": "Пользователь Пётр Иванов 89209383654 не имеет доступа '
    'к данному методу API"}}'
)
BAD_CREDENTIALS = '{"message": "Invalid credentials."}'
VALIDATION = """{"meta": [], "data": {"type": "validationError", "apiErrorData": null,
  "validationErrorData": {"violations": [
    {"fieldPath": "dateFrom", "message": "Значение не может быть больше текущего дня"},
    {"fieldPath": "dateTo", "message": "Значение не должно быть пустым."}]}}}"""
PRINTED = """{
    "meta": [],
    "data": {
        "type": "validationError",
        "apiErrorData": null,
        "validationErrorData": {
            "violations": [
                {
                    "fieldPath": "dateTo",
                    "message": "Значение не может быть меньше dateFrom",
                },
                {
                    "fieldPath": "phoneNumbers",
                    "message": "Эта коллекция должна содержать больше или равно 1 элементу"
                }


            ]
        }
    }
}
"""
API_ERROR = """{"meta": [], "data": {"type": "apiError", "apiErrorData": {"errorCode": 1,
  "errorMessage": "Синтаксическая ошибка JSON в запросе или запрос пустой",
  "errorDescription": null}, "validationErrorData": null}}"""
MISSING = '{"meta": [], "data": {"message": "В запросе не указано обязательное поле dateTo"}}'
POINTS = '{"meta": [], "data": {"message": "Превышен суточный лимит баллов API"}}'

STATUSES = [200, 400, 401, 403, 404, 422, 429, 500, 503]
DOCUMENTED: list[tuple[str, type[WarehouseError], str]] = [
    (NO_ACCESS, AccessDenied, "не имеет доступа к данному методу API"),
    (BAD_CREDENTIALS, CredentialsRefused, "Invalid credentials."),
    (VALIDATION, RequestRefused, "«dateFrom» «Значение не может быть больше текущего дня»"),
    (PRINTED, RequestRefused, "«dateTo» «Значение не может быть меньше dateFrom»"),
    (API_ERROR, RequestRefused, "error 1 «Синтаксическая ошибка JSON в запросе"),
    (MISSING, RequestRefused, "обязательное поле dateTo"),
    (POINTS, QuotaSpent, "Превышен суточный лимит баллов API"),
]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(("body", "error", "said"), DOCUMENTED)
def test_an_error_is_told_by_its_body_whatever_status_carries_it(
    body: str, error: type[WarehouseError], said: str, status: int
) -> None:
    tally = Tally()
    with (
        calltouch(Played([], refusal=lambda asked: reply(body, status))) as (vendor, client),
        pytest.raises(error) as failure,
    ):
        read(client, tally=tally)
    assert said in str(failure.value)
    assert str(failure.value).startswith("calltouch account 101 2024-04-01: ")
    assert (len(vendor.questions), tally.points) == (1, 0)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ("", 404, RequestRefused),
        ("<html>", 404, RequestRefused),
        ("<html>", 401, CredentialsRefused),
        ("{}", 403, AccessDenied),
        ('{"message": "Что-то новое"}', 400, RequestRefused),
        ('{"data": {"message": "Что-то новое"}}', 200, RequestRefused),
        ('{"data": {"rows": []}}', 200, AnswerNotTrusted),
        ("[]", 200, AnswerNotTrusted),
        ("null", 200, AnswerNotTrusted),
    ],
)
def test_where_the_body_says_nothing_known_the_status_decides(
    body: str, status: int, error: type[WarehouseError]
) -> None:
    vendor = Played([], refusal=lambda asked: reply(body, status))
    with calltouch(vendor) as (_, client), pytest.raises(error):
        read(client)
    assert len(vendor.questions) == 1


@pytest.mark.parametrize(
    "play",
    [
        reply('{"message": "Too Many Requests"}', 429),
        reply('{"message": "Too Many Requests"}', 200),
        reply("", 429),
        reply("<html>", 502),
        reply('{"message": "Что-то новое"}', 500),
        reply(""),
        reply("<html><body>login</body></html>"),
        reply('{"meta": [], "data": {"totalCountSms": 3, "pageOfResult": 1, "smsDetails": [{"ph'),
        reply('{"data": {"totalCountSms": 0, "pageOfResult": 1, "smsDetails": []}}', 500),
        reply('{"data": {"totalCountSms": 0, "pageOfResult": 1, "smsDetails": []}}', 404),
        reset(),
        hang(1.5),
    ],
)
def test_what_may_pass_is_asked_again_and_in_the_end_left_for_later(play: Play) -> None:
    tally = Tally()
    with calltouch(Played([sms(1)], {1: Spoilt(play=play, times=2)})) as (_, client):
        assert phones(read(client, tally=tally)) == [sms(1)["phoneNumber"]]
    assert tally.requests == 3
    with (
        calltouch(Played([], {1: Spoilt(play=play)})) as (vendor, client),
        pytest.raises(TryLater, match="was tried 3 times"),
    ):
        read(client)
    assert len(vendor.questions) == 3


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 35, 121])
def test_every_row_arrives_once_whatever_the_number_of_pages(count: int) -> None:
    tally = Tally()
    with calltouch(count) as (_, client):
        answers = read(client, tally=tally)
    pages = max(-(-count // 10), 1)
    assert sorted(phones(answers)) == [sms(n)["phoneNumber"] for n in range(count)]
    assert sorted(answer.sequence for answer in answers) == list(range(1, pages + 1))
    assert answers[0].sequence == 1
    assert (tally.pages, tally.vendor_total, tally.requests) == (pages, count, pages)
    assert tally.points == 2 * pages


def test_equal_rows_are_all_kept() -> None:
    rows = [sms(n // 3) for n in range(35)]
    with calltouch(Played(rows)) as (_, client):
        assert sorted(phones(read(client))) == sorted(row["phoneNumber"] for row in rows)


def test_the_question_is_the_documented_one() -> None:
    with calltouch(11) as (vendor, client):
        window = Window(DAY, DAY.replace(day=15), SITE)
        answers = read(client, window)
    asked = {"dateFrom": "01-04-2024 00:00:00", "dateTo": "15-04-2024 23:59:59"}
    assert vendor.questions == [asked, {**asked, "pageOfResult": 2}]
    assert answers[0].request["json"] == asked
    assert answers[0].request["path"] == PATH


@pytest.mark.parametrize("path", [PATH, OTHER_PATH, OTHER_PATH.lstrip("/")])
def test_both_documented_paths_and_the_headers(path: str) -> None:
    headers: list[Asked] = []
    with calltouch(Played([sms(1)], refusal=headers.append), path=path) as (_, client):
        read(client)
    assert headers[0].path == "/" + path.lstrip("/")
    assert headers[0].method == "POST"
    assert headers[0].headers["access-token"] == TOKEN
    assert headers[0].headers["siteid"] == "101"
    assert headers[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("now", "asked_until"),
    [
        (datetime(2024, 4, 2, 20, 59, tzinfo=UTC), "02-04-2024 23:59:59"),
        (datetime(2024, 4, 2, 21, 1, tzinfo=UTC), "03-04-2024 23:59:59"),
    ],
)
def test_no_bound_lies_after_today_at_the_vendor(now: datetime, asked_until: str) -> None:
    with calltouch(1, now=lambda: now) as (vendor, client):
        read(client, Window(DAY, DAY.replace(day=9), SITE))
        assert vendor.questions[0]["dateTo"] == asked_until
        with pytest.raises(RequestRefused, match="has not begun"):
            read(client, Window(DAY.replace(day=8), DAY.replace(day=9), SITE))
    assert len(vendor.questions) == 1


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({2: Spoilt(total=34)}, "the total moved from 35 to 34 on page 2"),
        ({2: Spoilt(number=3)}, "page 2 came with the number 3"),
        ({2: Spoilt(number=None)}, "page 2 came with the number None"),
        ({1: Spoilt(number=2)}, "page 1 came with the number 2"),
        ({2: Spoilt(rows=[sms(n) for n in range(9)])}, "page 2 holds 9 records where 10 are due"),
        ({4: Spoilt(rows=[sms(n) for n in range(6)])}, "page 4 holds 6 records where 5 are due"),
        ({1: Spoilt(total=36)}, "the total moved from 36 to 35"),
        ({1: Spoilt(play=page_of([sms(1)], None, 1))}, "page 1 tells no total"),
        ({3: Spoilt(rows=[sms(n) for n in range(19, 9, -1)])}, "holds the rows of page"),
        (
            {3: Spoilt(play=reply('{"data": {"smsDetails": [{"a": }]}}'))},
            "page 3 is not whole JSON",
        ),
    ],
)
def test_pages_untrue_to_each_other_are_read_again_and_then_not_trusted(
    spoilt: dict[int, Spoilt], reason: str
) -> None:
    rows = [sms(n) for n in range(35)]
    with calltouch(Played(rows, spoilt)) as (vendor, client):
        tally = Tally()
        with pytest.raises(AnswerNotTrusted, match="read 3 times") as failure:
            read(client, tally=tally)
        assert reason in str(failure.value)
        assert vendor.pages_asked.count(1) == 3
        for fault in vendor.spoilt.values():
            fault.times = 1
        tally = Tally()
        answers = read(client, tally=tally)
    assert sorted(phones(answers)) == [row["phoneNumber"] for row in rows]
    assert len(tally.notes["restarts"]) == 1
    assert (tally.pages, tally.vendor_total) == (4, 35)


def test_a_restart_tells_its_reason_before_the_new_reading() -> None:
    with calltouch(Played([sms(n) for n in range(20)], {2: Spoilt(total=21, times=1)})) as (
        _,
        client,
    ):
        came = list(client.extract(WINDOW, Tally()))
    assert [type(one) for one in came] == [Answer, Restart, Answer, Answer]
    assert came[1] == Restart("the total moved from 20 to 21 on page 2")


def test_rows_that_cannot_be_read_count_among_the_records() -> None:
    rows: list[Any] = [sms(n) for n in range(9)]
    with calltouch(Played([*rows, {"phoneNumber": None}, sms(11)])) as (_, client):
        answers = read(client)
    assert [answer.decoded.received for answer in answers] == [10, 1]


def test_page_1_may_leave_its_number_out() -> None:
    for number in (None, 0, 1):
        with calltouch(Played([sms(1)], {1: Spoilt(number=number)})) as (_, client):
            assert len(read(client)) == 1


def test_a_failing_page_fails_the_window_and_gives_the_others_up() -> None:
    def refusal(asked: Asked) -> Play | None:
        if asked.json.get("pageOfResult") == 2:
            return reply(NO_ACCESS, after=0.2)
        return hang(5) if asked.json.get("pageOfResult", 1) > 2 else None

    began = time.monotonic()
    with (
        calltouch(Played([sms(n) for n in range(300)], refusal=refusal)) as (_, client),
        pytest.raises(AccessDenied),
    ):
        read(client)
    assert time.monotonic() - began < 2.0


def test_pages_are_fetched_side_by_side() -> None:
    def slowly(asked: Asked) -> Play | None:
        page = asked.json.get("pageOfResult", 1)
        rows = [sms(n) for n in range(10 * (page - 1), 10 * page)]
        time.sleep(0.1)
        return page_of(rows, 1000, page)

    began = time.monotonic()
    with calltouch(Played([], refusal=slowly)) as (_, client):
        answers = read(client)
    assert len(set(phones(answers))) == 1000
    assert time.monotonic() - began < 100 * 0.1 / 4


def test_a_slow_consumer_bounds_what_is_fetched_ahead() -> None:
    with calltouch(1000) as (vendor, client):
        taken = 0
        for _ in client.extract(WINDOW, Tally()):
            taken += 1
            time.sleep(0.02)
            assert len(vendor.questions) <= taken + THREADS
    assert taken == 100


def test_a_consumer_that_stops_early_leaves_no_thread_behind() -> None:
    with calltouch(1000) as (vendor, client):
        reading = client.extract(WINDOW, Tally())
        assert isinstance(reading, Iterator)
        for _ in range(3):
            next(reading)
        reading.close()  # type: ignore[attr-defined]
        assert not [t for t in threading.enumerate() if t.name.startswith("side-by-side")]
    assert len(vendor.questions) <= 3 + THREADS


def test_counting_costs_one_call_and_loads_nothing() -> None:
    tally = Tally()
    with calltouch(35) as (vendor, client):
        assert client.count(WINDOW, tally) == 35
    assert (vendor.pages_asked, tally.points) == ([1], 2)


@pytest.mark.parametrize("body", [VALIDATION, MISSING, API_ERROR])
def test_a_check_passes_where_the_vendor_only_misses_the_question(body: str) -> None:
    tally = Tally()
    with calltouch(Played([], refusal=lambda asked: reply(body, 400))) as (vendor, client):
        client.check(SITE, tally)
    assert (vendor.questions, tally.points) == ([{}], 0)


@pytest.mark.parametrize(
    ("play", "error"),
    [
        (reply(BAD_CREDENTIALS, 401), CredentialsRefused),
        (reply(NO_ACCESS), AccessDenied),
        (reply("<html>", 404), RequestRefused),
    ],
)
def test_a_check_fails_where_the_vendor_does_not_let_us_in(
    play: Play, error: type[WarehouseError]
) -> None:
    with calltouch(Played([], refusal=lambda asked: play)) as (_, client), pytest.raises(error):
        client.check(SITE)


def test_a_site_without_settings_is_named() -> None:
    with calltouch(1) as (_, client), pytest.raises(SettingsError, match="site 999"):
        read(client, Window(DAY, DAY, Account("calltouch", "999", MOSCOW)))


def test_a_vendors_text_is_shown_without_names_and_numbers_and_shortened() -> None:
    for body, shown, hidden in [
        (NO_ACCESS, "Пользователь … не имеет доступа", ("Пётр", "89209383654")),
        (
            '{"data": {"message": "Номер +7 (920) 938-36-54, почта ivan@mail.ru"}}',
            "«Номер …, почта …»",
            ("938", "ivan"),
        ),
        ('{"data": {"message": "' + "Ы" * 4000 + '"}}', "Ы" * 300 + "…»", ("Ы" * 301,)),
    ]:
        vendor = Played([], refusal=lambda asked, body=body: reply(body, 400))  # type: ignore[misc]
        with calltouch(vendor) as (_, client), pytest.raises(WarehouseError) as failure:
            read(client)
        assert shown in str(failure.value)
        assert [text for text in hidden if text in str(failure.value)] == []


def failure_of(client: Client) -> tuple[WarehouseError, list[Answer | Restart]]:
    came: list[Answer | Restart] = []
    try:
        came.extend(client.extract(WINDOW, Tally()))
    except WarehouseError as error:
        return error, came
    raise AssertionError("the window did not fail")


@pytest.mark.parametrize(
    "play",
    [
        reply(BAD_CREDENTIALS, 401, {"Set-Cookie": f"sid={TOKEN}"}),
        reply("<html>", 502),
        reset(),
        reply('{"data": {"totalCountSms": 5, "pageOfResult": 1, "smsDetails": []}}'),
        reply('{"oops": 1}'),
    ],
)
def test_no_credential_and_no_row_shows_in_logs_errors_or_stored_requests(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vendor = Played([sms(n) for n in range(20)], {2: Spoilt(play=play)})
    with calltouch(vendor) as (_, client):
        failure, answers = failure_of(client)
    report = traceback.TracebackException.from_exception(failure, capture_locals=True)
    shown = [str(failure), "".join(report.format()), repr(answers), caplog.text]
    shown += [repr(record.__dict__) for record in caplog.records]
    assert [text for text in shown if TOKEN in text or "Ваш код" in text] == []


@pytest.fixture
def governor(warehouse: Warehouse) -> Iterator[Governor]:
    budget = Budget(warehouse)
    yield Governor(budget)
    budget.close()


TODAY = datetime(2024, 4, 20, tzinfo=MOSCOW).date()


def test_points_are_counted_for_every_call_that_succeeded(governor: Governor) -> None:
    tally = Tally()
    with calltouch(35, governor=governor) as (_, client):
        read(client, tally=tally)
    assert tally.points == 8
    assert governor.standing(SITE, TODAY) == (8, 0)


def test_a_call_that_failed_for_certain_is_free_and_one_of_unknown_outcome_is_not(
    governor: Governor,
) -> None:
    cases: list[tuple[Play, int]] = [
        (reply("", 429), 0),
        (reply("", 500), 0),
        (reply('{"message": "Too Many Requests"}', 429, {"Retry-After": "0"}), 0),
        (reply("", 504), 2),
        (reset(), 2),
        (reply("<html>"), 2),
        (reply(""), 2),
    ]
    spent = 0
    for play, cost in cases:
        tally = Tally()
        vendor = Played([sms(1)], {1: Spoilt(play=play, times=1)})
        with calltouch(vendor, governor=governor) as (_, client):
            read(client, tally=tally)
        assert tally.points == 2 + cost, play
        spent += 2 + cost
        assert governor.standing(SITE, TODAY) == (spent, 0)


def test_a_window_that_is_expected_not_to_fit_is_not_begun(governor: Governor) -> None:
    with (
        calltouch(35, governor=governor, daily_points=7, expected_pages=lambda window: 4) as (
            vendor,
            client,
        ),
        pytest.raises(QuotaSpent, match=r"4 calls \(8 points\) do not fit: of 7 points"),
    ):
        read(client)
    assert vendor.questions == []
    assert governor.standing(SITE, TODAY) == (0, 0)


def test_a_window_that_turns_out_not_to_fit_stops_after_page_1(governor: Governor) -> None:
    with (
        calltouch(35, governor=governor, daily_points=7) as (vendor, client),
        pytest.raises(
            QuotaSpent, match=r"3 calls \(6 points\) do not fit: of 7 points .* 2 are spent"
        ),
    ):
        read(client)
    assert vendor.pages_asked == [1]
    assert governor.standing(SITE, TODAY) == (2, 0)


def test_a_window_that_fits_exactly_is_loaded(governor: Governor) -> None:
    with calltouch(35, governor=governor, daily_points=8) as (_, client):
        assert len(read(client)) == 4
        with pytest.raises(QuotaSpent):
            read(client)
    assert governor.standing(SITE, TODAY) == (8, 0)


def test_what_the_hint_reserved_too_much_is_free_for_others_after_page_1(
    governor: Governor,
) -> None:
    with calltouch(20, governor=governor, daily_points=20, expected_pages=lambda window: 9) as (
        _,
        client,
    ):
        reading = client.extract(WINDOW, Tally())
        next(reading)
        assert governor.standing(SITE, TODAY) == (2, 16)
        next(reading)
        assert governor.standing(SITE, TODAY) == (4, 0)
        reading.close()  # type: ignore[attr-defined]
    assert governor.standing(SITE, TODAY)[1] == 0


def test_spent_points_that_the_vendor_knows_of_are_told_with_our_own_count(
    governor: Governor,
) -> None:
    vendor = Played([], refusal=lambda asked: reply(POINTS, 403))
    with (
        calltouch(vendor, governor=governor, daily_points=100) as (_, client),
        pytest.raises(QuotaSpent) as failure,
    ):
        read(client)
    assert "the vendor says that the day's points are spent" in str(failure.value)
    assert "0 of 100 points spent" in str(failure.value)
    assert "2024-04-21 00:00 Europe/Moscow" in str(failure.value)


def test_a_429_holds_back_the_whole_host(governor: Governor) -> None:
    vendor = Played([sms(1)], {1: Spoilt(play=reply("", 429, {"Retry-After": "1"}), times=1)})
    with calltouch(vendor, governor=governor) as (_, client):
        began = time.monotonic()
        read(client)
    assert time.monotonic() - began >= 0.9
