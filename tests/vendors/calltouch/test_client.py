"""Pages of the Calltouch client: asked for as documented, concurrently, proved to be all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dagster_project.concurrency import BOUNDS
from dagster_project.errors import (
    AccessDenied,
    AnswerNotTrusted,
    CredentialsRefused,
    RequestRefused,
    SettingsError,
)
from dagster_project.model.response import ExtractStats, Restart
from dagster_project.model.window import Account, Window
from dagster_project.vendors.calltouch.sms_page import SmsResponse
from tests.transport.scripted_server import Asked, Play, hang, reply
from tests.vendors.calltouch.bodies import (
    BAD_CREDENTIALS,
    MISSING,
    NO_ACCESS,
)
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
    phones,
    read,
    sms,
)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 35, 121])
def test_every_row_arrives_once_whatever_the_number_of_pages(count: int) -> None:
    stats = ExtractStats()
    with calltouch(count) as (_, client):
        answers = read(client, stats=stats)
    pages = max(-(-count // 10), 1)
    assert sorted(phones(answers)) == [sms(n)["phoneNumber"] for n in range(count)]
    assert sorted(answer.sequence for answer in answers) == list(range(1, pages + 1))
    assert answers[0].sequence == 1
    assert (stats.pages, stats.vendor_total, stats.requests) == (pages, count, pages)
    assert stats.points == 2 * pages


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
        ({2: Spoilt(number=3)}, "page 2 has the number 3"),
        ({2: Spoilt(number=None)}, "page 2 has the number None"),
        ({1: Spoilt(number=2)}, "page 1 has the number 2"),
        ({2: Spoilt(rows=[sms(n) for n in range(9)])}, "page 2 has 9 records instead of 10"),
        ({4: Spoilt(rows=[sms(n) for n in range(6)])}, "page 4 has 6 records instead of 5"),
        ({1: Spoilt(total=36)}, "the total moved from 36 to 35"),
        ({3: Spoilt(rows=[sms(n) for n in range(19, 9, -1)])}, "has the rows of page"),
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
        stats = ExtractStats()
        with pytest.raises(AnswerNotTrusted, match="read 3 times") as failure:
            read(client, stats=stats)
        assert reason in str(failure.value)
        assert vendor.pages_asked.count(1) == 3
        for fault in vendor.spoilt.values():
            fault.times = 1
        stats = ExtractStats()
        answers = read(client, stats=stats)
    assert sorted(phones(answers)) == [row["phoneNumber"] for row in rows]
    assert len(stats.notes["restarts"]) == 1
    assert (stats.pages, stats.vendor_total) == (4, 35)


HUGE = 10**18
PHP = "<br />\n<b>Warning</b>: Undefined index in /srv/api.php on line 3\n"


def page_text(details: str, total: str, more: str = "") -> str:
    return f'{{"meta": [], "data": {{"totalCountSms": {total}, "pageOfResult": 1, {more}"smsDetails": {details}}}}}'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (page_text('{"0": {}}', "1"), "data.smsDetails is an object, not a list"),
        (page_text("null", "0"), "data.smsDetails is null, not a list"),
        (page_text('"none"', "0"), "data.smsDetails is a text, not a list"),
        (page_text("{}", "0", f'"pad": "{"x" * 2000}", '), "data.smsDetails is an object"),
        ('{"meta": [], "data": {"totalCountSms": 0}}', "data has no smsDetails"),
        ('{"meta": [], "data": [{"smsDetails": []}]}', "data is a list, not an object"),
        ('{"meta": []}', "the answer has no data"),
        ('[{"data": {"smsDetails": []}}]', "the answer is a list, not an object"),
        (PHP + page_text("[]", "0"), "there is other text before the JSON"),
        (PHP * 20 + page_text("[]", "0"), "there is other text before the JSON"),
        ("Notice: x\n" + page_text("[]", "0"), "there is other text before the JSON"),
        (page_text("[]", "0") + PHP, "there is other text after the JSON"),
        (page_text("[]", "0") * 2, "there is other text after the JSON"),
        (page_text("[]", str(HUGE)), "data.totalCountSms is a number of 19 digits"),
        (page_text("[]", "9" * 30), "data.totalCountSms is a number of 30 digits"),
        (page_text("[]", "1.5"), "data.totalCountSms is no whole number"),
        (page_text("[]", "-1"), "data.totalCountSms is negative"),
        (page_text("[]", '"0"'), "data.totalCountSms is a text"),
        (page_text("[]", "null"), "data.totalCountSms is null"),
        (page_text("[]", "[0]"), "data.totalCountSms is a list"),
    ],
)
@pytest.mark.parametrize("number", [1, 2])
def test_a_success_of_an_unknown_form_says_what_is_unknown_at_the_price_of_one_call(
    body: str, said: str, number: int
) -> None:
    """Whatever comes for page 2 is no better than for page 1: nothing is read again."""
    vendor = Played([sms(n) for n in range(12)], {number: Spoilt(play=reply(body))})
    stats = ExtractStats()
    with calltouch(vendor) as (_, client):
        with pytest.raises(AnswerNotTrusted) as failure:
            read(client, stats=stats)
        if number == 1:
            with pytest.raises(AnswerNotTrusted):
                client.count(WINDOW, ExtractStats())
    assert said in str(failure.value)
    assert vendor.pages_asked == ([1, 1] if number == 1 else [1, 2])
    assert (stats.requests, stats.points) == (number, 2 * number)


def test_a_total_beyond_belief_beside_a_full_page_asks_for_no_more_pages() -> None:
    rows = [sms(n) for n in range(10)]
    vendor = Played(rows, {1: Spoilt(total=HUGE)})
    with calltouch(vendor) as (_, client), pytest.raises(AnswerNotTrusted, match="of 19 digits"):
        read(client)
    assert vendor.pages_asked == [1]


def test_a_restart_tells_its_reason_before_the_new_reading() -> None:
    with calltouch(Played([sms(n) for n in range(20)], {2: Spoilt(total=21, times=1)})) as (
        _,
        client,
    ):
        came = list(client.extract(WINDOW, ExtractStats()))
    assert [type(one) for one in came] == [SmsResponse, Restart, SmsResponse, SmsResponse]
    assert came[1] == Restart("the total moved from 20 to 21 on page 2")


def test_rows_that_cannot_be_read_count_among_the_records() -> None:
    rows: list[Any] = [sms(n) for n in range(9)]
    with calltouch(Played([*rows, {"phoneNumber": None}, sms(11)])) as (_, client):
        answers = read(client)
    assert [answer.page.received for answer in answers] == [10, 1]


def test_page_1_may_leave_its_number_out() -> None:
    for number in (None, 0, 1):
        with calltouch(Played([sms(1)], {1: Spoilt(number=number)})) as (_, client):
            assert len(read(client)) == 1


def test_a_failing_page_fails_the_window_and_gives_the_others_up() -> None:
    def refusal(asked: Asked) -> Play | None:
        if asked.json.get("pageOfResult") == 2:
            return reply(NO_ACCESS, after=0.2)
        return hang(30) if asked.json.get("pageOfResult", 1) > 2 else None

    began = time.monotonic()
    with (
        calltouch(Played([sms(n) for n in range(300)], refusal=refusal)) as (_, client),
        pytest.raises(AccessDenied),
    ):
        read(client)
    assert time.monotonic() - began < 15


def test_pages_are_fetched_concurrently_more_of_them_than_may_be_held() -> None:
    together = threading.Barrier(BOUNDS.requested)

    def when_all_are_asked(asked: Asked) -> Play | None:
        if asked.json.get("pageOfResult", 1) > 1:
            together.wait(timeout=60)
        return None

    rows = [sms(n) for n in range(10 * (1 + 8 * BOUNDS.requested))]
    with calltouch(Played(rows, refusal=when_all_are_asked)) as (_, client):
        assert len(set(phones(read(client)))) == len(rows)
    assert BOUNDS.requested > BOUNDS.held


def expecting(rows: int) -> Window:
    return replace(WINDOW, expected_rows=rows)


def test_pages_that_are_expected_are_asked_for_together_with_page_1() -> None:
    together = threading.Barrier(3)

    def when_three_are_asked(asked: Asked) -> Play | None:
        if seen and asked.json.get("pageOfResult", 1) <= 3:
            together.wait(timeout=60)
        return None

    seen: list[int] = []
    with calltouch(Played([sms(n) for n in range(78)], refusal=when_three_are_asked)) as (
        vendor,
        client,
    ):
        client.count(WINDOW, ExtractStats())
        seen.append(1)
        stats = ExtractStats()
        answers = read(client, expecting(40), stats)
    assert answers[0].sequence == 1
    assert sorted(phones(answers)) == [sms(n)["phoneNumber"] for n in range(78)]
    assert (stats.pages, stats.requests) == (8, 8)
    assert sorted(vendor.pages_asked[1:]) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_page_that_was_expected_and_is_none_costs_nothing_but_its_call() -> None:
    def refuse_what_is_none(asked: Asked) -> Play | None:
        return reply(MISSING, status=400) if asked.json.get("pageOfResult", 1) > 2 else None

    with calltouch(Played([sms(n) for n in range(15)], refusal=refuse_what_is_none)) as (_, client):
        client.count(WINDOW, ExtractStats())
        answers = read(client, expecting(1000))
    assert [answer.sequence for answer in answers] == [1, 2]


def test_few_pages_are_asked_for_ahead_however_many_are_expected() -> None:
    ahead = threading.Event()

    def refuse_page_1_late(asked: Asked) -> Play | None:
        if not seen:
            return None
        if "pageOfResult" in asked.json:
            ahead.set()
            return None
        assert ahead.wait(timeout=60)
        return reply(NO_ACCESS, after=0.5)

    seen: list[int] = []
    with calltouch(Played([sms(1)], refusal=refuse_page_1_late)) as (vendor, client):
        client.count(WINDOW, ExtractStats())
        seen.append(1)
        with pytest.raises(AccessDenied):
            read(client, expecting(10**6))
    assert 2 < len(vendor.questions) <= 1 + BOUNDS.asked_ahead


def test_page_1_is_asked_for_alone_until_the_vendor_answered_and_where_points_are_counted() -> None:
    def refuse_page_1(asked: Asked) -> Play | None:
        return reply(NO_ACCESS, after=0.2) if "pageOfResult" not in asked.json else None

    with calltouch(Played([sms(1)], refusal=refuse_page_1)) as (vendor, client):
        with pytest.raises(AccessDenied):
            read(client, expecting(1000))
        assert vendor.pages_asked == [1]
    with calltouch(100, daily_points=1000) as (vendor, client):
        client.count(WINDOW, ExtractStats())
        reading = client.extract(expecting(100), ExtractStats())
        next(reading)
        assert vendor.pages_asked == [1, 1]


def test_a_slow_consumer_bounds_what_is_fetched_ahead() -> None:
    with calltouch(1000) as (vendor, client):
        taken = 0
        for _ in client.extract(WINDOW, ExtractStats()):
            taken += 1
            time.sleep(0.02)
            assert len(vendor.questions) <= taken + BOUNDS.requested + BOUNDS.held
    assert taken == 100


def test_a_consumer_that_stops_early_leaves_no_thread_behind() -> None:
    of_others = set(threading.enumerate())
    with calltouch(1000) as (vendor, client):
        reading = client.extract(WINDOW, ExtractStats())
        assert isinstance(reading, Iterator)
        for _ in range(3):
            next(reading)
        reading.close()  # type: ignore[attr-defined]
    left = set(threading.enumerate()) - of_others
    assert not [one for one in left if one.name.startswith("fetch")]
    assert len(vendor.questions) <= 3 + BOUNDS.requested + BOUNDS.held


def test_counting_costs_one_call_and_loads_nothing() -> None:
    stats = ExtractStats()
    with calltouch(35) as (vendor, client):
        assert client.count(WINDOW, stats) == 35
    assert (vendor.pages_asked, stats.points) == ([1], 2)


def test_a_site_without_settings_is_named() -> None:
    with calltouch(1) as (_, client), pytest.raises(SettingsError, match="site 999"):
        read(client, Window(DAY, DAY, Account("calltouch", "999", MOSCOW)))


@pytest.mark.parametrize(
    ("sites", "told"),
    [
        (
            (101, 102),
            "site 102 accepts the same token: correct the number 101 in CALLTOUCH_SITE_IDS",
        ),
        ((101, 103), "correct CALLTOUCH_ACCESS_TOKEN; if it is right, the number 101 in"),
        ((101,), "correct CALLTOUCH_ACCESS_TOKEN; if it is right, the number 101 in"),
    ],
)
def test_the_number_of_a_site_is_to_be_corrected_where_another_site_accepts_the_token(
    sites: tuple[int, ...], told: str
) -> None:
    def refuse(asked: Asked) -> Play:
        known = "102" in asked.headers.values()
        return reply(MISSING, status=400) if known else reply(BAD_CREDENTIALS, status=401)

    with (
        calltouch(Played([], refusal=refuse), sites=sites) as (_, client),
        pytest.raises(CredentialsRefused) as refused,
    ):
        read(client)
    assert refused.value.account == "101"
    assert refused.value.hint is not None
    assert refused.value.hint.startswith(told)
