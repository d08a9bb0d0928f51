"""The session, against servers that misbehave on purpose: what is asked again, and for how long."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from dagster_project.errors import (
    CredentialsRefused,
    TryLater,
)
from dagster_project.model.response import ExtractStats
from dagster_project.transport.exchange import Reply, Request
from dagster_project.transport.session import RetryPolicy, Session
from tests.transport.scripted_server import (
    Play,
    cut_chunks,
    drip,
    drip_body,
    hang,
    reply,
    reset,
    serving,
)
from tests.transport.sessions import GOOD, HASTY, Pauses, decode, session


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_transient_status_is_asked_again(status: int) -> None:
    stats = ExtractStats()
    with serving(reply("busy", status), reply(GOOD)) as server:
        answer = session().send(Request("GET", server.url), stats=stats, classify_response=decode)
    assert answer.decoded == {"rows": [1, 2]}
    assert answer.body == GOOD.encode()
    assert stats.requests == 2


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 410])
def test_any_other_status_is_the_callers_to_read(status: int) -> None:
    stats = ExtractStats()
    with serving(reply(b"" if status == 204 else GOOD, status)) as server:
        answer = session().send(Request("GET", server.url), stats=stats)
    assert (answer.status, stats.requests) == (status, 1)


@pytest.mark.parametrize(
    "fault",
    [
        reset(),
        reset(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
        reset(b"HTTP/1.1 200"),
        reply('{"rows": [1', claims=16),
        cut_chunks(b'{"rows"'),
        reply(GOOD, headers={"Content-Length": "3"}),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{", 0.0),
        reply("<html>try later</html>"),
        reply('\ufeff <!DOCTYPE html><html lang="ru">'),
        reply(""),
        reply('{"rows": [1, '),
        reply("\ufeff"),
        reply(b"\x1f\x8b not gzip", headers={"Content-Encoding": "gzip"}),
        reply(gzip.compress(GOOD.encode())[:-14], headers={"Content-Encoding": "gzip"}),
    ],
)
def test_a_fault_on_the_wire_or_in_the_body_is_asked_again(fault: Play) -> None:
    ask_again_after(fault, session())


@pytest.mark.parametrize(
    "fault",
    [
        reply("no header is like this", headers={"Transfer-Encoding": "chunked"}),
        hang(5.0),
        drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 50, 0.02),
        drip_body(100, 0.05),
    ],
)
def test_a_server_that_is_slow_is_asked_again(fault: Play) -> None:
    ask_again_after(fault, session(timeouts=HASTY))


def ask_again_after(fault: Play, http: Session) -> None:
    stats = ExtractStats()
    with serving(fault, reply(GOOD)) as server:
        answer = http.send(Request("GET", server.url), stats=stats, classify_response=decode)
    assert answer.decoded == {"rows": [1, 2]}
    assert stats.requests == 2


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(GOOD.encode()), {"Content-Encoding": "gzip"}),
        (b"\xef\xbb\xbf" + GOOD.encode(), {"Content-Type": "application/json"}),
        (GOOD.encode(), {"Content-Type": "text/html; charset=windows-1251"}),
        (b"\r\n " + GOOD.encode() + b"\n", {}),
    ],
    ids=["gzip", "byte order mark", "wrong content type", "blanks"],
)
def test_good_json_is_taken_in_any_wrapping(body: bytes, headers: dict[str, str]) -> None:
    with serving(reply(body, headers=headers)) as server:
        answer = session().send(
            Request("GET", server.url), stats=ExtractStats(), classify_response=decode
        )
    assert answer.decoded == {"rows": [1, 2]}


@pytest.mark.parametrize("fault", [hang(30.0), drip(b" " * 600, 0.05), drip_body(600, 0.05)])
def test_no_server_holds_a_request_longer_than_its_timeouts(fault: Play) -> None:
    began, http = time.monotonic(), session(timeouts=HASTY)
    with (
        serving(fault) as server,
        pytest.raises(TryLater, match="the response was not complete in time"),
    ):
        http.send(Request("GET", server.url), stats=ExtractStats(), attempts=1)
    assert time.monotonic() - began < 15


def test_attempts_are_bounded_and_told() -> None:
    stats, pauses = ExtractStats(), Pauses()
    with serving(reply("", 503)) as server, pytest.raises(TryLater) as failure:
        session(pauses).send(Request("POST", f"{server.url}/result"), stats=stats)
    assert f"POST 127.0.0.1:{server.port}/result was tried 5 times" in str(failure.value)
    assert "HTTP 503" in str(failure.value)
    assert (stats.requests, len(server.asked), len(pauses)) == (5, 5, 4)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (reset(), "connection reset"),
        (reply("{}", claims=9), "the body was cut short"),
        (cut_chunks(b"{"), "the response was cut off"),
        (reply(b"\x1f\x8b no", headers={"Content-Encoding": "gzip"}), "could not be decompressed"),
        (reply("<html>"), "an HTML page came instead of JSON"),
        (reply(""), "the body is empty"),
        (reply("{"), "the body is not whole JSON"),
    ],
)
def test_the_last_fault_is_told_in_plain_words(fault: Play, words: str) -> None:
    with serving(fault) as server, pytest.raises(TryLater, match=words):
        session().send(
            Request("GET", server.url),
            stats=ExtractStats(),
            attempts=1,
            classify_response=decode,
        )


def test_time_is_bounded_too() -> None:
    policy = RetryPolicy(attempts=100, total=3.0, first_wait=1.2)
    began = time.monotonic()
    with serving(reply("", 503)) as server, pytest.raises(TryLater, match=r"was tried [23] times"):
        Session(retry=policy).send(Request("GET", server.url), stats=ExtractStats())
    assert time.monotonic() - began < 10


def test_the_wait_grows_has_jitter_and_is_capped() -> None:
    policy = RetryPolicy()
    assert [policy.wait(n, 1.0, None) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [policy.wait(n, 0.0, None) for n in range(1, 4)] == [0.25, 0.5, 1]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7.0, 7.0),
        ("1.5", 1.5, 1.5),
        ("0", 0.0, 0.5),
        ("99999", 120.0, 120.0),
        ("9" * 400, 120.0, 120.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 120.0, 120.0),
        ("-30", 0.0, 0.5),
        ("nan", 0.0, 0.5),
        ("Fri, 99 Dec 2027 23:59:59 +9999", 0.0, 0.5),
        ("soon", 0.0, 0.5),
    ],
)
def test_retry_after_is_honoured_and_capped(
    status: int, header: str, least: float, most: float
) -> None:
    pauses = Pauses()
    with serving(reply("", status, {"Retry-After": header}), reply(GOOD)) as server:
        session(pauses).send(Request("GET", server.url), stats=ExtractStats())
    assert least <= pauses[0] <= most


def test_retry_after_may_be_a_date() -> None:
    pauses = Pauses()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    with serving(reply("", 429, {"Retry-After": date}), reply(GOOD)) as server:
        session(pauses).send(Request("GET", server.url), stats=ExtractStats())
    assert 15 < pauses[0] <= 20


def test_a_connection_refused_is_asked_again_and_not_counted_as_sent() -> None:
    with serving(reply()) as server:
        url = server.url
    stats, pauses = ExtractStats(), Pauses()
    with pytest.raises(TryLater, match="connection refused"):
        session(pauses).send(Request("GET", url), stats=stats)
    assert (stats.requests, len(pauses)) == (0, 4)


def test_the_judge_decides_before_the_status() -> None:
    def classify_response(reply: Reply) -> None:
        raise CredentialsRefused("the token is not accepted")

    stats = ExtractStats()
    with serving(reply(GOOD, 503)) as server, pytest.raises(CredentialsRefused):
        session().send(Request("GET", server.url), stats=stats, classify_response=classify_response)
    assert stats.requests == 1
