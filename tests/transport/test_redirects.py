"""A redirect is named at once with its target, by every vendor's client; nothing follows it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from dagster_project.config.settings import load_settings
from dagster_project.errors import AnswerNotTrusted, RequestRefused, WarehouseError
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import Account, Window
from dagster_project.transport.exchange import Redirected, Request
from dagster_project.vendors.tellody.client import ActivityClient, PurchasesClient
from dagster_project.vendors.tellody.settings import TellodySettings
from dagster_project.vendors.tellody.sign_in import TellodySession
from dagster_project.vendors.trust.client import TrustClient as TrustClient
from dagster_project.vendors.trust.settings import TrustSettings
from tests.transport.scripted_server import Asked, Play, reply, serving, serving_script
from tests.transport.sessions import GOOD, SECRET, Pauses, session
from tests.vendors.calltouch.played import WINDOW as SMS_WINDOW
from tests.vendors.calltouch.played import Played, calltouch, read

TARGET = "https://app.example.com:8443/new/home"
LEADS_TO = "app.example.com: https://app.example.com:8443/new/home"
REDIRECTS: list[tuple[int, str, dict[str, str], str]] = [
    (301, "<html>Moved</html>", {"Location": TARGET}, f"redirect (301) to {LEADS_TO}."),
    (302, "", {"Location": f"{TARGET}?token={SECRET}#x"}, f"redirect (302) to {LEADS_TO}."),
    (303, "{}", {"Location": TARGET}, f"redirect (303) to {LEADS_TO}."),
    (307, "", {"Location": TARGET.replace("//", "//user:pw@")}, f"redirect (307) to {LEADS_TO}."),
    (308, "<html>", {}, "redirect (308) that names no target."),
    (302, "", {}, "redirect (302) that names no target."),
]
DAY = date(2024, 4, 1)


def told_once(error: WarehouseError, said: str) -> None:
    assert said in str(error)
    for hidden in (SECRET, "user:", "pw@"):
        assert hidden not in str(error)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/login?next=%2F", "127.0.0.1: http://127.0.0.1:{port}/login"),
        ("../up", "127.0.0.1: http://127.0.0.1:{port}/up"),
        (f"https://h.example/{SECRET}/in", "h.example: https://h.example/[hidden]/in"),
        ("https://h.example/a;jsessionid=1A2B", "h.example: https://h.example/a"),
        ("https://h.example/reset/9f8e7d6c5b4a39281706", "https://h.example/reset/[hidden]"),
        ("https://h.example/of/79161234567", "https://h.example/of/[hidden]"),
        ("http://[::1", "a target that is no URL"),
        ("https://h.example/" + "long/" * 500, "https://h.example/long/long"),
    ],
)
def test_a_target_is_shown_without_what_could_be_secret(location: str, shown: str) -> None:
    with serving(reply("<html>", 302, {"Location": location})) as server:
        request = Request("GET", f"{server.url}/a/b", headers={"Access-Token": SecretStr(SECRET)})
        with pytest.raises(Redirected) as failure:
            session().send(request, stats=ExtractStats())
        assert shown.format(port=server.port) in str(failure.value)
    assert SECRET not in str(failure.value)
    assert len(str(failure.value)) < 500


@pytest.mark.parametrize(("status", "body", "headers", "said"), REDIRECTS)
def test_calltouch_is_asked_once_and_no_point_is_spent(
    status: int, body: str, headers: dict[str, str], said: str
) -> None:
    stats = ExtractStats()
    vendor = Played([], refusal=lambda asked: reply(body, status, headers))
    with calltouch(vendor) as (_, client), pytest.raises(RequestRefused) as failure:
        read(client, SMS_WINDOW, stats)
    told_once(failure.value, said)
    assert (len(vendor.questions), stats.requests, stats.points) == (1, 1, 0)


class Forgetful:
    """Proofs of ranges that are not kept."""

    def load(self, *_: str) -> list[Any]:
        return []

    def save(self, _: Any) -> None:
        return None


def trust(url: str) -> TrustClient:
    settings = load_settings(
        {
            "TRUST_BASE_URL": url,
            "TRUST_AUTH_URL": url,
            "TRUST_CLIENT_ID": f"redirected-{url}",
            "TRUST_CLIENT_SECRET": SECRET,
            "TRUST_COMPANY_IDS": "11",
        },
        dotenv=None,
    ).section(TrustSettings)
    assert settings is not None
    return TrustClient(settings, proofs=Forgetful(), session=session())


@pytest.mark.parametrize(("status", "body", "headers", "said"), REDIRECTS)
@pytest.mark.parametrize("path", ["/oauth/token/", "/campaigns"])
def test_trust_is_asked_once_for_a_token_and_for_figures(
    path: str, status: int, body: str, headers: dict[str, str], said: str
) -> None:
    def script(asked: Asked) -> Play:
        if asked.path.startswith(path):
            return reply(body, status, headers)
        return reply('{"access_token": "t", "expires_in": 7200}')

    with serving_script(script) as server:
        client, stats = trust(server.url), ExtractStats()
        with pytest.raises(RequestRefused) as failure:
            client._api.ask(11, None, stats)
        client.close()
        assert len([asked for asked in server.asked if asked.path.startswith(path)]) == 1
    told_once(failure.value, said)


Client = ActivityClient | PurchasesClient


def tellody(url: str, kind: Callable[..., TrustClient]) -> Client:
    settings = load_settings(
        {"TELLODY_BASE_URL": url, "TELLODY_USERNAME": "u", "TELLODY_PASSWORD": SECRET}, dotenv=None
    ).section(TellodySettings)
    assert settings is not None
    http = session(Pauses(), keeps_cookies=True)
    return kind(settings, TellodySession(url, settings.username, settings.password, http))


@pytest.mark.parametrize(("status", "body", "headers", "said"), REDIRECTS)
@pytest.mark.parametrize(
    ("path", "asked_times", "error"),
    [
        ("/CampaignCloud/RememberMeController/ping", 1, RequestRefused),
        ("/CampaignCloud/login", 1, RequestRefused),
        ("/CampaignCloud/Report/UniqueCode", 2, AnswerNotTrusted),
        ("/CampaignCloud/CreditsController/PaymentHistory", 2, AnswerNotTrusted),
    ],
)
def test_tellody_signs_in_anew_at_most_once_and_then_says_where_it_was_sent(
    path: str,
    asked_times: int,
    error: type[WarehouseError],
    status: int,
    body: str,
    headers: dict[str, str],
    said: str,
) -> None:
    """A lost session may show as a redirect to the login page, so a report is asked for twice."""

    def script(asked: Asked) -> Play:
        if asked.path == path:
            return reply(body, status, headers)
        if asked.path.endswith("/ping"):
            return reply("", 200, {"X-XSRF-TOKEN": "x"})
        return reply('{"status": "success"}' if asked.path.endswith("/login") else GOOD)

    of_purchases = path.endswith("PaymentHistory")
    source = "tellody_purchases" if of_purchases else "tellody_activity"
    window = Window(DAY, DAY, Account(source, "main", ZoneInfo("Europe/Athens")))
    with serving_script(script) as server:
        client = tellody(server.url, PurchasesClient if of_purchases else ActivityClient)
        with pytest.raises(error) as failure:
            list(client.extract(window, ExtractStats()))
        client.close()
        assert len([asked for asked in server.asked if asked.path == path]) == asked_times
    told_once(failure.value, said.rstrip("."))
