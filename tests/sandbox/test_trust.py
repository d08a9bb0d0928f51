"""The played Trust, spoken to over HTTP as its document says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from typing import Any

import pytest
import requests

from dagster_project.sandbox.server import Sandbox, running_sandbox

NOON = "2024-05-15T12:00:00-04:00"
TODAY = date(2024, 5, 15)
BUSY, QUIET = 11, 13


class TrustUser:
    """Speaks the documented methods with a token of its own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.trust = sandbox.world.trust
        self.token = self.sign_in().json()["access_token"]

    def sign_in(self, **changes: Any) -> requests.Response:
        body = {
            "client_id": self.trust.config.client_id,
            "client_secret": self.trust.config.client_secret,
            "grant_type": "client_credentials",
        }
        return requests.post(f"{self.sandbox.url}/oauth/token/", json=body | changes, timeout=10)

    def ask(self, company: int, *days: date, **params: Any) -> requests.Response:
        names = self.trust.config.range_params.split(",")
        return requests.get(
            f"{self.sandbox.url}/campaigns/api/v1/company/{company}/statistics",
            params=dict(zip(names, map(str, days), strict=False)) | params,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=10,
        )

    def data(self, company: int, *days: date) -> dict[str, Any]:
        answer = self.ask(company, *days)
        answer.raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data


@pytest.fixture
def play() -> Iterator[Callable[..., TrustUser]]:
    with ExitStack() as stack:

        def start(seed: int = 1, clock: str = NOON, **config: Any) -> TrustUser:
            sandbox = running_sandbox(seed=seed, clock=clock, trust=config)
            return TrustUser(stack.enter_context(sandbox))

        yield start


Play = Callable[..., TrustUser]


def test_a_token_is_told_with_its_life_and_the_vendors_clock(play: Play) -> None:
    user = play(clock_ahead_seconds=120)
    answer = user.sign_in().json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 7200
    assert answer["created_at"] == user.sandbox.world.clock.now().timestamp() + 120


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_wrong_credentials_get_no_token(
    play: Play, changes: dict[str, Any], status: int, error: str
) -> None:
    answer = play().sign_in(**changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_token_expires_by_the_sandboxs_clock(play: Play) -> None:
    user = play(token_seconds=60)
    assert user.ask(BUSY).status_code == 200
    user.sandbox.world.clock.shift(timedelta(seconds=60))
    answer = user.ask(BUSY)
    assert answer.status_code == answer.json()["code"] == 401


def test_a_quiet_company_answers_the_documented_empty(play: Play) -> None:
    assert play().ask(QUIET).json() == {
        "code": 200,
        "resource": "Statistics",
        "data": {
            "total": 0,
            "sended": 0,
            "pending": 0,
            "fails": 0,
            "actions": {"RECEIVED": 0, "PRESS_ACTION": 0, "UNKNOWN": 0},
            "campaign": 0,
        },
        "message": "Ok",
    }


def test_without_a_range_it_tells_the_last_seven_days(play: Play) -> None:
    user = play()
    week = user.data(BUSY)
    assert week == user.data(BUSY, TODAY - timedelta(days=6), TODAY)
    days = [user.data(BUSY, day, day) for n in range(7) for day in [TODAY - timedelta(days=n)]]
    for counter in ("total", "sended", "pending", "fails"):
        assert week[counter] == sum(day[counter] for day in days)
    assert week["campaign"] < sum(day["campaign"] for day in days)


def test_figures_add_up_as_one_would_expect(play: Play) -> None:
    data = play().data(BUSY)
    actions = data["actions"]
    assert data["total"] == data["sended"] + data["pending"] + data["fails"]
    assert actions["RECEIVED"] <= data["sended"]
    assert actions["PRESS_ACTION"] + actions["CLOSED"] <= actions["RECEIVED"]


def test_recent_days_move_with_the_clock_and_then_stand_still(play: Play) -> None:
    user = play()
    day = TODAY - timedelta(days=1)
    seen = []
    for _ in range(4):
        seen.append(user.data(BUSY, day, day))
        user.sandbox.world.clock.shift(timedelta(days=2))
        user.token = user.sign_in().json()["access_token"]
    assert seen[0]["pending"] > seen[1]["pending"] >= 0
    assert seen[0]["actions"]["RECEIVED"] < seen[1]["actions"]["RECEIVED"]
    assert seen[2] == seen[3]


def test_days_before_the_company_and_after_today_are_empty(play: Play) -> None:
    user = play()
    for day in (date(2000, 1, 1), date(2023, 5, 31), TODAY + timedelta(days=1)):
        assert user.data(BUSY, day, day)["total"] == 0


def test_a_server_that_ignores_ranges_always_tells_the_week(play: Play) -> None:
    user = play(range_mode="ignore")
    assert user.data(BUSY, date(2000, 1, 1), date(2000, 1, 1)) == user.data(BUSY)


def test_a_server_that_swallows_ranges_tells_nothing(play: Play) -> None:
    user = play(range_mode="swallow")
    assert user.data(BUSY, TODAY, TODAY)["total"] == 0
    assert user.data(BUSY)["total"] > 0


def test_parameters_of_another_name_are_ignored(play: Play) -> None:
    user = play(range_params="desde,hasta")
    answer = user.ask(BUSY, start_date="2000-01-01", end_date="2000-01-01")
    assert answer.json()["data"] == user.data(BUSY)
    assert user.data(BUSY, date(2000, 1, 1), date(2000, 1, 1))["total"] == 0


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"start_date": "2024-05-01"}, 400),
        ({"start_date": "01-05-2024", "end_date": "02-05-2024"}, 422),
        ({"start_date": "2024-05-02", "end_date": "2024-05-01"}, 422),
        ({"start_date": "2024-05-01", "end_date": "2024-05-11"}, 422),
        ({"start_date": "2024-05-01", "end_date": "2024-05-10"}, 200),
    ],
)
def test_a_range_has_to_be_one_and_within_the_cap(
    play: Play, params: dict[str, str], status: int
) -> None:
    assert play(max_range_days=10).ask(BUSY, **params).status_code == status


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_company_out_of_reach_answers_its_status_alone(play: Play, status: int) -> None:
    user = play(denied={BUSY: status})
    assert user.ask(BUSY).status_code == status
    assert user.ask(12).status_code == 200


def test_an_unknown_company_is_not_found(play: Play) -> None:
    assert play().ask(99).status_code == 404


def test_errors_can_come_with_200(play: Play) -> None:
    answer = play(errors_with_200=True, denied={BUSY: 403}).ask(BUSY)
    assert (answer.status_code, answer.json()["code"]) == (200, 403)


def test_a_token_can_be_lost_on_demand(play: Play) -> None:
    user = play()
    user.sandbox.world.faults.add("token_lost")
    assert [user.ask(BUSY).status_code for _ in range(2)] == [401, 401]
    user.token = user.sign_in().json()["access_token"]
    assert user.ask(BUSY).status_code == 200


def test_faults_can_aim_at_a_company(play: Play) -> None:
    user = play()
    user.sandbox.world.faults.add("status", status=503, match={"account": "12"})
    assert [user.ask(company).status_code for company in (BUSY, 12, 12)] == [200, 503, 200]


def test_closed_is_left_out_where_there_is_none_or_where_it_is_switched_off(play: Play) -> None:
    assert "CLOSED" in play().data(BUSY)["actions"]
    assert "CLOSED" not in play(closed_key=False).data(BUSY)["actions"]


def test_undocumented_keys_appear_on_demand(play: Play) -> None:
    data = play(unknown_actions=True, unknown_statistics={"cost": 1.5}).data(BUSY)
    assert data["cost"] == 1.5
    assert data["actions"]["OPENED"] > 0


def test_the_same_seed_tells_the_same_and_another_something_else(play: Play) -> None:
    one, same, other = (play(seed=seed).data(BUSY) for seed in (1, 1, 2))
    assert one == same != other


def test_the_truth_is_what_is_answered(play: Play) -> None:
    user = play(clock="2024-05-15T03:30:00Z")
    [row] = user.trust.truth({"company": str(BUSY), "first": "2024-05-14", "last": "2024-05-14"})
    data = user.data(BUSY, date(2024, 5, 14), date(2024, 5, 14))
    assert row["is_daily"]
    assert row["stats_on"] == str(user.trust.today) == "2024-05-14", "Santiago is behind UTC"
    assert row["total"] == data["total"] > 0
    assert row["received"] == data["actions"]["RECEIVED"]
    assert row["campaigns"] == data["campaign"]


@pytest.mark.parametrize("config", [{"range_mode": "ignore"}, {"quiet": [11, 12, 13]}])
def test_the_truth_without_a_provable_range_is_todays_week(
    play: Play, config: dict[str, Any]
) -> None:
    user = play(**config)
    rows = list(user.trust.truth({"first": "2024-05-01", "last": "2024-05-31"}))
    assert [row["company_id"] for row in rows] == [11, 12, 13]
    assert {(row["window_from"], row["stats_on"], row["is_daily"]) for row in rows} == {
        ("2024-05-09", "2024-05-15", False)
    }


def test_it_hands_out_settings_that_the_product_reads(play: Play) -> None:
    user = play()
    env = user.sandbox.settings_env()
    assert env["TRUST_COMPANY_IDS"] == "11,12,13"
    assert env["TRUST_BASE_URL"] == env["TRUST_AUTH_URL"] == user.sandbox.url
