"""What a session never lets out: credentials, cookies, bodies; nor in: too much, or a stranger."""

from __future__ import annotations

import gzip
import logging
import ssl
import subprocess
import traceback
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dagster_project.errors import (
    AnswerNotTrusted,
    RequestRefused,
    TryLater,
    WarehouseError,
)
from dagster_project.model.response import ExtractStats
from dagster_project.transport.connection import Timeouts
from dagster_project.transport.exchange import Reply, Request, Transient
from dagster_project.transport.session import RetryPolicy
from tests.support.programs import need
from tests.transport.scripted_server import (
    Play,
    drip,
    hang,
    reply,
    reset,
    serving,
)
from tests.transport.sessions import GOOD, HASTY, SECRET, decode, session


def test_a_redirect_is_not_followed_and_takes_no_credential_along() -> None:
    with serving(reply(GOOD)) as elsewhere:
        to = {"Location": f"{elsewhere.url}/login?next=1"}
        with serving(reply("", 302, to)) as server, pytest.raises(RequestRefused) as failure:
            session().send(
                Request("GET", server.url, headers={"Access-Token": SecretStr(SECRET)}),
                stats=ExtractStats(),
            )
        assert elsewhere.asked == []
    assert "redirect (302) to 127.0.0.1" in str(failure.value)


@pytest.mark.parametrize(("keeps", "sent"), [(True, "sid=abc"), (False, None)])
def test_cookies_are_kept_only_where_asked_for(keeps: bool, sent: str | None) -> None:
    with serving(reply(GOOD, headers={"Set-Cookie": "sid=abc; Path=/"})) as server:
        http = session(keeps_cookies=keeps)
        for _ in range(2):
            http.send(Request("GET", server.url), stats=ExtractStats())
        http.forget_cookies()
        http.send(Request("GET", server.url), stats=ExtractStats())
    assert [asked.headers.get("cookie") for asked in server.asked] == [None, sent, None]


def test_an_answer_too_large_to_hold_is_refused_however_small_it_travels() -> None:
    bomb = reply(gzip.compress(b" " * (3 << 20)), headers={"Content-Encoding": "gzip"})
    stats = ExtractStats()
    with serving(bomb) as server, pytest.raises(AnswerNotTrusted, match="more than 1 MB"):
        session(max_bytes=1 << 20).send(Request("GET", server.url), stats=stats)
    assert stats.requests == 1


def test_an_untrusted_certificate_is_refused_once(tmp_path: Path) -> None:
    context = self_signed(tmp_path)
    stats = ExtractStats()
    with serving(reply(GOOD), context=context) as server, pytest.raises(TryLater) as failure:
        session().send(Request("GET", server.url), stats=stats)
    assert "certificate was not accepted" in str(failure.value)
    assert (stats.requests, server.asked) == (0, [])


def self_signed(folder: Path) -> ssl.SSLContext:
    subprocess.run(
        [
            *(*need("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_a_certificate_that_is_trusted_is_verified_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = self_signed(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    with serving(reply(GOOD), context=context) as server:
        answer = session().send(
            Request("GET", server.url), stats=ExtractStats(), classify_response=decode
        )
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
        session().send(Request("GET", server.url), stats=ExtractStats())
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
        answer = session().send(request, stats=ExtractStats(), sequence=3)
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
    "hang": (hang(5.0), {"timeouts": HASTY}),
    "broken header": (
        drip(f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n".encode(), 0),
        {"timeouts": HASTY},
    ),
    "bad status line": (drip(f"HTTP/9 {SECRET}\r\n\r\n".encode(), 0), {}),
    "refused by the judge": (reply(SECRET), {"classify_response": refuse}),
    "doubted by the judge": (reply(SECRET), {"classify_response": doubt}),
    "bad json": (reply(f'{{"token": "{SECRET}'), {"classify_response": decode}),
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
    timeouts: Timeouts | None = None,
    **named: Any,
) -> None:
    shown = [repr(request), str(request), str(request.summary())]
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connectionpool", "urllib3.connection", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    try:
        http = session(retry=RetryPolicy(attempts=2), timeouts=timeouts)
        http.send(request, stats=ExtractStats(), **named)
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
        session().send(Request("GET", f"{server.url}/x"), stats=ExtractStats())
    assert f"GET 127.0.0.1:{server.port}/x: attempt 1 of 5: HTTP 503; again in" in caplog.text
