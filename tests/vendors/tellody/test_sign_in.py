"""One sign-in for all feeds and days; renewed when it is lost; refused credentials never tried twice."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import traceback
from collections.abc import Callable
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from dagster_project.errors import (
    AccessDenied,
    AnswerNotTrusted,
    CredentialsRefused,
    RequestRefused,
    TryLater,
)
from dagster_project.model.response import ExtractStats, Response
from dagster_project.sandbox.tellody import sign_in
from dagster_project.vendors.tellody.client import ActivityClient, PurchasesClient, shared_session
from tests.vendors.tellody.conftest import Rig, secrets_of

DAY = date(2024, 4, 1)
WEEK = DAY + timedelta(days=6)
PING, LOGIN = "/RememberMeController/ping", "/CampaignCloud/login"
ACTIVITY, PAYMENTS = "/Report/UniqueCode", "/CreditsController/PaymentHistory"

StartRig = Callable[..., Rig]


def week(rig: Rig, client: ActivityClient, stats: ExtractStats | None = None) -> list[Any]:
    return list(client.extract(rig.window(DAY, WEEK), stats or ExtractStats()))


def assert_true_week(rig: Rig, answers: list[Response]) -> None:
    truth = rig.tellody.truth({"table": "activity", "from": str(DAY), "to": str(WEEK)})
    told = [{"activity_on": a.request["day"], **json.loads(a.body)} for a in answers]
    assert told == list(truth)


def test_one_sign_in_serves_both_feeds_and_every_day_with_a_fresh_token_each(rig: StartRig) -> None:
    played = rig()
    session, stats = played.session(), ExtractStats()
    assert_true_week(played, week(played, played.activity(session), stats))
    list(played.purchases(session).extract(played.window(DAY), stats))
    assert played.sign_ins == 1
    assert played.calls(PING) == 1 + 7 + 1
    assert stats.requests == played.sandbox.world.stats.requests("tellody") == 1 + 9 + 8


@pytest.mark.parametrize("how", ["401", "403", "redirect", "html", "denied"])
@pytest.mark.parametrize("nth", [1, 4])
def test_a_lost_session_is_renewed_and_the_request_repeated_once(
    rig: StartRig, how: str, nth: int
) -> None:
    played = rig()
    played.fault("session_lost", f"*{ACTIVITY}", how=how, match={"nth": nth})
    assert_true_week(played, week(played, played.activity()))
    assert played.sign_ins == 2
    assert played.calls(ACTIVITY) == 8


@pytest.mark.parametrize("how", ["401", "html", "redirect"])
def test_sessions_that_end_by_the_clock_or_after_some_requests_are_renewed(
    rig: StartRig, how: str
) -> None:
    played = rig(session_requests=3, lost_how=how)
    assert_true_week(played, week(played, played.activity()))
    assert played.sign_ins == 3
    aging = rig(session_seconds=1800, lost_how=how)
    client = aging.activity()
    for _ in range(2):
        assert_true_week(aging, week(aging, client))
        aging.sandbox.world.clock.shift(timedelta(hours=1))
    assert aging.sign_ins == 2


@pytest.mark.parametrize(
    ("how", "error"),
    [("401", AccessDenied), ("403", AccessDenied), ("denied", AccessDenied), ("redirect", AnswerNotTrusted), ("html", TryLater)],
)  # fmt: skip
def test_a_session_lost_again_at_once_is_an_error_that_says_so(
    rig: StartRig, how: str, error: type[Exception]
) -> None:
    played = rig()
    if how == "html":
        played.fault("html", f"*{ACTIVITY}", times=None)
    else:
        played.fault("session_lost", f"*{ACTIVITY}", times=None, how=how)
    with pytest.raises(error, match=r"UniqueCode.*"):
        week(played, played.activity())
    assert played.sign_ins == 2


@pytest.mark.parametrize("status", [401, 403, 200, 500])
def test_refused_credentials_fail_at_once_and_are_never_tried_again(
    rig: StartRig, status: int
) -> None:
    played = rig(refusal_status=status)
    session = played.session(TELLODY_PASSWORD="not-the-password")
    for client in (played.activity(session), played.purchases(session)):
        for _ in range(2):
            with pytest.raises(CredentialsRefused, match="TELLODY_PASSWORD"):
                list(client.extract(played.window(DAY), ExtractStats()))
    with pytest.raises(CredentialsRefused):
        session.check(ExtractStats())
    assert played.calls(LOGIN) == 1
    assert played.sandbox.world.stats.requests("tellody") == 2


def test_the_process_remembers_a_refusal_over_clients_but_not_over_other_credentials(
    rig: StartRig,
) -> None:
    played = rig()
    wrong = played.settings(TELLODY_PASSWORD="not-the-password-of-this-process")
    for client in (ActivityClient(wrong), PurchasesClient(wrong), ActivityClient(wrong)):
        with pytest.raises(CredentialsRefused):
            client.check(ExtractStats())
        client.close()
    assert played.calls(LOGIN) == 1
    right = played.settings()
    ActivityClient(right).check(ExtractStats())
    assert played.calls(LOGIN) == 2
    assert shared_session(right, right.base_url) is shared_session(
        played.settings(), right.base_url
    )


def test_a_closed_client_leaves_the_session_signed_in(rig: StartRig) -> None:
    played = rig()
    session = played.session()
    for client in (played.activity(session), played.activity(session)):
        assert_true_week(played, week(played, client))
        client.close()
    assert played.sign_ins == 1


def test_tokens_spent_by_an_answer_that_was_lost_are_replaced(rig: StartRig) -> None:
    played = rig()
    played.fault("cut_json", f"*{ACTIVITY}", times=1, match={"nth": 2})
    played.fault("reset", f"*{ACTIVITY}", times=1, match={"nth": 5}, processed=True)
    played.fault("token_lost", f"*{ACTIVITY}", times=1, match={"nth": 9})
    assert_true_week(played, week(played, played.activity()))


@pytest.mark.parametrize("kind", ["reset", "cut_json", "html", "empty"])
def test_a_sign_in_that_was_cut_off_is_not_a_refusal(rig: StartRig, kind: str) -> None:
    played = rig()
    more = {"processed": True} if kind == "reset" else {}
    played.fault(kind, f"*{LOGIN}", times=1, **more)
    assert_true_week(played, week(played, played.activity()))


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("status", {"status": 429, "retry_after": "1"}),
        ("status", {"status": 503}),
        ("html", {}),
        ("empty", {}),
        ("reset", {}),
        ("cut_json", {}),
        ("gzip", {}),
        ("bom", {}),
        ("content_type", {"value": "text/html"}),
    ],
)
@pytest.mark.parametrize("path", [PING, LOGIN, ACTIVITY, PAYMENTS])
def test_passing_faults_change_nothing(
    rig: StartRig, path: str, kind: str, params: dict[str, Any]
) -> None:
    played = rig(per_page_cap=40)
    played.fault(kind, f"*{path}", times=2, **params)
    session = played.session()
    assert_true_week(played, week(played, played.activity(session)))
    answers = list(played.purchases(session).extract(played.window(DAY), ExtractStats()))
    assert sum(len(a.page.records) for a in answers if isinstance(a, Response)) == len(
        played.tellody.purchases()
    )


def test_an_error_of_the_server_at_the_sign_in_is_not_a_refusal(rig: StartRig) -> None:
    played = rig()
    body = '{"status": 500, "cause": "java.lang.NullPointerException"}'
    played.fault("status", f"*{LOGIN}", status=500, body=body)
    assert_true_week(played, week(played, played.activity()))


def test_a_ping_that_is_refused_says_what_to_check(rig: StartRig) -> None:
    played = rig()
    played.fault("status", f"*{PING}", times=None, status=403)
    with pytest.raises(RequestRefused, match="ping before the sign-in with HTTP 403"):
        played.session().check(ExtractStats())
    assert played.calls(LOGIN) == 0


def test_a_request_that_the_vendor_calls_wrong_is_not_repeated(rig: StartRig) -> None:
    played = rig()
    played.fault("status", f"*{ACTIVITY}", times=None, status=400)
    with pytest.raises(RequestRefused, match="HTTP 400"):
        week(played, played.activity())
    assert played.calls(ACTIVITY) == 1


def test_threads_share_the_sign_in_and_take_turns(rig: StartRig) -> None:
    played = rig()
    session = played.session()
    results: list[list[Any]] = []
    threads = [
        threading.Thread(target=lambda: results.append(week(played, played.activity(session))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for answers in results:
        assert_true_week(played, answers)
    assert played.sign_ins == 1


def test_no_credential_cookie_or_token_is_logged_raised_or_stored(
    rig: StartRig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_out: list[str] = []

    def watched(size: int) -> str:
        given_out.append(secrets.token_urlsafe(size))
        return given_out[-1]

    monkeypatch.setattr(sign_in, "secrets", SimpleNamespace(token_urlsafe=watched))
    caplog.set_level(logging.DEBUG)
    played = rig(lost_how="403")
    settings = played.settings()
    client = played.activity()
    played.fault("session_lost", f"*{ACTIVITY}", match={"nth": 2})
    played.fault("status", f"*{ACTIVITY}", status=503, match={"nth": 5})
    shown = [repr((answer.request, answer)) for answer in week(played, client)]
    played.fault("session_lost", f"*{ACTIVITY}", times=None)
    with pytest.raises(AccessDenied) as raised:
        week(played, client)
    wrong = played.session(TELLODY_PASSWORD="not-the-password")
    with pytest.raises(CredentialsRefused) as refused:
        wrong.check(ExtractStats())
    shown += [frames_and_locals(error.value) for error in (raised, refused)]
    shown += [caplog.text, repr(vars(wrong)), repr(settings)]
    assert len(given_out) > 20
    for secret in [*secrets_of(settings), "not-the-password", *given_out]:
        assert not [text for text in shown if secret in text]


def frames_and_locals(error: BaseException) -> str:
    """What a traceback that shows local variables tells of the product's own frames."""
    told: traceback.TracebackException | None = traceback.TracebackException.from_exception(
        error, capture_locals=True
    )
    shown = [str(error)]
    while told is not None:
        frames = [frame for frame in told.stack if "dagster_project" in frame.filename]
        assert frames
        shown += [f"{frame.name}: {frame.locals}" for frame in frames]
        told = told.__cause__ or told.__context__
    return "".join(shown)
