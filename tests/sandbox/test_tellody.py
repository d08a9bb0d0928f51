"""The played Tellody: what its documents promise, and the traps that they are silent about."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from dagster_project.sandbox.server import Sandbox
from dagster_project.sandbox.tellody.purchases import UNDATABLE_SHAPES, Purchase
from dagster_project.sandbox.tellody.vendor import Config
from dagster_project.sandbox.world import World, change_config
from tests.support.date_shapes import SHAPES

ROOT = "/CampaignCloud"
TOKEN = "X-XSRF-TOKEN"
KINDS = {"SMS_SENT", "EMAIL_SENT", "DL", "OPTOUT", "URL", "VOUCHER"}
ATHENS = ZoneInfo("Europe/Athens")


class TellodyUser:
    """Signs in as the public documentation says, and asks with a fresh token each time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.url = sandbox.url + ROOT
        self.config: Config = sandbox.world.tellody.config
        self.http = requests.Session()

    def ping(self) -> dict[str, str]:
        return {TOKEN: self.http.get(f"{self.url}/RememberMeController/ping").headers[TOKEN]}

    def sign_in(self, password: str | None = None, **headers: str) -> requests.Response:
        form = {
            "username": self.config.username,
            "password": password or self.config.password,
            "remember-me": "true",
        }
        return self.http.post(f"{self.url}/login", data=form, headers=headers or self.ping())

    def totals(self, first: int, last: int, **headers: str) -> requests.Response:
        asked = {"from": first, "to": last, "unit": "day", "dow": 0}
        url = f"{self.url}/Report/UniqueCode"
        return self.http.post(url, json=asked, headers=headers or self.ping())

    def page(self, page: int, per_page: int) -> requests.Response:
        url = f"{self.url}/CreditsController/PaymentHistory"
        params = {"page": page, "per_page": per_page}
        return self.http.get(url, params=params, headers=self.ping(), allow_redirects=False)


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    sandbox.world.tellody.start_anew(Config())
    return sandbox


@pytest.fixture
def visitor(sandbox: Sandbox) -> TellodyUser:
    return TellodyUser(sandbox)


@pytest.fixture
def user(visitor: TellodyUser) -> TellodyUser:
    assert visitor.sign_in().json()["status"] == "success"
    return visitor


def test_a_sign_in_answers_as_documented(visitor: TellodyUser) -> None:
    answer = visitor.sign_in()
    assert (answer.status_code, set(answer.json())) == (200, {"message", "status"})


def test_a_refusal_answers_as_documented_and_enough_of_them_lock(visitor: TellodyUser) -> None:
    for _ in range(visitor.config.lock_after):
        refused = visitor.sign_in("wrong")
        assert refused.status_code == 401
        assert refused.json() == {
            "access-denied": True,
            "cause": "badCredentials",
            "message": "Bad credentials",
        }
    assert visitor.sign_in().json()["access-denied"] is True


def test_a_token_serves_one_request_of_its_own_session(user: TellodyUser, sandbox: Sandbox) -> None:
    token = user.ping()
    assert user.totals(0, 1, **token).status_code == 200
    assert user.totals(0, 1, **token).status_code == 403
    assert user.totals(0, 1, **{TOKEN: "made-up"}).status_code == 403
    assert TellodyUser(sandbox).sign_in(**user.ping()).status_code == 403


@pytest.mark.parametrize(
    ("how", "status", "start"),
    [("401", 401, "{"), ("403", 403, "{"), ("redirect", 302, ""), ("html", 200, "<!DOCTYPE html>")],
)
def test_whoever_is_not_signed_in_is_shut_out(
    visitor: TellodyUser, how: str, status: int, start: str
) -> None:
    visitor.config.lost_how = how
    answer = visitor.page(0, 1)
    assert answer.status_code == status
    assert answer.text.startswith(start)


def test_a_session_ends_by_the_clock_and_by_the_number_of_requests(
    user: TellodyUser, sandbox: Sandbox
) -> None:
    change_config(user.config, {"session_seconds": 60})
    assert user.page(0, 1).status_code == 200
    sandbox.world.clock.shift(timedelta(seconds=61))
    assert user.page(0, 1).status_code == 401
    change_config(user.config, {"session_seconds": 0, "session_requests": 2})
    user.sign_in()
    assert [user.page(0, 1).status_code for _ in range(3)] == [200, 200, 401]


def test_totals_of_any_window_are_the_sums_of_its_parts(
    user: TellodyUser, sandbox: Sandbox
) -> None:
    tellody = sandbox.world.tellody
    draw = Random(3)
    start = int(datetime(2023, 10, 27, tzinfo=UTC).timestamp() * 1000)
    for _ in range(40):
        cuts = sorted(start + draw.randrange(5 * 86_400_000) for _ in range(4))
        parts = [tellody.totals(a, b - 1) for a, b in pairwise(cuts)]
        whole = tellody.totals(cuts[0], cuts[-1] - 1)
        assert whole == {kind: sum(part[kind] for part in parts) for kind in KINDS}
    asked = user.totals(start, start + 86_399_999).json()
    assert asked == tellody.totals(start, start + 86_399_999)
    assert set(asked) == KINDS


@pytest.mark.parametrize("zone", ["Europe/Athens", "America/Santiago", "Australia/Lord_Howe"])
def test_a_bound_that_is_off_by_a_millisecond_counts_wrong(sandbox: Sandbox, zone: str) -> None:
    totals = sandbox.world.tellody.totals
    for day in (date(2024, 1, 10), date(2024, 3, 31)):
        midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
        first = int(midnight.timestamp() * 1000)
        for shift in (-1, 1):
            assert totals(first + shift, first + 86_399_999) != totals(first, first + 86_399_999)
            assert totals(first, first + 86_399_999 + shift) != totals(first, first + 86_399_999)


def test_nothing_has_happened_after_the_present(sandbox: Sandbox) -> None:
    tellody, now = sandbox.world.tellody, sandbox.world.clock.now()
    at = int(now.timestamp() * 1000)
    assert set(tellody.totals(at + 1, at + 10**9).values()) == {0}
    assert all(purchase.millis <= at for purchase in tellody.purchases())


@pytest.mark.parametrize(
    "body",
    ["", "[]", '{"from":1}', '{"from":"1","to":2,"unit":"day"}', '{"from":1,"to":2,"unit":"year"}'],
)
def test_a_question_of_another_form_is_a_bad_request(user: TellodyUser, body: str) -> None:
    url = f"{user.url}/Report/UniqueCode"
    assert user.http.post(url, data=body, headers=user.ping()).status_code == 400


def test_pages_are_newest_first_and_add_up_to_the_count(user: TellodyUser) -> None:
    whole = user.page(0, 10**6).json()
    assert set(whole) == {"extras", "data", "count"}
    assert len(whole["data"]) == whole["count"] > 100
    moments = [record["date"]["millis"] for record in whole["data"]]
    assert moments == sorted(moments, reverse=True)
    paged = [record for n in range(9) for record in user.page(n, 15).json()["data"]]
    assert paged == whole["data"][: len(paged)]


def test_per_page_may_be_capped_and_paging_may_not_work(user: TellodyUser) -> None:
    user.config.per_page_cap = 10
    first, second = (user.page(n, 50).json() for n in (0, 1))
    assert [len(page["data"]) for page in (first, second)] == [10, 10]
    assert first["data"] != second["data"]
    user.config.paging = False
    assert user.page(1, 50).json() == first


def test_purchases_can_arrive_and_vanish_between_pages_and_be_sent_again(
    user: TellodyUser, sandbox: Sandbox
) -> None:
    before = user.page(0, 10).json()
    sandbox.world.faults.add("page_drift", match={"path": "*PaymentHistory", "page": 0})
    after = user.page(0, 10).json()
    assert after["count"] == before["count"] + 1
    assert after["data"][1:] == before["data"][:9]
    sandbox.world.faults.add("rows_vanish", match={"path": "*PaymentHistory"})
    assert user.page(0, 10).json() == before
    number = before["data"][3]["paymentId"]
    changes = {"payment_id": number, "invoice_history": "[1.10]", "amount": "0.10"}
    wish = {"resend": [changes], "withdraw": [before["data"][0]["paymentId"]], "buy": [{}]}
    answer = requests.post(f"{sandbox.url}/_sandbox/tellody/purchases", json=wish, timeout=5)
    assert len(answer.json()["bought"]) == 1
    text = user.page(0, 10).text
    assert '"amount":0.10' in text
    assert '"invoiceHistory":[1.10]' in text


def test_the_truth_of_activity_is_what_a_call_a_day_answers(
    user: TellodyUser, sandbox: Sandbox
) -> None:
    query = {"table": "activity", "from": "2024-03-30", "to": "2024-04-01"}
    url = f"{sandbox.url}/_sandbox/truth/tellody"
    lines = requests.get(url, params=query, timeout=5).text.splitlines()
    truth = [json.loads(line) for line in lines]
    assert [row["activity_on"] for row in truth] == ["2024-03-30", "2024-03-31", "2024-04-01"]
    for row in truth:
        day = date.fromisoformat(row.pop("activity_on"))
        first, end = (
            int(datetime.combine(d, datetime.min.time(), ATHENS).timestamp() * 1000)
            for d in (day, day + timedelta(days=1))
        )
        assert end - first == (82_800_000 if day == date(2024, 3, 31) else 86_400_000)
        assert user.totals(first, end - 1).json() == row


def test_the_same_seed_and_clock_tell_the_same() -> None:
    def told(seed: int) -> list[Any]:
        world = World(seed, configs={"tellody": {"date_shapes": list(SHAPES)}})
        world.clock.set(datetime(2024, 5, 1, tzinfo=UTC), running=False)
        tellody = world.tellody
        return [tellody.totals(1_700_000_000_000, 1_700_900_000_000), tellody.purchases()]

    assert told(5) == told(5)
    assert told(5)[0] != told(6)[0]
    assert told(5)[1] != told(6)[1]


@pytest.mark.parametrize("shape", [*SHAPES, *UNDATABLE_SHAPES])
def test_each_shape_of_a_date_is_json_with_a_true_row_or_none(shape: str) -> None:
    purchase = Purchase(7, 1437556984000, "Europe/Athens", shape, amount="4.90")
    record = json.loads(purchase.to_json(), parse_float=str)
    assert (record["paymentId"], record["amount"]) == (7, "4.90")
    row = purchase.row(ATHENS)
    assert (row is None) == (shape in UNDATABLE_SHAPES)
    if row is not None:
        assert row["purchased_on"] == "2015-07-22"
        assert row["purchased_at"] == "2015-07-22T09:23:04+00:00"
    if shape == "full":
        sample = record["date"]
        assert (sample["hourOfDay"], sample["weekOfWeekyear"], sample["dayOfYear"]) == (12, 30, 203)
        assert (sample["millisOfDay"], sample["minuteOfDay"], sample["dayOfWeek"]) == (
            44584000,
            743,
            3,
        )
