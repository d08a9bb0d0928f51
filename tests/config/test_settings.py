"""Settings that are refused before anything is asked: each names itself and the way out."""

from __future__ import annotations

import pytest

from dagster_project.config.settings import load_settings
from dagster_project.errors import SettingsError
from dagster_project.vendors.calltouch.settings import CalltouchSettings
from dagster_project.vendors.trust.settings import TrustSettings

LARGEST = 2**63 - 1
CREDENTIALS = {
    "CALLTOUCH_ACCESS_TOKEN": "x",
    "TRUST_CLIENT_ID": "x",
    "TRUST_CLIENT_SECRET": "x",
}
IDS = ["CALLTOUCH_SITE_IDS", "TRUST_COMPANY_IDS"]


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize(
    "value",
    ["0", "-1", "101,0", str(LARGEST + 1), "9" * 40, "9" * 5_000, "1.5", "one", "101,0101", "1e3"],
)
def test_an_id_that_no_bigint_holds_is_refused_as_a_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as refusal:
        load_settings({**CREDENTIALS, name: value}, dotenv=None)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("name", IDS)
def test_the_largest_id_is_taken(name: str) -> None:
    settings = load_settings({**CREDENTIALS, name: f"1,{LARGEST}"}, dotenv=None)
    calltouch, trust = settings.section(CalltouchSettings), settings.section(TrustSettings)
    sites = calltouch.sites if calltouch else ()
    companies = trust.company_ids if trust else ()
    assert [*(site.site_id for site in sites), *companies] == [1, LARGEST]


@pytest.mark.parametrize("value", ["9" * 5_000, "2147483648"])
def test_a_number_beyond_use_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="RAW_RETENTION_DAYS is larger than"):
        load_settings({"RAW_RETENTION_DAYS": value}, dotenv=None)


URLS = {
    "CALLTOUCH_BASE_URL": {"CALLTOUCH_SITE_IDS": "1"},
    "TELLODY_BASE_URL": {"TELLODY_USERNAME": "x", "TELLODY_PASSWORD": "x"},
    "TELLODY_PAYMENTS_URL": {"TELLODY_USERNAME": "x", "TELLODY_PASSWORD": "x"},
    "TRUST_BASE_URL": {"TRUST_COMPANY_IDS": "1"},
    "TRUST_AUTH_URL": {"TRUST_COMPANY_IDS": "1"},
    "ALARM_WEBHOOK_URL": {},
}
ELSEWHERE = [
    "http://vendor.example.com",
    "http://10.0.0.7:8080",
    "http://[2001:db8::1]",
    "http://localhost.example.com",
    "http://0.0.0.0",
    "HTTP://vendor.example.com",
]
HERE = ["http://127.0.0.1:81", "http://localhost", "http://[::1]:81", "https://vendor.example.com"]


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("url", ELSEWHERE)
def test_plain_http_to_another_host_needs_the_setting_that_says_so(name: str, url: str) -> None:
    given = {**CREDENTIALS, **URLS[name], name: url}
    for more in ({}, {"ALLOW_PLAIN_HTTP": "no"}, {"ALLOW_PLAIN_HTTP": ""}):
        with pytest.raises(SettingsError, match=rf"{name}.*ALLOW_PLAIN_HTTP=yes"):
            load_settings(given | more, dotenv=None)
    load_settings(given | {"ALLOW_PLAIN_HTTP": "yes"}, dotenv=None)
    with pytest.raises(SettingsError, match="ALLOW_PLAIN_HTTP"):
        load_settings(given | {"ALLOW_PLAIN_HTTP": "maybe"}, dotenv=None)


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("url", HERE)
def test_tls_and_this_machine_need_no_setting(name: str, url: str) -> None:
    load_settings({**CREDENTIALS, **URLS[name], name: url}, dotenv=None)
