"""Settings of single sites, and of very many sites."""

from __future__ import annotations

import cProfile
import pstats
from zoneinfo import ZoneInfo

import pytest

from dagster_project.config.raw_settings import RawSettings
from dagster_project.errors import SettingsError
from dagster_project.vendors.calltouch.settings import CalltouchSettings

TOKEN = "token-of-all-sites-4711"


def given(sites: range, **texts: str) -> RawSettings:
    return RawSettings({"CALLTOUCH_SITE_IDS": ",".join(map(str, sites)), **texts})


def test_a_setting_of_one_site_wins_and_the_others_keep_the_common_one() -> None:
    texts = {
        "CALLTOUCH_ACCESS_TOKEN": TOKEN,
        "CALLTOUCH_ACCESS_TOKEN_102": "token-of-its-own-0815",
        "CALLTOUCH_TIMEZONE_103": "Asia/Almaty",
        "CALLTOUCH_DAILY_POINTS": "500",
        "CALLTOUCH_DAILY_POINTS_101": "7",
    }
    sites = CalltouchSettings.read(given(range(101, 104), **texts)).sites
    assert [one.site_id for one in sites] == [101, 102, 103]
    assert [one.token.get_secret_value() == TOKEN for one in sites] == [True, False, True]
    moscow, almaty = ZoneInfo("Europe/Moscow"), ZoneInfo("Asia/Almaty")
    assert [one.time_zone for one in sites] == [moscow, moscow, almaty]
    # Who names a setting of its own takes the common value of all others.
    assert [one.daily_points for one in sites] == [7, 500, 500]


def test_a_wrong_setting_of_one_site_is_named() -> None:
    texts = {"CALLTOUCH_ACCESS_TOKEN": TOKEN, "CALLTOUCH_TIMEZONE_102": "Nowhere/Atlantis"}
    with pytest.raises(SettingsError, match="CALLTOUCH_TIMEZONE_102"):
        CalltouchSettings.read(given(range(101, 104), **texts))


@pytest.mark.parametrize("own", [False, True])
def test_a_thousand_sites_cost_ten_times_what_a_hundred_do(*, own: bool) -> None:
    def calls(count: int) -> int:
        sites = range(1, count + 1)
        tokens = {f"CALLTOUCH_ACCESS_TOKEN_{one}": f"{TOKEN}-{one}" for one in sites}
        texts = given(sites, **(tokens if own else {"CALLTOUCH_ACCESS_TOKEN": TOKEN}))
        with cProfile.Profile() as profile:
            assert len(CalltouchSettings.read(texts).sites) == count
        return int(pstats.Stats(profile).total_calls)

    calls(1)
    assert calls(1000) < 15 * calls(100)
