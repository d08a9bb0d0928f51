from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from dagster_project.errors import AnswerNotTrusted, CredentialsRefused, RequestRefused, TryLater
from dagster_project.model.response import ExtractStats
from dagster_project.transport.session import RetryPolicy, Session
from dagster_project.vendors.trust.token import TokenSource

YESTERDAY = date(2024, 5, 14)

Play = Callable[..., Any]


class Seconds:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def source(settings: Any, monotonic: Seconds | None = None) -> TokenSource:
    session = Session(retry=RetryPolicy(attempts=2), pause=lambda seconds, stop: None)
    return TokenSource(settings, session, monotonic=monotonic or Seconds())


def answer_with(played: Any, body: Any, status: int = 200) -> None:
    played.sandbox.world.faults.add(
        "status", times=None, match={"path": "/oauth/token/"}, status=status, body=json.dumps(body)
    )


def test_one_token_serves_all_companies_and_days(rig: Play) -> None:
    played = rig()
    client = played.client()
    for company in (11, 12, 13):
        played.rows(client, played.window(company, date(2024, 5, 10), YESTERDAY))
    assert played.tokens_granted == 1


def test_a_token_is_kept_until_shortly_before_it_expires(rig: Play) -> None:
    played, seconds = rig(), Seconds()
    tokens = source(played.settings(), seconds)
    first = tokens.current(ExtractStats())
    seconds.now += 7200 - 61
    assert tokens.current(ExtractStats()) is first
    seconds.now += 2
    assert tokens.current(ExtractStats()) is not first
    assert played.tokens_granted == 2


def test_its_age_is_reckoned_from_here_whatever_the_vendors_clock_says(rig: Play) -> None:
    played, seconds = rig(clock_ahead_seconds=-86_400), Seconds()
    tokens = source(played.settings(), seconds)
    first = tokens.current(ExtractStats())
    seconds.now += 3600
    assert tokens.current(ExtractStats()) is first


def test_a_token_that_lives_for_seconds_is_still_used_more_than_once(rig: Play) -> None:
    played, seconds = rig(token_seconds=10), Seconds()
    tokens = source(played.settings(), seconds)
    first = tokens.current(ExtractStats())
    seconds.now += 8
    assert tokens.current(ExtractStats()) is first
    seconds.now += 1.5
    assert tokens.current(ExtractStats()) is not first


@pytest.mark.parametrize("expires_in", [None, "7200", 0, -1, True, 1e300])
def test_a_life_that_is_not_told_is_the_documented_one(rig: Play, expires_in: Any) -> None:
    played, seconds = rig(), Seconds()
    answer_with(played, {"access_token": "t", "expires_in": expires_in})
    assert (
        source(played.settings(), seconds).current(ExtractStats()).good_until == 1_000 + 7200 - 60
    )


def test_a_token_that_is_lost_early_is_renewed_once_and_the_request_repeated(rig: Play) -> None:
    played = rig()
    client, window = played.client(), played.window(11, YESTERDAY)
    client.get_proof(ExtractStats())
    played.sandbox.world.faults.add("token_lost")
    stats = ExtractStats()
    assert played.rows(client, window, stats) == played.truth(window)
    assert played.tokens_granted == 2
    assert stats.requests == 3, "refused, token, repeated"


def test_a_token_that_expired_at_the_vendor_is_renewed(rig: Play) -> None:
    played = rig()
    client = played.client()
    client.get_proof(ExtractStats())
    played.sandbox.world.clock.shift(timedelta(hours=3))
    window = played.window(11, YESTERDAY)
    assert played.rows(client, window) == played.truth(window)
    assert played.tokens_granted == 2


def test_many_threads_share_one_token_and_one_renewal(rig: Play) -> None:
    played = rig()
    tokens = source(played.settings())
    with ThreadPoolExecutor(8) as pool:
        first = set(pool.map(lambda _: tokens.current(ExtractStats()), range(8)))
        [lost] = first
        renewed = set(pool.map(lambda _: tokens.current(ExtractStats(), instead_of=lost), range(8)))
    assert len(renewed) == 1
    assert lost not in renewed
    assert played.tokens_granted == 2


@pytest.mark.parametrize("errors_with_200", [False, True])
def test_wrong_credentials_fail_clearly_and_once_in_the_process(
    rig: Play, errors_with_200: bool
) -> None:
    played = rig(errors_with_200=errors_with_200)
    wrong = played.settings().model_copy(update={"client_secret": SecretStr("not-it-at-all")})
    for _ in range(2):
        client = played.client(wrong)
        for company in (11, 12):
            with pytest.raises(CredentialsRefused, match="TRUST_CLIENT_SECRET") as caught:
                played.rows(client, played.window(company, YESTERDAY))
            assert "not-it-at-all" not in str(caught.value)
    assert played.requests == 1


def test_corrected_credentials_are_tried_again(rig: Play) -> None:
    played = rig()
    wrong = played.settings().model_copy(update={"client_secret": SecretStr("not-it-at-all")})
    with pytest.raises(CredentialsRefused):
        source(wrong).current(ExtractStats())
    assert source(played.settings()).current(ExtractStats())


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, "", CredentialsRefused),
        (403, "<html>", CredentialsRefused),
        (400, {"error": "invalid_client"}, CredentialsRefused),
        (400, {"error": "unauthorized_client"}, CredentialsRefused),
        (200, {"code": 401, "message": "Unauthorized"}, CredentialsRefused),
        (400, {"error": "invalid_request"}, RequestRefused),
        (404, {"error": "not found"}, RequestRefused),
        (302, "", RequestRefused),
        (200, {"access_token": ""}, AnswerNotTrusted),
        (200, {"access_token": 5}, AnswerNotTrusted),
        (200, {"access_token": "a\r\nb"}, AnswerNotTrusted),
        (200, [], AnswerNotTrusted),
        (500, {"error": "invalid_client"}, CredentialsRefused),
        (500, "", TryLater),
        (429, {}, TryLater),
    ],
)
def test_a_refusal_is_named_by_what_can_be_done(
    rig: Play, status: int, body: Any, error: type[Exception]
) -> None:
    played = rig()
    answer_with(played, body, status)
    with pytest.raises(error):
        source(played.settings()).current(ExtractStats())


def test_no_secret_is_logged_told_or_shown(rig: Play, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    played = rig()
    played.sandbox.world.faults.add("status", status=503, match={"path": "/oauth/token/"})
    played.sandbox.world.faults.add("status", status=503, match={"account": "11"})
    client = played.client()
    shown = [str(answer) for answer in client.extract(played.window(11, YESTERDAY), ExtractStats())]
    token = client._api._tokens.current(ExtractStats())
    bare = token.authorization.get_secret_value().removeprefix("Bearer ")
    for text in (caplog.text, *shown, repr(token), repr(played.settings())):
        for secret in (played.trust.config.client_secret, played.trust.config.client_id, bare):
            assert secret not in text
    assert "again in" in caplog.text, "something was logged"
