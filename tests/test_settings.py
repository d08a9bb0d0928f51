"""Settings that are refused before anything is asked: each names itself and the way out."""

from __future__ import annotations

import pytest

from dagster_project.errors import SettingsError
from dagster_project.settings import load_settings

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
    sites = settings.calltouch.sites if settings.calltouch else ()
    companies = settings.trust.company_ids if settings.trust else ()
    assert [*(site.site_id for site in sites), *companies] == [1, LARGEST]


@pytest.mark.parametrize("value", ["9" * 5_000, "2147483648"])
def test_a_number_beyond_use_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="RAW_RETENTION_DAYS is larger than"):
        load_settings({"RAW_RETENTION_DAYS": value}, dotenv=None)
