from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest

from dagster_project.errors import (
    AccessDenied,
    AnswerNotTrusted,
    RequestRefused,
    TryLater,
    VendorCannotAnswer,
)
from dagster_project.model.response import ExtractStats
from dagster_project.vendors.trust.rows import to_batch

TODAY = date(2024, 5, 15)
YESTERDAY = TODAY - timedelta(days=1)
BUSY, QUIET = 11, 13
STATISTICS = "/campaigns/api/v1/company/{}/statistics"

ENVELOPE = '{"code": 200, "resource": "Statistics", "message": "Ok", "data": %s}'

Play = Callable[..., Any]


def test_a_server_that_honours_ranges_gives_each_day_its_own_figures(rig: Play) -> None:
    played = rig()
    window = played.window(BUSY, date(2024, 4, 15), TODAY)
    stats = ExtractStats()
    rows = played.rows(played.client(), window, stats)
    assert rows == played.truth(window)
    assert [row["stats_on"] for row in rows] == [str(day) for day in window.days]
    assert all(row["is_daily"] and row["window_from"] == row["window_to"] for row in rows)
    assert stats.pages == 31
    assert stats.notes["range_proof"]["state"] == "honoured"


def test_a_server_that_ignores_ranges_gives_its_rolling_week_for_today_alone(rig: Play) -> None:
    played = rig(range_mode="ignore")
    client, window = played.client(), played.window(BUSY, TODAY)
    stats = ExtractStats()
    rows = played.rows(client, window, stats)
    assert rows == played.truth(window)
    [row] = rows
    assert not row["is_daily"]
    assert (row["window_from"], row["window_to"]) == ("2024-05-09", "2024-05-15")
    assert row["total"] > 0
    assert stats.notes["range_proof"]["state"] == "ignored"


@pytest.mark.parametrize("mode", ["ignore", "swallow", "refuse"])
@pytest.mark.parametrize(
    "days", [(YESTERDAY, YESTERDAY), (YESTERDAY, TODAY), (date(2023, 7, 1),) * 2]
)
def test_without_ranges_other_days_are_said_to_be_beyond_the_vendor(
    rig: Play, mode: str, days: tuple[date, date]
) -> None:
    played = rig(range_mode=mode)
    with pytest.raises(VendorCannotAnswer, match="cannot answer for"):
        played.rows(played.client(), played.window(BUSY, *days))


def test_quiet_companies_alone_prove_nothing_and_stay_rolling(rig: Play) -> None:
    played = rig(quiet=[11, 12, 13])
    client = played.client()
    rows = [
        row
        for company in (11, 12, 13)
        for row in played.rows(client, played.window(company, TODAY))
    ]
    assert rows == list(played.trust.truth({}))
    assert [row["is_daily"] for row in rows] == [False] * 3
    assert {row["total"] for row in rows} == {0}
    assert played.proofs.states == ["unproven"]
    with pytest.raises(VendorCannotAnswer, match="quiet"):
        played.rows(client, played.window(QUIET, YESTERDAY))


def test_one_companys_proof_serves_the_quiet_ones_of_the_server(rig: Play) -> None:
    played = rig()
    window = played.window(QUIET, YESTERDAY)
    [row] = played.rows(played.client(), window)
    assert row["is_daily"]
    assert row["total"] == 0
    assert [row] == played.truth(window)


def test_a_quiet_company_first_in_the_list_does_not_hinder_the_proof(rig: Play) -> None:
    played = rig(companies=[13, 11])
    assert played.client().get_proof(ExtractStats()).account == "11"


def test_a_server_that_answers_every_range_with_nothing_is_not_believed(rig: Play) -> None:
    played = rig(range_mode="swallow")
    proof = played.client().get_proof(ExtractStats())
    assert proof.state == "ignored"
    assert "any of the last 8 days" in proof.reason


def test_a_server_that_refuses_ranges_is_unproven_and_still_tells_today(rig: Play) -> None:
    played = rig(range_mode="refuse")
    window = played.window(BUSY, TODAY)
    assert played.rows(played.client(), window) == played.truth(window)
    assert played.proofs.states == ["unproven"]


def test_parameter_names_that_the_server_does_not_know_do_not_make_days(rig: Play) -> None:
    played = rig()
    settings = played.settings(TRUST_RANGE_PARAMS="from,to")
    assert played.client(settings).get_proof(ExtractStats()).state == "ignored"
    assert played.client().get_proof(ExtractStats()).state == "honoured"


def test_the_proof_is_remembered_and_not_asked_for_twice(rig: Play) -> None:
    played = rig()
    played.client().get_proof(ExtractStats())
    asked = played.requests
    stats = ExtractStats()
    assert played.client().get_proof(stats).state == "honoured"
    assert played.requests == asked
    assert stats.requests == 0


def test_many_threads_wait_for_one_proof(rig: Play) -> None:
    played = rig()
    alone = ExtractStats()
    played.client().get_proof(alone)
    played.proofs.known.clear()
    client, of_each = played.client(), [ExtractStats() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        states = {proof.state for proof in pool.map(client.get_proof, of_each)}
    assert states == {"honoured"}
    assert sum(stats.requests for stats in of_each) == alone.requests


def test_an_old_proof_is_taken_again_and_may_turn_over(rig: Play) -> None:
    played = rig()
    client = played.client()
    assert client.get_proof(ExtractStats()).state == "honoured"
    played.trust.config.range_mode = "ignore"
    assert client.get_proof(ExtractStats()).state == "honoured"
    played.sandbox.world.clock.shift(timedelta(days=1))
    turned = client.get_proof(ExtractStats())
    assert turned.state == "ignored"
    assert "in doubt" in turned.reason


def test_a_later_proof_lets_days_be_loaded_afresh(rig: Play, as_row: Play) -> None:
    played = rig(range_mode="ignore")
    client, window = played.client(), played.window(BUSY, TODAY)
    [stored] = client.extract(window, ExtractStats())
    played.trust.config.range_mode = "honour"
    played.sandbox.world.clock.shift(timedelta(days=1))
    assert played.rows(client, window) == played.truth(window)
    assert not as_row(to_batch(stored, window))["is_daily"]


def test_a_week_without_activity_does_not_undo_a_proof(rig: Play) -> None:
    played = rig()
    client = played.client()
    client.get_proof(ExtractStats())
    played.trust.config.quiet = [11, 12, 13]
    played.sandbox.world.clock.shift(timedelta(days=8))
    assert client.get_proof(ExtractStats()).state == "honoured"
    assert played.proofs.states == ["honoured", "unproven"]


def test_attempts_without_a_conclusion_are_an_hour_apart(rig: Play) -> None:
    played = rig(quiet=[11, 12, 13])
    client = played.client()
    client.get_proof(ExtractStats())
    asked = played.requests
    client.get_proof(ExtractStats())
    assert played.requests == asked
    played.sandbox.world.clock.shift(timedelta(hours=1, seconds=1))
    client.get_proof(ExtractStats())
    assert played.requests > asked


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("errors_with_200", [False, True])
def test_a_company_without_access_is_refused_alone(
    rig: Play, status: int, errors_with_200: bool
) -> None:
    played = rig(denied={11: status}, errors_with_200=errors_with_200)
    client = played.client()
    with pytest.raises(AccessDenied, match=r"trust account 11.*not open"):
        played.rows(client, played.window(11, YESTERDAY))
    window = played.window(12, YESTERDAY)
    assert played.rows(client, window) == played.truth(window)


def test_a_company_without_access_does_not_cost_a_token_each_time(rig: Play) -> None:
    played = rig(denied={11: 401})
    client = played.client()
    for _ in range(3):
        with pytest.raises(AccessDenied):
            played.rows(client, played.window(11, YESTERDAY))
    assert played.tokens_granted == 2


def test_no_day_that_has_not_begun_is_answered(rig: Play) -> None:
    played = rig()
    with pytest.raises(VendorCannotAnswer, match="has not begun"):
        played.rows(played.client(), played.window(BUSY, TODAY, TODAY + timedelta(days=1)))


def test_what_can_be_answered_depends_on_the_proof(rig: Play) -> None:
    honouring, ignoring = rig(), rig(range_mode="ignore")
    days = (YESTERDAY - timedelta(days=1), TODAY + timedelta(days=1))
    client = honouring.client()
    assert client.find_answerable(honouring.window(BUSY, *days), ExtractStats()) == [
        days[0],
        YESTERDAY,
        TODAY,
    ]
    assert client.newest_day(ExtractStats()) == YESTERDAY
    client = ignoring.client()
    assert client.find_answerable(ignoring.window(BUSY, *days), ExtractStats()) == [TODAY]
    assert client.newest_day(ExtractStats()) == TODAY


def test_today_is_the_vendors_and_not_that_of_utc(rig: Play) -> None:
    played = rig(clock="2024-05-15T23:30:00-04:00", range_mode="ignore")
    [row] = played.rows(played.client(), played.window(BUSY, TODAY))
    assert row["stats_on"] == "2024-05-15"


def test_a_rolling_answer_that_midnight_overtook_is_not_filed(rig: Play) -> None:
    played = rig(clock="2024-05-15T23:59:00-04:00", range_mode="ignore")
    client = played.client()
    client.get_proof(ExtractStats())
    answers = client.extract(played.window(BUSY, TODAY), ExtractStats())
    asked = client._api.ask

    def slow(*args: Any, **named: Any) -> Any:
        answer = asked(*args, **named)
        played.sandbox.world.clock.shift(timedelta(minutes=2))
        return answer

    client._api.ask = slow  # type: ignore[method-assign]
    with pytest.raises(VendorCannotAnswer):
        next(answers)


def test_figures_of_recent_days_move_and_are_told_anew(rig: Play) -> None:
    played = rig()
    client, window = played.client(), played.window(BUSY, YESTERDAY)
    [early] = played.rows(client, window)
    played.sandbox.world.clock.shift(timedelta(days=7))
    [late] = played.rows(client, window)
    assert early["pending"] > 0
    assert late["pending"] == 0
    assert late["received"] > early["received"]
    assert late == played.truth(window)[0]


def test_unknown_keys_come_through_the_whole_way(rig: Play) -> None:
    played = rig(unknown_actions=True, unknown_statistics={"cost": 12.5}, closed_key=False)
    window = played.window(BUSY, YESTERDAY)
    [answer] = played.client().extract(window, ExtractStats())
    batch = to_batch(answer, window)
    assert batch.counts["unknown_key:cost"] == batch.counts["unknown_key:actions.OPENED"] == 1
    assert b'"cost": 12.5' in batch.records[0]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "params": {"status": 503}},
        {"kind": "status", "params": {"status": 429, "retry_after": "1"}},
        {"kind": "html"},
        {"kind": "empty"},
        {"kind": "cut_json"},
        {"kind": "reset"},
        {"kind": "reset_in_body"},
        {"kind": "not_json"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_passing_fault_costs_a_retry_and_nothing_else(rig: Play, fault: dict[str, Any]) -> None:
    played = rig()
    client, window = played.client(), played.window(BUSY, YESTERDAY)
    client.get_proof(ExtractStats())
    [scripted] = played.sandbox.world.faults.script([fault | {"match": {"account": str(BUSY)}}])
    stats = ExtractStats()
    assert played.rows(client, window, stats) == played.truth(window)
    assert scripted.played == 1
    assert stats.requests == 2


@pytest.mark.parametrize("kind", ["gzip", "bom", "content_type", "slow_drip"])
def test_an_odd_transfer_of_a_good_body_is_read(rig: Play, kind: str) -> None:
    played = rig()
    client, window = played.client(), played.window(BUSY, YESTERDAY)
    client.get_proof(ExtractStats())
    params = {"seconds": 0.2} if kind == "slow_drip" else {}
    scripted = played.sandbox.world.faults.add(kind, match={"account": str(BUSY)}, **params)
    assert played.rows(client, window) == played.truth(window)
    assert scripted.played == 1


def test_a_fault_that_does_not_pass_is_try_later(rig: Play) -> None:
    played = rig()
    client = played.client()
    client.get_proof(ExtractStats())
    played.sandbox.world.faults.add("status", status=500, times=None)
    with pytest.raises(TryLater, match=r"trust account 11"):
        played.rows(client, played.window(BUSY, YESTERDAY))


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_passing_error_within_a_200_is_retried(rig: Play, code: int) -> None:
    played = rig()
    client, window = played.client(), played.window(BUSY, YESTERDAY)
    client.get_proof(ExtractStats())
    body = f'{{"code": {code}, "resource": "Statistics", "message": "no"}}'
    played.sandbox.world.faults.add("not_json", match={"account": "11"}, body=body)
    assert played.rows(client, window) == played.truth(window)


def test_an_envelope_of_another_form_reaches_the_store_and_is_then_refused(rig: Play) -> None:
    played = rig()
    client, window = played.client(), played.window(BUSY, YESTERDAY)
    client.get_proof(ExtractStats())
    played.sandbox.world.faults.add("not_json", match={"account": "11"}, body='{"code": 200}')
    answers = client.extract(window, ExtractStats())
    answer = next(answers)
    assert answer.body == b'{"code": 200}'
    for refusing in (lambda: next(answers), lambda: to_batch(answer, window)):
        with pytest.raises(AnswerNotTrusted):
            refusing()


def test_an_outage_of_one_company_leaves_the_proof_to_the_others(rig: Play) -> None:
    played = rig()
    played.sandbox.world.faults.add("status", status=500, times=None, match={"account": "11"})
    client, window = played.client(), played.window(12, YESTERDAY)
    assert played.rows(client, window) == played.truth(window)
    assert client.get_proof(ExtractStats()).account == "12"


def test_an_outage_is_not_told_as_something_the_vendor_can_never_answer(rig: Play) -> None:
    played = rig()
    played.sandbox.world.faults.add("status", status=500, times=None)
    with pytest.raises(TryLater):
        played.rows(played.client(), played.window(BUSY, YESTERDAY))
    assert played.proofs.states == []
    played.sandbox.world.faults.clear()
    window = played.window(BUSY, YESTERDAY)
    assert played.rows(played.client(), window) == played.truth(window)


def test_a_range_in_one_call_is_the_sum_of_its_days_but_for_campaigns(rig: Play) -> None:
    played = rig()
    client, window = played.client(), played.window(BUSY, date(2024, 4, 1), date(2024, 4, 30))
    whole = client.fetch_statistics(
        BUSY, window.first_day, window.last_day, ExtractStats()
    ).counters()
    days = played.rows(client, window)
    summed = {name: sum(day[name] for day in days) for name in whole}
    assert whole["campaigns"] < summed.pop("campaigns")
    assert {**whole, "campaigns": None} == {**summed, "campaigns": None}


def test_a_range_is_not_asked_of_a_server_that_ignores_it(rig: Play) -> None:
    played = rig(range_mode="ignore")
    with pytest.raises(VendorCannotAnswer):
        played.client().fetch_statistics(BUSY, date(2024, 4, 1), date(2024, 4, 30), ExtractStats())


def test_a_range_that_is_too_long_is_refused_for_good(rig: Play) -> None:
    played = rig(max_range_days=10)
    client = played.client()
    with pytest.raises(RequestRefused, match="422"):
        client.fetch_statistics(BUSY, date(2024, 4, 1), date(2024, 4, 30), ExtractStats())


def test_a_stored_request_says_what_was_asked_and_holds_no_secret(rig: Play) -> None:
    played = rig()
    [answer] = played.client().extract(played.window(BUSY, YESTERDAY), ExtractStats())
    assert answer.request["path"] == STATISTICS.format(BUSY)
    assert answer.request["params"] == {"start_date": "2024-05-14", "end_date": "2024-05-14"}
    assert answer.request["covers"] == {"from": "2024-05-14", "to": "2024-05-14", "is_daily": True}
    assert "earer" not in str(answer.request)


def test_the_doctors_check_costs_a_token_and_no_statistics(rig: Play) -> None:
    played = rig()
    assert played.client().check(ExtractStats()) is None
    assert played.requests == played.tokens_granted == 1
    played.client().get_proof(ExtractStats())
    proof = played.client().check(ExtractStats())
    assert proof is not None
    assert proof.state == "honoured"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[]", "the answer is a list and no JSON object"),
        (ENVELOPE % "[]", "data is a list and no JSON object"),
        (ENVELOPE % "null", "data is null and no JSON object"),
        (ENVELOPE % '{"actions": []}', "actions is a list and no JSON object"),
        ('{"code": 200, "resource": "Statistics", "message": "Ok"}', "data is no JSON object"),
        ("Warning: x\n" + ENVELOPE % "{}", "there is other text before it"),
        (ENVELOPE % "{}" + "<br>", "there is other text after it"),
    ],
)
def test_figures_of_an_unknown_form_are_asked_for_once(rig: Play, body: str, said: str) -> None:
    played = rig()
    client, window = played.client(), played.window(BUSY, YESTERDAY)
    client.get_proof(ExtractStats())
    played.sandbox.world.faults.add("not_json", times=None, match={"account": "11"}, body=body)
    stats = ExtractStats()
    with pytest.raises(AnswerNotTrusted) as failure:
        list(client.extract(window, stats))
    assert said in str(failure.value)
    assert stats.requests == 1
