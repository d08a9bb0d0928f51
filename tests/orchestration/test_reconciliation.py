"""Finished months held against the vendor, through Dagster: real answers, real points, real rows."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from click.testing import CliRunner

from dagster_project.cli.main import warehouse as command
from dagster_project.model.check_outcome import MONTH_ADDS_UP
from dagster_project.model.window import each_day
from dagster_project.orchestration import alarms
from tests.support.nights import ONE_NIGHT, QUIET, Nights
from tests.support.operating import feed_of
from tests.support.reconciling import (
    APRIL,
    MORNING,
    SOURCES,
    change_april,
    load,
    load_without_dagster,
    points,
    reconcile,
    remembered,
    requests,
    tick,
)

pytestmark = pytest.mark.long


@pytest.mark.parametrize("source", SOURCES)
def test_a_settled_month_equals_the_vendors_and_is_not_asked_for_again(
    mornings: Nights, source: str
) -> None:
    load(mornings, source, APRIL)
    asked, spent = requests(mornings, source), points(mornings)
    evaluation, told = reconcile(mornings, source)
    assert evaluation.passed, told
    assert told["requests"] == requests(mornings, source) - asked >= 1
    assert told["points"] == points(mornings) - spent == (2 if source == "calltouch" else 0)
    assert [row[1:] for row in remembered(mornings)] == [("2024-04", "agrees")]
    [(figures,)] = mornings.house.rows("SELECT figures FROM ops.reconciliation")
    figures.pop("campaigns", None)
    assert all(vendor == here for vendor, here in figures.values())
    assert max(vendor for vendor, _ in figures.values()) > 100
    for _ in range(2):
        asked = requests(mornings, source)
        evaluation, told = reconcile(mornings, source)
        assert evaluation.passed
        assert told["requests"] == requests(mornings, source) - asked == 0
        assert "2024-04" in told["months"], "what is known is told again"
        mornings.go(MORNING + ONE_NIGHT)
    assert len(remembered(mornings)) == 1


@pytest.mark.parametrize("source", SOURCES)
def test_a_month_that_the_vendor_changed_late_differs_until_the_named_line_has_loaded_it(
    mornings: Nights, source: str
) -> None:
    change_april(mornings, source)
    evaluation, told = reconcile(mornings, source)
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    account = feed_of(source).accounts(mornings.house.settings)[0].label
    line = (
        f"warehouse backfill --source {source} --account {account}"
        " --from 2024-04-01 --to 2024-04-30"
    )
    assert told["way out"] == f"`{line}`"
    assert " differs " in told["months"]
    if source == "calltouch":
        [(rows,)] = mornings.house.rows("SELECT count(*) FROM warehouse.calltouch_sms")
        assert f"| records | {rows + 3} | {rows} | 3 | 1 | 2 |" in told["months"]
    status = CliRunner().invoke(command, ["status"], catch_exceptions=False)
    assert line in " ".join(status.output.split())

    spent = points(mornings)
    evaluation, told = reconcile(mornings, source)
    assert not evaluation.passed, "it still differs, and is not asked for again"
    assert (points(mornings), told["requests"]) == (spent, 0)

    arguments = line.split()[1:]
    assert CliRunner().invoke(command, arguments, catch_exceptions=False).exit_code == 0
    status = CliRunner().invoke(command, ["status"], catch_exceptions=False)
    assert line not in " ".join(status.output.split()), "what was compared was loaded anew since"
    evaluation, told = reconcile(mornings, source)
    assert evaluation.passed, told
    assert "way out" not in told
    assert [outcome for *_, outcome in remembered(mornings)] == ["differs", "agrees"]


def test_a_month_that_is_not_whole_says_which_days_are_missing_and_spends_nothing(
    mornings: Nights,
) -> None:
    for first, last in ((1, 2), (4, 16), (19, 30)):
        load(mornings, "calltouch", (date(2024, 4, first), date(2024, 4, last)))
    mornings.house.rows(
        "UPDATE ops.day_state SET settled = false WHERE day = '2024-04-29' RETURNING day"
    )
    asked, spent = requests(mornings, "calltouch"), points(mornings)
    data = tick(mornings, "calltouch")
    assert not data.run_requests
    why = "3 days not loaded (2024-04-03, 2024-04-17..2024-04-18); 1 day not settled (2024-04-29)"
    assert why in data.skip_message
    evaluation, told = reconcile(mornings, "calltouch")
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert evaluation.description == "nothing compared yet; months that wait: 1"
    assert why in told["months"]
    look(mornings)
    assert open_alarms(mornings) == []
    assert (requests(mornings, "calltouch"), points(mornings)) == (asked, spent)
    assert remembered(mornings) == []


def told_by_last_run(nights: Nights) -> str | None:
    """What a run that loads days says of the months."""
    [run] = nights.house.instance.get_runs(limit=1)
    logs = nights.house.instance.all_logs(
        run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    )
    evaluations = [
        entry.dagster_event.asset_check_evaluation_data for entry in logs if entry.dagster_event
    ]
    [told] = [one.description for one in evaluations if one.check_name == MONTH_ADDS_UP]
    return told


def test_a_held_day_keeps_its_month_from_being_compared(mornings: Nights) -> None:
    load(mornings, "calltouch", APRIL)
    mornings.house.rows(
        "UPDATE ops.day_state SET held = 'shrank' WHERE day = '2024-04-05' RETURNING day"
    )
    _, told = reconcile(mornings, "calltouch")
    assert "1 day held back (2024-04-05)" in told["months"]
    assert remembered(mornings) == []


def test_a_schedule_requests_a_run_when_a_month_is_due_and_not_when_it_was_compared(
    mornings: Nights,
) -> None:
    assert tick(mornings, "calltouch").skip_message == "every finished month was compared"
    load(mornings, "calltouch", APRIL)
    assert told_by_last_run(mornings) == "nothing compared yet; months that are to be asked for: 1"
    [request] = tick(mornings, "calltouch").run_requests
    assert request.run_key == "reconcile/calltouch/2024-05-10"
    reconcile(mornings, "calltouch")
    mornings.go(MORNING + ONE_NIGHT)
    assert not tick(mornings, "calltouch").run_requests
    mornings.house.refresh([APRIL[0]])
    assert len(tick(mornings, "calltouch").run_requests) == 1


def test_erased_people_and_rejected_records_count(mornings: Nights) -> None:
    calltouch = mornings.sandbox.world.calltouch
    [row, *_] = calltouch.rows(int(QUIET), APRIL[0], APRIL[0])
    wrong_status = {**row, "smsStatus": 7}
    undated = {**row, "dateSent": "on a fine day"}
    records: list[Any] = [wrong_status, undated, b"[1]", row, row]
    calltouch.insert_rows(int(QUIET), APRIL[0], records, second=5)
    load(mornings, "calltouch", APRIL)
    rejects = mornings.house.rows(
        "SELECT day IS NULL, count(*) FROM ops.rejected_record GROUP BY 1"
    )
    assert dict(rejects).keys() == {True, False}, "records of the month's days, and of no day"
    phone = row["phoneNumber"]
    forgotten = CliRunner().invoke(command, ["forget"], input=f"{phone}\n", catch_exceptions=False)
    assert forgotten.exit_code == 0, forgotten.output
    [(erased,)] = mornings.house.rows(
        "SELECT count(*) FROM warehouse.calltouch_sms WHERE phone = '(erased)'"
    )
    assert erased >= 3
    evaluation, told = reconcile(mornings, "calltouch")
    assert evaluation.passed, told
    calltouch.insert_rows(int(QUIET), APRIL[1], [row] * 9, second=6)
    mornings.house.refresh([APRIL[0]])
    evaluation, told = reconcile(mornings, "calltouch")
    assert not evaluation.passed, "records of no day excuse no more than their number"


def test_trust_tells_whether_campaigns_and_total_add_up(mornings: Nights) -> None:
    """Campaigns run for days and need not; of ``total`` nobody knows, so a difference warns."""
    load(mornings, "trust", APRIL)
    evaluation, told = reconcile(mornings, "trust")
    assert evaluation.passed
    [campaigns] = [line for line in told["months"].splitlines() if "| campaigns |" in line]
    assert "differs (need not add up)" in campaigns
    mornings.house.refresh([APRIL[0]], "trust")
    mornings.sandbox.world.trust.config.unknown_statistics = {"total": 5}
    evaluation, told = reconcile(mornings, "trust")
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN


def test_rolling_weeks_are_never_added_up(mornings: Nights) -> None:
    mornings.sandbox.world.trust.config.range_mode = "ignore"
    for day in each_day(*APRIL):
        mornings.go(datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo("America/Santiago")))
        load_without_dagster(mornings, "trust", day)
    mornings.go(MORNING)
    asked = requests(mornings, "trust")
    _, told = reconcile(mornings, "trust")
    assert "30 days not told singly by the vendor (2024-04-01..2024-04-30)" in told["months"]
    assert requests(mornings, "trust") == asked


def test_a_differing_month_is_an_alarm_until_it_agrees(
    mornings: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_april(mornings, "calltouch")
    reconcile(mornings, "calltouch")
    look(mornings)
    [(what, hint, severity)] = open_alarms(mornings)
    assert f"2024-04 of account {QUIET} differs: records" in what
    assert hint == [
        f"warehouse backfill --source calltouch --account {QUIET} --from 2024-04-01 --to 2024-04-30"
    ]
    assert severity == "error"
    load(mornings, "calltouch", APRIL)
    reconcile(mornings, "calltouch")
    look(mornings)
    assert open_alarms(mornings) == []


def look(nights: Nights) -> None:
    """Evaluate the sensor of failing checks from the beginning, as often as it has more."""
    definitions = nights.house.definitions
    with dg.build_sensor_context(
        nights.house.instance, repository_def=definitions.get_repository_def()
    ) as context:
        alarms.failed_checks.evaluate_tick(context)


def open_alarms(nights: Nights) -> list[tuple[Any, ...]]:
    found = nights.house.rows(
        "SELECT what, way_out, severity FROM ops.alarm"
        " WHERE resolved_at IS NULL AND strpos(subject, %s) > 0",
        MONTH_ADDS_UP,
    )
    return [(what, json.loads(w) if isinstance(w, str) else w, how) for what, w, how in found]
