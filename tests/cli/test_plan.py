"""What a backfill would cost, told before it is made; and wishes left to the nightly runs."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from dagster_project.cli.main import main
from tests.support.ledger import load_days
from tests.support.nights import BUSY, NIGHT, ONE_NIGHT, QUIET, YESTERDAY, Nights, days
from tests.support.statements import counted_statements


@pytest.fixture
def plan(nights: Nights, capsys: pytest.CaptureFixture[str]) -> Any:
    """``warehouse plan --json`` of days counted back, for the one account."""

    def call(first: date, last: date, *options: str) -> dict[str, Any]:
        capsys.readouterr()
        arguments = ["plan", "--source", "calltouch", "--from", str(first), "--to", str(last)]
        assert run([*arguments, "--json", *options]) == 0
        [found] = json.loads(capsys.readouterr().out)
        return dict(found)

    return call


def run(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    return code if isinstance(code, int) else 0


def vendors_calls(nights: Nights) -> int:
    return nights.sandbox.world.stats.requests("calltouch")


def test_a_plan_asks_no_vendor_and_owns_up_to_what_it_does_not_know(
    nights: Nights, plan: Any
) -> None:
    found = plan(days(100)[0], YESTERDAY)
    assert found["bases"] == {"unknown": 100}
    assert found["high"] is None
    assert not found["timed"]
    assert vendors_calls(nights) == 0


def test_a_plan_of_days_that_are_known_comes_true(nights: Nights, plan: Any) -> None:
    assert nights.house.refresh(days(9))
    found = plan(days(9)[0], YESTERDAY)
    assert found["bases"] == {"receipt": 9}
    assert found["low"] == found["requests"] == found["high"] == 1
    assert found["points"] == 2
    assert found["timed"]
    before = vendors_calls(nights)
    assert nights.house.refresh(days(9))
    assert vendors_calls(nights) - before == found["requests"]


def test_days_that_were_never_read_are_told_from_their_weekdays(nights: Nights, plan: Any) -> None:
    assert nights.house.refresh(days(28))
    found = plan(days(120)[0], YESTERDAY)
    assert found["bases"] == {"receipt": 28, "weekday": 92}
    assert found["low"] <= found["requests"] <= found["high"]
    truth = nights.sandbox.world.calltouch.total(int(QUIET), days(120)[0], YESTERDAY)
    assert found["low"] <= -(-truth // 10_000) <= found["high"]


def test_a_probe_makes_sure_at_the_price_of_a_call(nights: Nights, plan: Any) -> None:
    found = plan(days(120)[0], YESTERDAY, "--probe")
    truth = nights.sandbox.world.calltouch.total(int(QUIET), days(120)[0], YESTERDAY)
    assert found["bases"] == {"counted": 120}
    assert found["rows"] == truth
    assert vendors_calls(nights) == 1
    [(points,)] = nights.house.rows("SELECT points FROM ops.point_ledger")
    assert points == 2, "what a probe costs is counted"
    assert nights.settled(QUIET) == {}, "and nothing is loaded"


def test_nights_are_reckoned_from_what_the_nightly_runs_leave_of_the_budget(
    nights: Nights, plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights.settings(monkeypatch, CALLTOUCH_SITE_IDS=BUSY, CALLTOUCH_DAILY_POINTS="12")
    assert nights.house.refresh(days(4))
    found = plan(days(10)[0], days(5)[0])
    assert (found["daily_calls"], found["left_today"]) == (6, 2)
    assert found["requests"] == 6
    assert found["nightly_calls"] == 1, "the days of this night have been read"
    assert found["nights"] == 2
    assert not found["fits_today"]


def test_spread_notes_the_wish_and_the_nights_do_it(
    nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    first, last = date(2024, 2, 1), date(2024, 2, 5)
    wish = ["--source", "calltouch", "--from", str(first), "--to", str(last)]
    assert run(["backfill", "--spread", *wish]) == 0
    assert run(["backfill", "--spread", *wish]) == 0
    assert "noted: calltouch 501 2024-02-01..2024-02-05" in capsys.readouterr().out
    assert nights.house.rows("SELECT count(*) FROM ops.wanted_range") == [(1,)]
    assert vendors_calls(nights) == 0
    _, succeeded = nights.pass_night()
    assert succeeded
    assert list(nights.settled(QUIET)) == [date(2024, 2, n) for n in range(1, 6)] + [YESTERDAY]


def test_a_wish_can_be_taken_back(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    wish = ["--source", "calltouch", "--from", "2024-02-01", "--to", "2024-02-05"]
    assert run(["backfill", "--spread", *wish]) == 0
    assert run(["backfill", "--withdraw", *wish]) == 0
    assert "taken back: 1" in capsys.readouterr().out
    assert [request.days for request in nights.tick()] == [[YESTERDAY]]


@pytest.mark.parametrize("other", [["--withdraw"], ["--oldest-first"], ["--chunk-days", "3"]])
def test_a_wish_goes_with_days_and_accounts_alone(
    nights: Nights, other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    wish = ["--source", "calltouch", "--from", "2024-02-01", "--to", "2024-02-05"]
    assert run(["backfill", "--spread", *other, *wish]) == 2
    assert "--spread" in capsys.readouterr().err


def test_a_plan_in_words_says_how_sure_it_is(
    nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    span = ["--from", "2024-02-01", "--to", str(NIGHT.date() - ONE_NIGHT)]
    assert run(["plan", *span]) == 0
    told = capsys.readouterr().out
    assert "99 unknown" in told
    assert "certain: a call a day" in told
    assert "certain: a call a day, and one a run" in told
    assert max(map(len, told.splitlines())) <= 80
    assert "--probe" in told


def test_a_plan_of_trust_reckons_with_the_call_that_confirms_ranges(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run is at most WAREHOUSE_RANGE_DAYS long."""
    span = ["--from", "2024-02-01", "--to", "2024-02-10"]
    for days_a_run, requests in (("366", 11), ("4", 13)):
        nights.settings(monkeypatch, WAREHOUSE_RANGE_DAYS=days_a_run)
        assert run(["plan", "--source", "trust", "--account", "11", "--json", *span]) == 0
        [found] = json.loads(capsys.readouterr().out)
        assert found["low"] == found["requests"] == found["high"] == requests


def test_a_plan_of_thirty_accounts_takes_no_more_statements_than_one_of_three(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [str(number) for number in range(601, 631)]
    for number, label in enumerate(labels):
        load_days(nights.house.warehouse, "calltouch", label, *days(9), rows=10_000 * number)

    def look(sites: list[str]) -> tuple[dict[str, int], int]:
        nights.settings(monkeypatch, CALLTOUCH_SITE_IDS=",".join(sites), CALLTOUCH_DAILY_POINTS="9")
        arguments = ["plan", "--source", "calltouch", "--from", str(days(9)[0]), "--to"]
        capsys.readouterr()
        with counted_statements() as sent:
            assert run([*arguments, str(YESTERDAY), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        return {one["account"]: one["requests"] for one in told}, len(sent)

    _, of_few = look(labels[:3])
    requests, of_many = look(labels)
    assert requests == {label: max(1, 9 * number) for number, label in enumerate(labels)}
    assert of_many == of_few
