"""Each fault as a client sees it, and nothing but the fault."""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import Any

import pytest
import requests

from dagster_project.sandbox.server import Sandbox
from tests.sandbox.conftest import BIG, SMALL, CalltouchUser, multiset, window

A_DAY = date(2024, 4, 10)
BIG_DAY = date(2024, 4, 27)


def causes(error: BaseException) -> list[str]:
    """The names of everything that an exception wraps."""
    found, pending = [], [error]
    while pending:
        current = pending.pop()
        found.append(type(current).__name__)
        pending += [arg for arg in current.args if isinstance(arg, BaseException)]
        pending += [cause for cause in (current.__cause__, current.__context__) if cause]
        if len(found) > 50:
            break
    return found


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_status_is_answered_as_often_as_scripted_and_then_no_more(
    sandbox: Sandbox, user: CalltouchUser, status: int
) -> None:
    fault = sandbox.world.faults.add("status", status=status, times=2)
    answers = [user.ask(A_DAY) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert "Retry-After" not in answers[0].headers
    assert fault.played == 2


def test_a_429_may_say_when_to_come_again(sandbox: Sandbox, user: CalltouchUser) -> None:
    sandbox.world.faults.add("status", status=429, retry_after=2)
    assert user.ask(A_DAY).headers["Retry-After"] == "2"


def test_a_reset_before_the_body_is_a_connection_reset(
    sandbox: Sandbox, user: CalltouchUser
) -> None:
    sandbox.world.faults.add("reset")
    with pytest.raises(requests.ConnectionError) as caught:
        user.ask(A_DAY)
    assert "ConnectionResetError" in causes(caught.value)
    assert sandbox.world.stats.spent("calltouch", str(SMALL), "2024-05-01") == 0
    assert user.ask(A_DAY).ok


def test_a_call_may_be_reset_after_the_vendor_did_the_work(
    sandbox: Sandbox, user: CalltouchUser
) -> None:
    sandbox.world.faults.add("reset", processed=True)
    with pytest.raises(requests.ConnectionError):
        user.ask(A_DAY)
    assert sandbox.world.stats.spent("calltouch", str(SMALL), "2024-05-01") == 2


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("reset_in_body", "ConnectionResetError"), ("close_in_body", "IncompleteRead")],
)
def test_a_body_may_break_off(sandbox: Sandbox, user: CalltouchUser, kind: str, cause: str) -> None:
    sandbox.world.faults.add(kind, at=0.5)
    with pytest.raises(
        (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
    ) as caught:
        user.ask(A_DAY)
    assert cause in causes(caught.value)
    assert user.ask(A_DAY).ok


def test_json_may_be_cut_though_http_is_whole(sandbox: Sandbox, user: CalltouchUser) -> None:
    sandbox.world.faults.add("cut_json", at=0.9)
    answer = user.ask(A_DAY)
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize(
    ("kind", "content"), [("html", b"<!DOCTYPE html>"), ("empty", b""), ("not_json", b"OK")]
)
def test_a_200_may_be_something_else(
    sandbox: Sandbox, user: CalltouchUser, kind: str, content: bytes
) -> None:
    sandbox.world.faults.add(kind)
    answer = user.ask(A_DAY)
    assert answer.status_code == 200
    assert answer.content[: len(content) or 1] == content


def test_a_hanging_call_ends_at_the_clients_patience(sandbox: Sandbox, user: CalltouchUser) -> None:
    sandbox.world.faults.add("hang", seconds=30)
    started = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        user.post(window(A_DAY), timeout=0.3)
    assert time.monotonic() - started < 15
    assert user.ask(A_DAY).ok


def test_a_call_that_hangs_for_a_while_is_answered_in_the_end(
    sandbox: Sandbox, user: CalltouchUser
) -> None:
    sandbox.world.faults.add("hang", seconds=0.4)
    started = time.monotonic()
    assert user.ask(A_DAY).ok
    assert time.monotonic() - started >= 0.4


def test_a_body_may_drip_slowly_and_be_whole(sandbox: Sandbox, user: CalltouchUser) -> None:
    whole = multiset(user.pages(A_DAY))
    sandbox.world.faults.add("slow_drip", seconds=0.4, pieces=8)
    started = time.monotonic()
    assert multiset(user.pages(A_DAY)) == whole
    assert time.monotonic() - started >= 0.3


def test_a_body_may_be_compressed(sandbox: Sandbox, user: CalltouchUser) -> None:
    whole = multiset(user.pages(A_DAY))
    sandbox.world.faults.add("gzip")
    answer = user.ask(A_DAY)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert multiset(answer.json()["data"]["smsDetails"]) == whole


def test_the_content_type_may_be_wrong(sandbox: Sandbox, user: CalltouchUser) -> None:
    sandbox.world.faults.add("content_type", value="text/html; charset=windows-1251")
    answer = user.ask(A_DAY)
    assert answer.headers["Content-Type"] == "text/html; charset=windows-1251"
    assert answer.content.startswith(b'{"meta"')


def test_a_byte_order_mark_may_come_first(sandbox: Sandbox, user: CalltouchUser) -> None:
    sandbox.world.faults.add("bom")
    assert user.ask(A_DAY).content.startswith(b'\xef\xbb\xbf{"meta"')


def test_an_outage_lasts_for_a_period_of_the_clock(sandbox: Sandbox, user: CalltouchUser) -> None:
    now = sandbox.world.clock.now()
    hours = {"since": now + timedelta(hours=1), "until": now + timedelta(hours=3)}
    sandbox.world.faults.add("outage", match={"vendor": "calltouch", **hours})
    statuses = []
    for _ in range(4):
        statuses += [user.ask(A_DAY).status_code, user.ask(A_DAY).status_code]
        sandbox.world.clock.shift(timedelta(hours=1))
    assert statuses == [200, 200, 503, 503, 503, 503, 200, 200]


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        ({"page": 2}, [False, True, False, True]),
        ({"page": 2, "nth": 2}, [False, False, False, True]),
        ({"nth": 3}, [False, False, True, True]),
        ({"account": BIG}, [True, True, True, True]),
        ({"account": SMALL}, [False] * 4),
        ({"vendor": "tellody"}, [False] * 4),
        ({"path": "*/sms-to-clients/result"}, [True, True, True, True]),
        ({"path": "*/calltouch-leads/*"}, [False] * 4),
    ],
)
def test_a_fault_hits_the_calls_that_it_matches(
    sandbox: Sandbox, big_user: CalltouchUser, match: dict[str, Any], hit: list[bool]
) -> None:
    sandbox.world.faults.add("status", status=500, times=None, match=match)
    answers = [big_user.ask(BIG_DAY, page=page) for page in (1, 2, 1, 2)]
    assert [answer.status_code == 500 for answer in answers] == hit


def test_faults_are_scripted_shown_and_ended_over_http(
    sandbox: Sandbox, user: CalltouchUser
) -> None:
    url = f"{sandbox.url}/_sandbox/faults"
    script = [{"kind": "status", "params": {"status": 502}, "match": {"page": 1}, "times": None}]
    requests.post(url, json=script, timeout=5).raise_for_status()
    assert user.ask(A_DAY).status_code == 502
    shown = requests.get(url, timeout=5).json()
    assert (shown[0]["kind"], shown[0]["played"]) == ("status", 1)
    requests.delete(url, timeout=5).raise_for_status()
    assert user.ask(A_DAY).ok


@pytest.mark.parametrize(
    "line",
    [{"kind": "status", "when": 1}, {"kind": "gzip", "match": {"side": 1}}, {"kind": "typo"}],
)
def test_a_script_that_is_misspelt_is_refused(sandbox: Sandbox, line: dict[str, Any]) -> None:
    answer = requests.post(f"{sandbox.url}/_sandbox/faults", json=[line], timeout=5)
    assert answer.status_code == 400
    assert sandbox.world.faults.as_list() == []


def test_two_faults_are_played_on_one_call(sandbox: Sandbox, big_user: CalltouchUser) -> None:
    sandbox.world.faults.add("gzip", match={"page": 2})
    sandbox.world.faults.add("short_page", rows=7, match={"page": 2})
    answer = big_user.ask(BIG_DAY, page=2)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.json()["data"]["smsDetails"]) == 9_993


def test_a_page_may_come_twice(sandbox: Sandbox, big_user: CalltouchUser) -> None:
    first = big_user.data(BIG_DAY)
    sandbox.world.faults.add("page_twice", match={"page": 2})
    second = big_user.data(BIG_DAY, page=2)
    assert second["pageOfResult"] == 2
    assert multiset(second["smsDetails"]) == multiset(first["smsDetails"])


def test_a_page_may_carry_another_number(sandbox: Sandbox, big_user: CalltouchUser) -> None:
    sandbox.world.faults.add("wrong_page_number", page=4, match={"page": 2})
    assert big_user.data(BIG_DAY, page=2)["pageOfResult"] == 4


def test_the_total_may_move_for_one_answer(sandbox: Sandbox, big_user: CalltouchUser) -> None:
    sandbox.world.faults.add("moving_total", by=-5, match={"page": 3})
    totals = [big_user.data(BIG_DAY, page=page)["totalCountSms"] for page in (2, 3, 4)]
    assert totals == [35_000, 34_995, 35_000]


def test_rows_may_arrive_between_two_pages(sandbox: Sandbox, big_user: CalltouchUser) -> None:
    first = big_user.data(BIG_DAY)["smsDetails"]
    sandbox.world.faults.add("page_drift", rows=3, match={"page": 2})
    second = big_user.data(BIG_DAY, page=2)
    assert second["totalCountSms"] == 35_003
    assert sum((multiset(first) & multiset(second["smsDetails"])).values()) >= 3
    truth = sandbox.world.calltouch.rows(BIG, BIG_DAY, BIG_DAY)
    assert len(truth) == 35_003
    assert multiset(big_user.pages(BIG_DAY)) == multiset(truth)


def test_rows_may_vanish_between_two_pages(sandbox: Sandbox, big_user: CalltouchUser) -> None:
    before = multiset(big_user.pages(BIG_DAY))
    sandbox.world.faults.add("rows_vanish", rows=4, match={"page": 2})
    assert big_user.data(BIG_DAY, page=2)["totalCountSms"] == 34_996
    after = multiset(big_user.pages(BIG_DAY))
    assert (before - after).total() == 4
    assert after == multiset(sandbox.world.calltouch.rows(BIG, BIG_DAY, BIG_DAY))


def test_one_row_may_come_as_another_goes_so_that_the_total_stands_still(
    sandbox: Sandbox, big_user: CalltouchUser
) -> None:
    first = big_user.data(BIG_DAY)["smsDetails"]
    sandbox.world.faults.add("even_drift", match={"page": 2})
    rest = [big_user.data(BIG_DAY, page=page) for page in (2, 3, 4)]
    assert {page["totalCountSms"] for page in rest} == {35_000}
    collected = first + [row for page in rest for row in page["smsDetails"]]
    assert len(collected) == 35_000
    assert multiset(collected) != multiset(sandbox.world.calltouch.rows(BIG, BIG_DAY, BIG_DAY))


@pytest.mark.parametrize(
    ("kind", "status"),
    [("credentials_refused", 401), ("no_access", 403), ("points_exhausted", 403)],
)
def test_one_account_may_be_refused_for_a_while(
    sandbox: Sandbox, user: CalltouchUser, big_user: CalltouchUser, kind: str, status: int
) -> None:
    sandbox.world.faults.add(kind, match={"account": BIG})
    assert user.ask(A_DAY).status_code == 200
    assert [big_user.ask(A_DAY).status_code for _ in range(2)] == [status, 200]


def test_a_status_and_a_key_may_come_that_no_document_knows(
    sandbox: Sandbox, user: CalltouchUser
) -> None:
    sandbox.world.faults.script([{"kind": "unseen_status"}, {"kind": "unseen_key"}])
    first = user.data(A_DAY)["smsDetails"][0]
    assert (first["smsStatus"], first["smsStatusDetail"]) == ("read", "Прочитано")
    assert first["smsCost"] == 3.5
