"""The played Calltouch keeps to the document, and to what the document leaves open."""

from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from dagster_project.model.check_outcome import PLAUSIBLE_VOLUME
from dagster_project.model.receipt import Receipt
from dagster_project.model.window import ONE_DAY, each_day
from dagster_project.pipeline.day_checks import outcomes_of
from dagster_project.sandbox.calltouch.site import SiteRows
from dagster_project.sandbox.calltouch.vendor import PATHS
from dagster_project.sandbox.clock import Clock
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.sandbox.world import World, demo_configs
from tests.sandbox.conftest import BIG, NOON, SMALL, CalltouchUser, multiset, window

TODAY = date(2024, 5, 1)
A_DAY = date(2024, 4, 10)
FINAL = {"delivered", "error"}


def instant_of(wall: str) -> datetime:
    day, clock = wall.split(" ")
    return datetime.fromisoformat("-".join(reversed(day.split("-"))) + "T" + clock)


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def test_an_answer_has_the_documented_envelope(user: CalltouchUser) -> None:
    answer = user.ask(A_DAY).json()
    assert answer["meta"] == []
    assert set(answer["data"]) == {"totalCountSms", "pageOfResult", "smsDetails"}
    assert answer["data"]["pageOfResult"] == 1
    assert set(answer["data"]["smsDetails"][0]) == {
        *("phoneNumber", "dateSent", "smsStatus", "smsStatusDetail", "smsMessage")
    }


@pytest.mark.parametrize("path", PATHS)
def test_both_documented_paths_answer_alike(
    sandbox: Sandbox, user: CalltouchUser, path: str
) -> None:
    user.url = sandbox.url + path
    assert user.data(A_DAY)["totalCountSms"] == sandbox.world.calltouch.total(SMALL, A_DAY, A_DAY)


@pytest.mark.parametrize("token", [None, "wrong", ""])
def test_credentials_that_are_wrong_get_the_documented_body(
    user: CalltouchUser, token: str | None
) -> None:
    answer = user.post(window(A_DAY), Access_Token=token)
    assert (answer.status_code, answer.json()) == (401, {"message": "Invalid credentials."})


def test_a_site_of_somebody_else_is_not_accessible(user: CalltouchUser) -> None:
    answer = user.post(window(A_DAY), SiteId="1")
    assert answer.status_code == 403
    assert answer.json()["data"]["message"].endswith("не имеет доступа к данному методу API")


def test_a_site_without_the_grant_is_not_accessible() -> None:
    sites = [{"site_id": 7, "granted": False}]
    with running_sandbox(clock=NOON, calltouch={"sites": sites}) as sandbox:
        assert CalltouchUser(sandbox, 7).ask(A_DAY).status_code == 403


def test_a_sites_own_token_opens_that_site_alone() -> None:
    sites = [{"site_id": 7, "token": "seven", "ordinary": 5}, {"site_id": 8, "ordinary": 5}]
    with running_sandbox(clock=NOON, calltouch={"sites": sites}) as sandbox:
        assert CalltouchUser(sandbox, 7).post(window(A_DAY), Access_Token="seven").ok
        refused = CalltouchUser(sandbox, 8).post(window(A_DAY), Access_Token="seven")
        assert refused.status_code == 403


def syntax_body() -> dict[str, Any]:
    return {
        "meta": [],
        "data": {
            "type": "apiError",
            "apiErrorData": {
                "errorCode": 1,
                "errorMessage": "Синтаксическая ошибка JSON в запросе или запрос пустой",
                "errorDescription": None,
            },
            "validationErrorData": None,
        },
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"'])
def test_a_body_that_is_not_an_object_is_a_syntax_error(user: CalltouchUser, body: bytes) -> None:
    answer = user.session.post(user.url, data=body, timeout=10)
    assert (answer.status_code, answer.json()) == (400, syntax_body())


@pytest.mark.parametrize("field", ["dateFrom", "dateTo"])
def test_a_missing_field_is_named(user: CalltouchUser, field: str) -> None:
    body = window(A_DAY)
    del body[field]
    message = f"В запросе не указано обязательное поле {field}"
    assert user.post(body).json() == {"meta": [], "data": {"message": message}}


@pytest.mark.parametrize(
    ("change", "violations"),
    [
        (
            {"dateFrom": "02-05-2024 00:00:00", "dateTo": "02-05-2024 00:00:01"},
            [
                ("dateFrom", "Значение не может быть больше текущего дня"),
                ("dateTo", "Значение не может быть больше текущего дня"),
            ],
        ),
        (
            {"dateFrom": "11-04-2024 00:00:00", "dateTo": "10-04-2024 00:00:00"},
            [
                ("dateFrom", "Значение не может быть больше dateTo"),
                ("dateTo", "Значение не может быть меньше dateFrom"),
            ],
        ),
        (
            {"phoneNumbers": []},
            [("phoneNumbers", "Эта коллекция должна содержать больше или равно 1 элементу")],
        ),
        ({"dateFrom": ""}, [("dateFrom", "Значение не должно быть пустым.")]),
        ({"dateTo": None}, [("dateTo", "Значение не должно быть пустым.")]),
        ({"dateFrom": "10/04/2024"}, [("dateFrom", "Значение даты и времени недопустимо.")]),
        (
            {"dateFrom": "10-04-2024T00:00:00"},
            [("dateFrom", "Значение даты и времени недопустимо.")],
        ),
        ({"dateFrom": 1}, [("dateFrom", "Тип значения должен быть string.")]),
        ({"pageOfResult": 1}, [("pageOfResult", "Значение должно быть больше чем 1.")]),
        ({"pageOfResult": 0}, [("pageOfResult", "Значение должно быть больше чем 1.")]),
        ({"pageOfResult": "2"}, [("pageOfResult", "Тип значения должен быть integer.")]),
        ({"phoneNumbers": [79]}, [("phoneNumbers", "Тип значения должен быть string.")]),
        (
            {"phoneNumbers": ["79209383654"] * 10_001},
            [("phoneNumbers", "Эта коллекция должна содержать 10000 элементов или меньше.")],
        ),
    ],
)
def test_a_wrong_parameter_is_a_validation_error(
    user: CalltouchUser, change: dict[str, Any], violations: list[tuple[str, str]]
) -> None:
    answer = user.post(window(A_DAY) | change)
    assert answer.status_code == 400
    assert answer.json() == {
        "meta": [],
        "data": {
            "type": "validationError",
            "apiErrorData": None,
            "validationErrorData": {
                "violations": [
                    {"fieldPath": field, "message": message} for field, message in violations
                ]
            },
        },
    }


@pytest.mark.parametrize(
    ("chosen", "expected"), [({"all": 200}, 200), ({"syntax": 422}, 422), ({"access": 200}, 400)]
)
def test_the_status_that_carries_an_error_can_be_chosen(
    sandbox: Sandbox, user: CalltouchUser, chosen: dict[str, int], expected: int
) -> None:
    sandbox.world.calltouch.config.error_status = chosen
    answer = user.session.post(user.url, data=b"", timeout=10)
    assert (answer.status_code, answer.json()) == (expected, syntax_body())


@pytest.mark.parametrize(
    ("starts", "ends"),
    [
        ("10-04-2024 00:00:00", "10-04-2024 23:59:59"),
        ("10.04.2024 00:00:00", "10.04.2024 23:59:59"),
        ("2024-04-10 00:00:00", "2024.04.10 23:59:59"),
        ("10-04-2024 00:00", "10-04-2024 23:59:59"),
        ("10-04-2024", "10.04.2024 23:59:59"),
    ],
)
def test_dates_are_read_with_either_separator(user: CalltouchUser, starts: str, ends: str) -> None:
    answer = user.post({"dateFrom": starts, "dateTo": ends}).json()
    assert answer["data"]["totalCountSms"] == user.data(A_DAY)["totalCountSms"] > 0


def test_a_window_holds_both_its_first_and_its_last_second(user: CalltouchUser) -> None:
    rows = user.pages(A_DAY)
    sent = sorted(instant_of(row["dateSent"]) for row in rows)
    first, last = sent[10], sent[-10]
    for begins, ends in (
        (first, last),
        (first + timedelta(seconds=1), last - timedelta(seconds=1)),
    ):
        answer = user.post(
            {"dateFrom": f"{begins:%d-%m-%Y %H:%M:%S}", "dateTo": f"{ends:%d-%m-%Y %H:%M:%S}"}
        )
        assert answer.json()["data"]["totalCountSms"] == sum(begins <= at <= ends for at in sent)


def test_today_may_be_asked_for_and_holds_what_was_sent_until_now(user: CalltouchUser) -> None:
    rows = user.pages(TODAY)
    assert rows
    assert max(row["dateSent"] for row in rows) <= "01-05-2024 12:00:00"


@pytest.mark.parametrize(
    ("ago", "count"), [(21, 0), (26, 1), (17, 9_999), (9, 10_000), (15, 10_001), (4, 35_000)]
)
def test_the_month_holds_days_at_which_paging_breaks(
    big_user: CalltouchUser, sandbox: Sandbox, ago: int, count: int
) -> None:
    day = days_ago(ago)
    rows = big_user.pages(day)
    assert len(rows) == count
    assert multiset(rows) == multiset(sandbox.world.calltouch.rows(BIG, day, day))


def demo_counts(began: datetime, history: int, shown: datetime) -> dict[tuple[int, date], int]:
    """SMS by site and day of a demo that began then, as its vendors tell them when it is shown."""
    world = World(1, Clock(shown), demo_configs(began, history))
    first = began.date() - timedelta(days=history)
    return {
        (site.site_id, day): SiteRows(world, site, world.calltouch.config, threading.RLock()).count(
            day
        )
        for site in world.calltouch.config.sites
        for day in each_day(first, began.date() - ONE_DAY)
    }


@pytest.mark.parametrize("history", [30, 31, 400])
def test_a_demo_has_days_at_which_paging_breaks_and_none_that_the_volume_check_reports(
    history: int,
) -> None:
    for weeks in range(0, 104, 13):
        began = datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(weeks=weeks, days=weeks // 13)
        counts = demo_counts(began, history, began)
        assert {0, 1, 9_999, 10_000, 10_001, 35_000} <= set(counts.values())
        before = {
            (str(site), day): [
                counts[earlier]
                for earlier in ((site, day - timedelta(weeks=n)) for n in range(1, 5))
                if earlier in counts
            ]
            for site, day in counts
        }
        said = [
            outcome.said
            for (site, day), rows in counts.items()
            for outcome in outcomes_of(
                [Receipt("calltouch", str(site), day, 1, began, rows_inserted=rows)], before
            )
            if outcome.name == PLAUSIBLE_VOLUME and not outcome.passed
        ]
        assert said == []


def test_a_demo_that_is_shown_later_has_the_days_that_it_had() -> None:
    began = datetime(2026, 6, 30, 12, tzinfo=UTC)
    assert demo_counts(began, 30, began) == demo_counts(began, 30, began + timedelta(days=3))


def test_pages_hold_ten_thousand_and_tell_their_number(big_user: CalltouchUser) -> None:
    pages = [big_user.data(days_ago(4), page=page) for page in (1, 2, 3, 4)]
    assert [len(page["smsDetails"]) for page in pages] == [10_000, 10_000, 10_000, 5_000]
    assert [page["pageOfResult"] for page in pages] == [1, 2, 3, 4]
    assert {page["totalCountSms"] for page in pages} == {35_000}


def test_a_page_behind_the_last_is_empty_and_one_beyond_the_count_refused(
    user: CalltouchUser,
) -> None:
    total = user.data(A_DAY)["totalCountSms"]
    assert user.data(A_DAY, page=total)["smsDetails"] == []
    refused = user.ask(A_DAY, page=total + 1)
    assert refused.status_code == 400
    assert (
        refused.json()["data"]["validationErrorData"]["violations"][0]["fieldPath"]
        == "pageOfResult"
    )


def test_the_union_of_a_months_pages_is_the_truth(
    sandbox: Sandbox, big_user: CalltouchUser
) -> None:
    rows = big_user.pages(days_ago(30), days_ago(1))
    assert multiset(rows) == multiset(sandbox.world.calltouch.rows(BIG, days_ago(30), days_ago(1)))


def test_a_demo_month_is_large_but_bounded(sandbox: Sandbox) -> None:
    calltouch = sandbox.world.calltouch
    month = sum(calltouch.total(site, days_ago(30), days_ago(1)) for site in (BIG, SMALL))
    assert 120_000 <= month <= 180_000


@pytest.mark.parametrize("mask", ["8{}", "+7 {}", "7{}", "({}", "{}"])
def test_a_phone_filter_works_in_any_mask(user: CalltouchUser, mask: str) -> None:
    rows = user.pages(A_DAY)
    phone = next(row["phoneNumber"] for row in rows if row["phoneNumber"].startswith("79"))
    answer = user.post(window(A_DAY) | {"phoneNumbers": [mask.format(phone[1:])]}).json()["data"]
    expected = [row for row in rows if row["phoneNumber"] == phone]
    assert multiset(answer["smsDetails"]) == multiset(expected)
    assert answer["totalCountSms"] == len(expected)


LONG = 600.0
"""In place of the second in which calls are counted: on a busy machine eleven calls may take longer than that."""


def test_of_eleven_requests_in_a_second_five_are_answered_and_six_get_429() -> None:
    with running_sandbox(clock=NOON, calltouch={"rate_window": LONG}) as sandbox:
        users = [CalltouchUser(sandbox) for _ in range(11)]
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda user=user: statuses.append(user.ask(A_DAY).status_code))
            for user in users
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(statuses) == {200: 5, 429: 6}
        assert sandbox.world.stats.limited_calls("calltouch") == 6
        sandbox.world.calltouch.config.rate_window = 0  # It is over.
        assert users[0].ask(A_DAY).status_code == 200


def test_a_429_spends_no_point_and_neither_does_an_error() -> None:
    limited = {"requests_per_second": 1, "daily_points": 100, "rate_window": LONG}
    with running_sandbox(clock=NOON, calltouch=limited) as sandbox:
        user = CalltouchUser(sandbox)
        assert [user.ask(A_DAY).status_code for _ in range(2)] == [200, 429]
        sandbox.world.calltouch.config.rate_window = 0  # It is over.
        assert user.post({}).status_code == 400
        assert sandbox.world.calltouch.describe_state()[str(SMALL)]["points_left"] == 98


def test_points_are_counted_by_site_and_vendor_local_day() -> None:
    config = {"requests_per_second": 0, "daily_points": 5}
    with running_sandbox(clock="2024-05-01T23:59:00+03:00", calltouch=config) as sandbox:
        user, other = CalltouchUser(sandbox), CalltouchUser(sandbox, BIG)
        assert [user.ask(A_DAY).status_code for _ in range(3)] == [200, 200, 403]
        assert "баллов" in user.ask(A_DAY).json()["data"]["message"]
        assert other.ask(A_DAY).status_code == 200
        sandbox.world.clock.shift(timedelta(minutes=2))
        assert user.ask(A_DAY).status_code == 200


def test_statuses_mature_with_the_clock_and_come_to_rest(
    sandbox: Sandbox, user: CalltouchUser
) -> None:
    def open_share() -> float:
        rows = user.pages(TODAY)
        return sum(row["smsStatus"] not in FINAL for row in rows) / len(rows)

    shares = [open_share()]
    for hours in (1, 12, 24 * 6):
        sandbox.world.clock.shift(timedelta(hours=hours))
        shares.append(open_share())
    # A few stay sent, unknown or expired for ever: those never count as delivered nor as an error.
    assert shares[0] > shares[2] > shares[3]
    assert shares[3] < 0.06
    rested = user.pages(TODAY)
    sandbox.world.clock.shift(timedelta(days=30))
    assert multiset(user.pages(TODAY)) == multiset(rested)


def test_a_status_goes_only_forward(sandbox: Sandbox) -> None:
    calltouch, clock = sandbox.world.calltouch, sandbox.world.clock
    rank = {"waiting": 0, "sent": 1, "unknown": 1, "delivered": 2, "error": 2}
    noon = clock.now()
    seen: dict[tuple[str, str, str], list[int]] = {}
    for hours in (0, 1, 24, 72, 168):
        rows = calltouch.rows(SMALL, TODAY, TODAY, noon + timedelta(hours=hours))
        told = Counter((row["phoneNumber"], row["dateSent"], row["smsMessage"]) for row in rows)
        for row in rows:
            key = row["phoneNumber"], row["dateSent"], row["smsMessage"]
            if told[key] == 1:
                seen.setdefault(key, []).append(rank[row["smsStatus"]])
    assert len(seen) > 100
    assert all(ranks == sorted(ranks) for ranks in seen.values())


def test_the_documented_status_pairs_all_occur(sandbox: Sandbox) -> None:
    noon = sandbox.world.clock.now()
    pairs = {
        (row["smsStatus"], row["smsStatusDetail"])
        for at in (noon - timedelta(days=20, hours=-1), noon)
        for row in sandbox.world.calltouch.rows(BIG, days_ago(30), TODAY, at)
    }
    assert {status for status, _ in pairs} == {"waiting", "unknown", "sent", "error", "delivered"}
    assert {detail for _, detail in pairs} == {
        *("Статус еще не получен", "Невозможно доставить", "Неверный номер", "Запрещено"),
        *("Недостаточно средств", "Недоступный номер", "Доставлено", "Ожидает отправки"),
        *("Передано оператору", "Просрочено", "Неизвестный статус"),
    }
    assert ("sent", "Просрочено") in pairs


def identities(rows: list[dict[str, Any]]) -> Counter[tuple[str, str, str]]:
    return Counter((row["phoneNumber"], row["dateSent"], row["smsMessage"]) for row in rows)


def test_rows_appear_late_and_rows_vanish(sandbox: Sandbox) -> None:
    rows = sandbox.world.calltouch.rows
    midnight = datetime.fromisoformat("2024-04-24T00:00:01+03:00")
    early = identities(rows(BIG, date(2024, 4, 23), date(2024, 4, 23), midnight))
    later = identities(
        rows(BIG, date(2024, 4, 23), date(2024, 4, 23), midnight + timedelta(days=6))
    )
    assert later - early
    assert early - later


def test_identical_messages_occur_with_like_and_with_differing_statuses(sandbox: Sandbox) -> None:
    rows = sandbox.world.calltouch.rows(BIG, days_ago(4), days_ago(4))
    twins = [key for key, count in identities(rows).items() if count > 1]
    assert len(twins) > 50
    statuses: dict[Any, set[str]] = {}
    for row in rows:
        key = row["phoneNumber"], row["dateSent"], row["smsMessage"]
        statuses.setdefault(key, set()).add(row["smsStatusDetail"])
    assert {len(statuses[key]) for key in twins} >= {1, 2}


def test_ugly_texts_cross_the_wire_unharmed() -> None:
    config = {"ugly_share": 1.0, "requests_per_second": 0}
    with running_sandbox(clock=NOON, calltouch=config) as sandbox:
        user = CalltouchUser(sandbox)
        rows = user.pages(A_DAY)
        assert multiset(rows) == multiset(sandbox.world.calltouch.rows(SMALL, A_DAY, A_DAY))
        all_text = "".join(row["smsMessage"] for row in rows)
        for sign in (
            "\n",
            "\r\n",
            "\t",
            '"',
            "\\",
            "\x00",
            "\ud83d ",
            "\ude00",
            "🔥",
            "\u2028",
            "\u202e",
        ):
            assert sign in all_text
        assert max(len(row["smsMessage"]) for row in rows) > 10_000
        assert "" in {row["smsMessage"] for row in rows}
        body = user.ask(A_DAY).content
        assert b"\\u0000" in body
        assert b"\\ud83d " in body


def test_phones_come_in_masks_foreign_and_invalid(sandbox: Sandbox) -> None:
    phones = [
        row["phoneNumber"] for row in sandbox.world.calltouch.rows(BIG, days_ago(4), days_ago(4))
    ]
    plain = sum(phone.startswith("79") and len(phone) == 11 for phone in phones)
    assert 0.96 < plain / len(phones) < 0.99
    assert any(phone.startswith("+7 ") for phone in phones)
    assert any(phone.startswith("(") for phone in phones)
    assert any(phone.startswith("375") for phone in phones)
    assert {"", "не указан"} <= set(phones)


def test_escaped_pages_are_ascii_and_mean_the_same() -> None:
    config = {"escaped": True, "requests_per_second": 0, "ugly_share": 0.2}
    with running_sandbox(clock=NOON, calltouch=config) as sandbox:
        body = CalltouchUser(sandbox).ask(A_DAY).content
    with running_sandbox(clock=NOON, calltouch=config | {"escaped": False}) as sandbox:
        plain = CalltouchUser(sandbox).ask(A_DAY).content
    rows = [json.loads(text)["data"]["smsDetails"] for text in (body, plain)]
    assert multiset(rows[0]) == multiset(rows[1])
    assert body.isascii()
    assert not plain.isascii()


def test_the_order_of_rows_changes_from_call_to_call_and_their_page_does_not(
    big_user: CalltouchUser,
) -> None:
    first, again = (big_user.data(days_ago(4), page=2)["smsDetails"] for _ in range(2))
    assert first != again
    assert multiset(first) == multiset(again)


def test_another_generation_deals_the_rows_to_other_pages(
    sandbox: Sandbox, big_user: CalltouchUser
) -> None:
    first = multiset(big_user.data(days_ago(15), page=2)["smsDetails"])
    whole = multiset(big_user.pages(days_ago(15)))
    sandbox.world.calltouch.config.generation = 1
    assert multiset(big_user.data(days_ago(15), page=2)["smsDetails"]) != first
    assert multiset(big_user.pages(days_ago(15))) == whole


@pytest.mark.parametrize("order", ["stable", "by_time"])
def test_rows_can_be_told_to_keep_still(sandbox: Sandbox, user: CalltouchUser, order: str) -> None:
    sandbox.world.calltouch.config.order = order
    rows = user.data(A_DAY)["smsDetails"]
    assert rows == user.data(A_DAY)["smsDetails"]
    sent = [row["dateSent"] for row in rows]
    assert (sent == sorted(sent)) is (order == "by_time")


def test_a_day_is_the_same_whatever_else_was_asked_before() -> None:
    rows = []
    for others in ([], [days_ago(3), days_ago(40)]):
        with running_sandbox(clock=NOON) as sandbox:
            for day in others:
                sandbox.world.calltouch.rows(SMALL, day, day)
            rows.append(sandbox.world.calltouch.rows(SMALL, A_DAY, A_DAY))
    assert rows[0] == rows[1]


def test_another_seed_tells_another_world() -> None:
    with running_sandbox(clock=NOON, seed=1) as one, running_sandbox(clock=NOON, seed=2) as two:
        worlds = [s.world.calltouch.rows(SMALL, A_DAY, A_DAY) for s in (one, two)]
    assert worlds[0] != worlds[1]


def hours_of(zone: str, day: date) -> Counter[str]:
    sites = [{"site_id": 9, "zone": zone, "counts": {day.isoformat(): 20_000}}]
    with running_sandbox(clock="2025-01-01T00:00:00+00:00", calltouch={"sites": sites}) as sandbox:
        rows = sandbox.world.calltouch.rows(9, day, day)
    assert len(rows) == 20_000
    return Counter(row["dateSent"][11:13] for row in rows)


def test_a_skipped_hour_holds_no_sms_and_a_repeated_one_those_of_two() -> None:
    usual = hours_of("Europe/Berlin", date(2024, 3, 30))
    assert usual["02"] > 0
    assert hours_of("Europe/Berlin", date(2024, 3, 31))["02"] == 0
    repeated = hours_of("Europe/Berlin", date(2024, 10, 27))
    assert repeated["02"] > 1.3 * repeated["03"]


def test_there_is_something_to_show_in_bi(sandbox: Sandbox) -> None:
    rows = sandbox.world.calltouch.rows(BIG, days_ago(30), days_ago(8))
    by_text: dict[str, Counter[str]] = {"Ваш код ": Counter(), "Новая ко": Counter()}
    for row in rows:
        if (start := row["smsMessage"][:8]) in by_text:
            by_text[start][row["smsStatus"]] += 1
    rates = {start: statuses["delivered"] / statuses.total() for start, statuses in by_text.items()}
    assert rates["Ваш код "] - rates["Новая ко"] > 0.1
    hours = Counter(row["dateSent"][11:13] for row in rows)
    assert hours["11"] > 5 * hours["03"]


def test_a_day_can_be_made_to_hold_given_rows(sandbox: Sandbox, user: CalltouchUser) -> None:
    row = {"phoneNumber": "79", "dateSent": "10-04-2024 00:00:00", "smsMessage": "\x00"}
    sandbox.world.calltouch.replace_day(SMALL, A_DAY, [row, b'{"smsMessage": 1e999}'])
    data = user.data(A_DAY)
    assert data["totalCountSms"] == 2
    assert b'"smsMessage": 1e999}' in user.ask(A_DAY).content
    assert row in data["smsDetails"]


def test_a_day_can_be_changed_over_http(sandbox: Sandbox, user: CalltouchUser) -> None:
    url = f"{sandbox.url}/_sandbox/calltouch/{SMALL}/{A_DAY}"
    before = user.data(A_DAY)["totalCountSms"]
    user.session.post(url, json=[{"smsMessage": "new"}], timeout=5).raise_for_status()
    user.session.delete(url + "?count=3", timeout=5).raise_for_status()
    assert user.data(A_DAY)["totalCountSms"] == before - 2
    user.session.put(url, json=['{"smsMessage": "raw"}'], timeout=5).raise_for_status()
    assert user.data(A_DAY)["smsDetails"] == [{"smsMessage": "raw"}]
    assert sandbox.world.calltouch.rows(SMALL, A_DAY, A_DAY) == [{"smsMessage": "raw"}]
