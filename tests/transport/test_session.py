"""The session, against servers that misbehave on purpose."""

from __future__ import annotations

import gzip
import json
import logging
import ssl
import subprocess
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dagster_project.errors import (
    AnswerNotTrusted,
    CredentialsRefused,
    RequestRefused,
    TryLater,
    WarehouseError,
)
from dagster_project.model import Tally
from dagster_project.transport.session import (
    Abandoned,
    Gate,
    Outcome,
    Reply,
    Request,
    RetryPolicy,
    Session,
    Timeouts,
    Transient,
    decode_json,
)
from tests.transport.scripted_server import (
    Asked,
    Play,
    cut_chunks,
    drip,
    drip_body,
    hang,
    hang_up,
    reply,
    reset,
    serving,
    serving_script,
)

GOOD = '{"rows": [1, 2]}'
SECRET = "s3cr3t-t0ken-value"


class Pauses(list[float]):
    """A pause that only remembers."""

    def __call__(self, seconds: float, stop: threading.Event | None) -> None:
        self.append(seconds)


def session(pauses: Pauses | None = None, **named: Any) -> Session:
    named.setdefault("timeouts", Timeouts(connect=2, read=0.4, total=0.8))
    named.setdefault("pause", Pauses() if pauses is None else pauses)
    return Session(**named)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_transient_status_is_asked_again(status: int) -> None:
    tally = Tally()
    with serving(reply("busy", status), reply(GOOD)) as server:
        answer = session().send(Request("GET", server.url), tally=tally, judge=decode_json)
    assert answer.decoded == {"rows": [1, 2]}
    assert answer.body == GOOD.encode()
    assert tally.requests == 2


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 410])
def test_any_other_status_is_the_callers_to_read(status: int) -> None:
    tally = Tally()
    with serving(reply(b"" if status == 204 else GOOD, status)) as server:
        answer = session().send(Request("GET", server.url), tally=tally)
    assert (answer.status, tally.requests) == (status, 1)


@pytest.mark.parametrize(
    "fault",
    [
        reset(),
        reset(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
        reset(b"HTTP/1.1 200"),
        reply('{"rows": [1', claims=16),
        cut_chunks(b'{"rows"'),
        reply("no header is like this", headers={"Transfer-Encoding": "chunked"}),
        reply("<html>try later</html>"),
        reply('\ufeff <!DOCTYPE html><html lang="ru">'),
        reply(""),
        reply('{"rows": [1, '),
        reply("\ufeff"),
        reply(b"\x1f\x8b not gzip", headers={"Content-Encoding": "gzip"}),
        reply(gzip.compress(GOOD.encode())[:-14], headers={"Content-Encoding": "gzip"}),
        hang(1.0),
        drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 50, 0.02),
        drip_body(100, 0.05),
    ],
)
def test_a_fault_on_the_wire_or_in_the_body_is_asked_again(fault: Play) -> None:
    tally = Tally()
    with serving(fault, reply(GOOD)) as server:
        answer = session().send(Request("GET", server.url), tally=tally, judge=decode_json)
    assert answer.decoded == {"rows": [1, 2]}
    assert tally.requests == 2


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(GOOD.encode()), {"Content-Encoding": "gzip"}),
        (b"\xef\xbb\xbf" + GOOD.encode(), {"Content-Type": "application/json"}),
        (GOOD.encode(), {"Content-Type": "text/html; charset=windows-1251"}),
        (b"\r\n " + GOOD.encode() + b"\n", {}),
    ],
)
def test_good_json_is_taken_in_any_wrapping(body: bytes, headers: dict[str, str]) -> None:
    with serving(reply(body, headers=headers)) as server:
        answer = session().send(Request("GET", server.url), tally=Tally(), judge=decode_json)
    assert answer.decoded == {"rows": [1, 2]}


@pytest.mark.parametrize("fault", [hang(3.0), drip(b" " * 90, 0.05), drip_body(90, 0.05)])
def test_no_server_holds_a_request_longer_than_its_timeouts(fault: Play) -> None:
    began = time.monotonic()
    with serving(fault) as server, pytest.raises(TryLater, match="no whole answer in time"):
        session().send(Request("GET", server.url), tally=Tally(), attempts=1)
    assert time.monotonic() - began < 1.5


def test_attempts_are_bounded_and_told() -> None:
    tally, pauses = Tally(), Pauses()
    with serving(reply("", 503)) as server, pytest.raises(TryLater) as failure:
        session(pauses).send(Request("POST", f"{server.url}/result"), tally=tally)
    assert f"POST 127.0.0.1:{server.port}/result was tried 5 times" in str(failure.value)
    assert "HTTP 503" in str(failure.value)
    assert (tally.requests, len(server.asked), len(pauses)) == (5, 5, 4)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (reset(), "connection reset"),
        (reply("{}", claims=9), "the body was cut short"),
        (cut_chunks(b"{"), "the answer broke off"),
        (reply(b"\x1f\x8b no", headers={"Content-Encoding": "gzip"}), "was not decompressed"),
        (reply("<html>"), "an HTML page came where JSON was due"),
        (reply(""), "the body is empty"),
        (reply("{"), "the body is not whole JSON"),
    ],
)
def test_the_last_fault_is_told_in_plain_words(fault: Play, words: str) -> None:
    with serving(fault) as server, pytest.raises(TryLater, match=words):
        session().send(Request("GET", server.url), tally=Tally(), attempts=1, judge=decode_json)


def test_time_is_bounded_too() -> None:
    policy = RetryPolicy(attempts=100, total=1.0, first_wait=0.4)
    began = time.monotonic()
    with serving(reply("", 503)) as server, pytest.raises(TryLater, match=r"was tried [23] times"):
        Session(retry=policy).send(Request("GET", server.url), tally=Tally())
    assert time.monotonic() - began < 1.5


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
        ("soon", 0.0, 0.5),
    ],
)
def test_retry_after_is_honoured_and_capped(
    status: int, header: str, least: float, most: float
) -> None:
    pauses = Pauses()
    with serving(reply("", status, {"Retry-After": header}), reply(GOOD)) as server:
        session(pauses).send(Request("GET", server.url), tally=Tally())
    assert least <= pauses[0] <= most


def test_retry_after_may_be_a_date() -> None:
    pauses = Pauses()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    with serving(reply("", 429, {"Retry-After": date}), reply(GOOD)) as server:
        session(pauses).send(Request("GET", server.url), tally=Tally())
    assert 15 < pauses[0] <= 20


def test_a_connection_refused_is_asked_again_and_not_counted_as_sent() -> None:
    with serving(reply()) as server:
        url = server.url
    tally, pauses = Tally(), Pauses()
    with pytest.raises(TryLater, match="connection refused"):
        session(pauses).send(Request("GET", url), tally=tally)
    assert (tally.requests, len(pauses)) == (0, 4)


def test_the_judge_decides_before_the_status() -> None:
    def judge(reply: Reply) -> None:
        raise CredentialsRefused("the token is not accepted")

    tally = Tally()
    with serving(reply(GOOD, 503)) as server, pytest.raises(CredentialsRefused):
        session().send(Request("GET", server.url), tally=tally, judge=judge)
    assert tally.requests == 1


def test_a_redirect_is_not_followed_and_takes_no_credential_along() -> None:
    with serving(reply(GOOD)) as elsewhere:
        to = {"Location": f"{elsewhere.url}/login?next=1"}
        with serving(reply("", 302, to)) as server, pytest.raises(RequestRefused) as failure:
            session().send(
                Request("GET", server.url, headers={"Access-Token": SecretStr(SECRET)}),
                tally=Tally(),
            )
        assert elsewhere.asked == []
    assert "redirect (302) to 127.0.0.1" in str(failure.value)


@pytest.mark.parametrize(("keeps", "sent"), [(True, "sid=abc"), (False, None)])
def test_cookies_are_kept_only_where_asked_for(keeps: bool, sent: str | None) -> None:
    with serving(reply(GOOD, headers={"Set-Cookie": "sid=abc; Path=/"})) as server:
        http = session(keeps_cookies=keeps)
        for _ in range(2):
            http.send(Request("GET", server.url), tally=Tally())
        http.forget_cookies()
        http.send(Request("GET", server.url), tally=Tally())
    assert [asked.headers.get("cookie") for asked in server.asked] == [None, sent, None]


def test_an_answer_too_large_to_hold_is_refused_however_small_it_travels() -> None:
    bomb = reply(gzip.compress(b" " * (3 << 20)), headers={"Content-Encoding": "gzip"})
    tally = Tally()
    with serving(bomb) as server, pytest.raises(AnswerNotTrusted, match="more than 1 MB"):
        session(max_bytes=1 << 20).send(Request("GET", server.url), tally=tally)
    assert tally.requests == 1


def test_an_untrusted_certificate_is_refused_once(tmp_path: Path) -> None:
    context = self_signed(tmp_path)
    tally = Tally()
    with serving(reply(GOOD), context=context) as server, pytest.raises(TryLater) as failure:
        session().send(Request("GET", server.url), tally=tally)
    assert "certificate was not accepted" in str(failure.value)
    assert (tally.requests, server.asked) == (0, [])


def self_signed(folder: Path) -> ssl.SSLContext:
    try:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
                *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", "key.pem", "-out", "cert.pem"),
            ],
            cwd=folder,
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_a_certificate_that_is_trusted_is_verified_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = self_signed(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    with serving(reply(GOOD), context=context) as server:
        answer = session().send(Request("GET", server.url), tally=Tally(), judge=decode_json)
    assert answer.decoded == {"rows": [1, 2]}


def test_the_environment_adds_neither_credentials_nor_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password from-netrc\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(reply(GOOD)) as proxy, serving(reply(GOOD)) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        session().send(Request("GET", server.url), tally=Tally())
    assert "authorization" not in server.asked[0].headers
    assert proxy.asked == []


def test_what_is_shown_of_a_request_holds_parameters_and_no_secret() -> None:
    with serving(reply(GOOD)) as server:
        request = Request(
            "POST",
            f"{server.url}/oauth/token/",
            params={"page": 0},
            json={"client_secret": SecretStr(SECRET), "scopes": ["a", SecretStr(SECRET)]},
            headers={"Authorization": SecretStr(f"Bearer {SECRET}")},
        )
        answer = session().send(request, tally=Tally(), sequence=3)
    asked = server.asked[0]
    assert asked.json == {"client_secret": SECRET, "scopes": ["a", SECRET]}
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert answer.request == {
        "method": "POST",
        "host": f"127.0.0.1:{server.port}",
        "path": "/oauth/token/",
        "params": {"page": 0},
        "json": {"client_secret": "[hidden]", "scopes": ["a", "[hidden]"]},
    }
    assert (answer.sequence, answer.asked_at <= answer.received_at) == (3, True)


def refuse(reply: Reply) -> None:
    raise RequestRefused("no")


def doubt(reply: Reply) -> None:
    raise Transient("not whole")


LEAKING: dict[str, tuple[Play, dict[str, Any]]] = {
    "status": (reply(SECRET, 503), {}),
    "cookie": (reply("", 500, {"Set-Cookie": f"sid={SECRET}"}), {}),
    "redirect": (reply("", 302, {"Location": f"https://other.invalid/{SECRET}?t={SECRET}"}), {}),
    "reset": (reset(), {}),
    "cut": (reply(SECRET, claims=999), {}),
    "hang": (hang(1.0), {}),
    "broken header": (drip(f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n".encode(), 0), {}),
    "bad status line": (drip(f"HTTP/9 {SECRET}\r\n\r\n".encode(), 0), {}),
    "refused by the judge": (reply(SECRET), {"judge": refuse}),
    "doubted by the judge": (reply(SECRET), {"judge": doubt}),
    "bad json": (reply(f'{{"token": "{SECRET}'), {"judge": decode_json}),
}


@pytest.mark.parametrize("case", LEAKING)
def test_no_secret_shows_in_logs_or_errors(case: str, caplog: pytest.LogCaptureFixture) -> None:
    play, named = LEAKING[case]
    with serving(play) as server:
        request = Request(
            "POST",
            f"{server.url}/path",
            params={"key": SecretStr(SECRET)},
            form={"password": SECRET, "username": SecretStr(SECRET)},
            headers={
                "Access-Token": SecretStr(SECRET),
                "X-XSRF-TOKEN": SECRET,
                "Cookie": SecretStr(f"sid={SECRET}"),
            },
        )
        assert_nothing_leaks(request, caplog, **named)


@pytest.mark.parametrize("token", [f"{SECRET}\n", f"{SECRET}\r\nX-Other: 1", f"{SECRET}\u2028я"])
def test_a_credential_that_is_no_header_is_refused_and_not_shown(
    token: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(reply(GOOD)) as server:
        request = Request("GET", server.url, headers={"Access-Token": SecretStr(token)})
        assert_nothing_leaks(request, caplog, expect_failure="\n" in token)


def assert_nothing_leaks(
    request: Request,
    caplog: pytest.LogCaptureFixture,
    *,
    expect_failure: bool | None = None,
    **named: Any,
) -> None:
    shown = [repr(request), str(request), str(request.shown())]
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connectionpool", "urllib3.connection", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    try:
        session(retry=RetryPolicy(attempts=2)).send(request, tally=Tally(), **named)
        failed = False
    except WarehouseError as error:
        failed = True
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        shown += [str(error), repr(error), "".join(report.format())]
        shown += [repr(error.__dict__)]
    assert expect_failure in (None, failed)
    shown += [caplog.text, *(repr(record.__dict__) for record in caplog.records)]
    assert [text for text in shown if SECRET in text] == []


def test_a_retry_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    with serving(reply("", 503), reply(GOOD)) as server:
        session().send(Request("GET", f"{server.url}/x"), tally=Tally())
    assert f"GET 127.0.0.1:{server.port}/x: attempt 1 of 5: HTTP 503; again in" in caplog.text


@pytest.mark.parametrize("play", [hang(5.0), drip_body(200, 0.05), reply("", 503)])
def test_an_exchange_given_up_ends_at_once(play: Play) -> None:
    stop = threading.Event()
    patient = Session(timeouts=Timeouts(5, 5, 10), retry=RetryPolicy(first_wait=20))
    with serving(play) as server:
        threading.Timer(0.2, stop.set).start()
        began = time.monotonic()
        with pytest.raises(Abandoned):
            patient.send(Request("GET", server.url), tally=Tally(), stop=stop)
        assert time.monotonic() - began < 1.0
        with pytest.raises(Abandoned):
            patient.send(Request("GET", server.url), tally=Tally(), stop=stop)
    assert len(server.asked) == 1


def test_many_threads_share_a_session_and_every_request_is_counted() -> None:
    def script(asked: Asked) -> Play:
        return reply(json.dumps(asked.params), 503 if asked.number % 7 == 0 else 200)

    tally, http = Tally(), session()
    with serving_script(script) as server, ThreadPoolExecutor(12) as pool:

        def ask(number: int) -> Any:
            request = Request("GET", server.url, params={"n": number})
            return http.send(request, tally=tally, sequence=number, judge=decode_json)

        answers = list(pool.map(ask, range(200)))
    assert [answer.decoded for answer in answers] == [{"n": str(n)} for n in range(200)]
    assert tally.requests == len(server.asked) > 200


class Remembering(Gate):
    """Notes what it is asked; lets a request go at the third question."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.outcomes: list[Outcome] = []

    def before(self) -> None:
        self.calls.append("before")

    def depart(self) -> bool:
        self.calls.append("depart")
        return Counter(self.calls)["depart"] % 3 == 0

    def left(self) -> None:
        self.calls.append("left")

    def after(self, outcome: Outcome) -> None:
        self.calls.append("after")
        self.outcomes.append(outcome)


def test_a_gate_is_passed_by_every_attempt_and_told_its_outcome() -> None:
    gate, tally = Remembering(), Tally()
    with serving(reply("", 429, {"Retry-After": "3"}), reset(), reply(GOOD)) as server:
        session().send(Request("GET", server.url), tally=tally, gate=gate)
    assert gate.calls == ["before", "depart", "depart", "depart", "left", "after"] * 3
    assert [outcome.sent for outcome in gate.outcomes] == [True, True, True]
    assert [outcome.retry_after for outcome in gate.outcomes] == [3.0, None, None]
    statuses = [outcome.reply.status if outcome.reply else None for outcome in gate.outcomes]
    assert statuses == [429, None, 200]
    assert [type(outcome.error) for outcome in gate.outcomes] == [Transient, Transient, type(None)]


def test_a_request_leaves_on_a_connection_that_the_server_did_not_close_while_it_waited() -> None:
    """The idle connection dies while the second request waits for its slot."""
    closing = threading.Event()

    def once(connection: Any) -> None:
        reply(GOOD)(connection)
        closing.wait(5)
        hang_up(connection)

    class Waits(Gate):
        waited = False

        def depart(self) -> bool:
            if not self.waited:
                closing.set()
                time.sleep(0.1)
            self.waited, before = True, self.waited
            return before

    tally, pauses = Tally(), Pauses()
    with serving_script(lambda asked: once if asked.number == 1 else reply(GOOD)) as server:
        http = session(pauses)
        http.send(Request("GET", server.url), tally=tally)
        http.send(Request("GET", server.url), tally=tally, gate=Waits())
    assert (tally.requests, pauses) == (2, [])


def test_a_gate_that_refuses_stops_the_exchange_before_anything_is_sent() -> None:
    class Shut(Gate):
        def before(self) -> None:
            raise RequestRefused("not today")

    with serving(reply(GOOD)) as server, pytest.raises(RequestRefused):
        session().send(Request("GET", server.url), tally=Tally(), gate=Shut())
    assert server.asked == []


def test_a_gate_learns_that_nothing_was_sent() -> None:
    with serving(reply()) as server:
        url = server.url
    gate = Remembering()
    with pytest.raises(TryLater):
        session().send(Request("GET", url), tally=Tally(), gate=gate, attempts=1)
    assert gate.calls == ["before", "after"]
    assert not gate.outcomes[0].sent
