"""What the Calltouch client makes of answers that are no pages, and what it shows of them."""

from __future__ import annotations

import logging
import traceback

import pytest

from dagster_project.errors import (
    AccessDenied,
    AnswerNotTrusted,
    CredentialsRefused,
    QuotaSpent,
    RequestRefused,
    TryLater,
    WarehouseError,
)
from dagster_project.model.response import ExtractStats, Response, Restart
from dagster_project.transport.connection import Timeouts
from dagster_project.vendors.calltouch.client import CalltouchClient
from tests.transport.scripted_server import Play, hang, reply, reset
from tests.vendors.calltouch.bodies import (
    API_ERROR,
    BAD_CREDENTIALS,
    MISSING,
    NO_ACCESS,
    POINTS,
    PRINTED,
    VALIDATION,
)
from tests.vendors.calltouch.played import (
    SITE,
    TOKEN,
    WINDOW,
    Played,
    Spoilt,
    calltouch,
    phones,
    read,
    sms,
)

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
    stats = ExtractStats()
    with (
        calltouch(Played([], refusal=lambda asked: reply(body, status))) as (vendor, client),
        pytest.raises(error) as failure,
    ):
        read(client, stats=stats)
    assert said in str(failure.value)
    assert str(failure.value).startswith("calltouch account 101 2024-04-01: ")
    assert (len(vendor.questions), stats.points) == (1, 0)


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
    ],
)
def test_what_may_pass_is_asked_again_and_in_the_end_left_for_later(play: Play) -> None:
    ask_again_and_leave_for_later(play)


def test_a_vendor_that_hangs_is_asked_again_and_in_the_end_left_for_later() -> None:
    ask_again_and_leave_for_later(hang(10), Timeouts(connect=10, read=1.5, total=3))


def ask_again_and_leave_for_later(play: Play, timeouts: Timeouts | None = None) -> None:
    stats = ExtractStats()
    vendor = Played([sms(1)], {1: Spoilt(play=play, times=2)})
    with calltouch(vendor, timeouts=timeouts) as (_, client):
        assert phones(read(client, stats=stats)) == [sms(1)["phoneNumber"]]
    assert stats.requests == 3
    vendor = Played([], {1: Spoilt(play=play)})
    with (
        calltouch(vendor, timeouts=timeouts) as (_, client),
        pytest.raises(TryLater, match="was tried 3 times"),
    ):
        read(client)
    assert len(vendor.questions) == 3


@pytest.mark.parametrize("body", [VALIDATION, MISSING, API_ERROR])
def test_a_check_passes_where_the_vendor_only_misses_the_question(body: str) -> None:
    stats = ExtractStats()
    with calltouch(Played([], refusal=lambda asked: reply(body, 400))) as (vendor, client):
        client.check(SITE, stats)
    assert (vendor.questions, stats.points) == ([{}], 0)


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
        client.check(SITE, ExtractStats())


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


def failure_of(client: CalltouchClient) -> tuple[WarehouseError, list[Response | Restart]]:
    came: list[Response | Restart] = []
    try:
        came.extend(client.extract(WINDOW, ExtractStats()))
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
