"""The checks as an operator meets them: each by day, fresh of judged by the newest day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest

from dagster_project.orchestration.freshness import freshness_sensor
from tests.support.nights import NIGHT, ONE_NIGHT, OTHER, QUIET, YESTERDAY, Nights, days

SMS = dg.AssetKey(["calltouch", "sms"])
MORNING = timedelta(hours=4)


class Checks:
    """What was evaluated, and the freshness sensor with its cursor."""

    def __init__(self, nights: Nights) -> None:
        self.nights = nights
        self.cursor: str | None = None
        self._seen = self._latest()

    def _latest(self) -> int:
        records = self._records()
        return max((record.storage_id for record in records), default=0)

    def _records(self) -> list[dg.EventLogRecord]:
        instance = self.nights.house.instance
        return list(
            instance.event_log_storage.get_event_records(
                dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION), limit=1000
            )
        )

    def since(self) -> dict[tuple[str, str | None], dg.AssetCheckEvaluation]:
        """Evaluations since last asked for, by check and day."""
        found = {}
        for record in sorted(self._records(), key=lambda record: record.storage_id):
            event = record.event_log_entry.dagster_event
            if record.storage_id > self._seen and event is not None:
                evaluation: Any = event.event_specific_data
                found[evaluation.check_name, evaluation.partition] = evaluation
        self._seen = self._latest()
        return found

    def look(self) -> list[dg.AssetCheckEvaluation]:
        """What the sensor tells now of Calltouch."""
        context = dg.build_sensor_context(self.nights.house.instance, cursor=self.cursor)
        data = freshness_sensor.evaluate_tick(context)
        self.cursor = data.cursor or self.cursor
        events = [e for e in data.asset_events if isinstance(e, dg.AssetCheckEvaluation)]
        return [evaluation for evaluation in events if evaluation.asset_key == SMS]


@pytest.fixture
def checks(nights: Nights) -> Checks:
    return Checks(nights)


def test_every_check_is_recorded_for_its_day_and_its_materialization(
    nights: Nights, checks: Checks
) -> None:
    assert nights.house.refresh(days(3))
    found = checks.since()
    by_day = {name for name, day in found if day is not None}
    assert by_day >= {"complete", "no_rejects", "known_values", "dates_inside", "plausible_volume"}
    for name in by_day:
        assert {day for check, day in found if check == name} == {str(day) for day in days(3)}
    for (name, day), evaluation in found.items():
        if day is None:
            assert name in {"fresh", "month_adds_up"}
            continue
        target = evaluation.target_materialization_data
        assert target is not None
        records = nights.house.instance.fetch_materializations(
            dg.AssetRecordsFilter(SMS, asset_partitions=[day]), limit=1
        ).records
        assert target.storage_id == records[0].storage_id


def test_each_run_says_how_the_source_stands_by_its_newest_day(
    nights: Nights, checks: Checks
) -> None:
    assert nights.house.refresh(days(3))
    assert checks.since()["fresh", None].passed
    nights.go(NIGHT + ONE_NIGHT)
    assert nights.house.refresh(days(3))
    assert checks.since()["fresh", None].passed, "the night's run has until the morning"
    nights.go(NIGHT + ONE_NIGHT + MORNING)
    assert nights.house.refresh(days(3))
    told = checks.since()["fresh", None]
    assert not told.passed, "an old day that is rerun makes nothing fresh"
    assert told.metadata["newest day due"].value == str(NIGHT.date())
    assert told.metadata[f"last good day of {QUIET}"].value == str(YESTERDAY)


def test_a_source_that_nobody_loads_is_told_stale_though_no_run_began(
    nights: Nights, checks: Checks
) -> None:
    assert nights.house.refresh(days(3))
    [told] = checks.look()
    assert told.passed
    assert checks.look() == [], "told once"
    nights.go(NIGHT + MORNING)
    [told] = checks.look()
    assert told.passed
    nights.go(NIGHT + ONE_NIGHT)
    assert checks.look() == []
    nights.go(NIGHT + ONE_NIGHT + MORNING)
    [told] = checks.look()
    assert not told.passed
    assert told.severity == dg.AssetCheckSeverity.ERROR
    assert told.partition is None
    assert checks.look() == []
    assert nights.house.refresh([NIGHT.date()])
    [told] = checks.look()
    assert told.passed


def test_one_account_behind_is_named(
    nights: Nights, checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nights.house.refresh(days(1))
    nights.settings(monkeypatch, CALLTOUCH_SITE_IDS=f"{QUIET},{OTHER}")
    nights.go(NIGHT + MORNING)
    [told] = checks.look()
    assert not told.passed
    assert told.metadata[f"last good day of {OTHER}"].value == "none"
    assert told.metadata[f"last good day of {QUIET}"].value == str(YESTERDAY)


def test_a_source_that_was_never_loaded_is_not_called_stale(checks: Checks) -> None:
    checks.nights.go(NIGHT + MORNING)
    assert checks.look() == []


def test_a_sharp_drop_warns_and_names_the_figures(nights: Nights, checks: Checks) -> None:
    weeks = [YESTERDAY - timedelta(weeks=n) for n in range(4, 0, -1)]
    for day in weeks:
        replace(nights, day, 200)
    replace(nights, YESTERDAY, 60)
    assert nights.house.refresh(weeks)
    checks.since()
    assert nights.house.refresh([YESTERDAY])
    evaluation = checks.since()["plausible_volume", str(YESTERDAY)]
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert evaluation.metadata["rows"].value == 60
    assert evaluation.metadata["usual"].value == 200


def replace(nights: Nights, day: date, count: int) -> None:
    rows = [
        {
            "phoneNumber": f"7926{number:07d}",
            "dateSent": f"{day:%d-%m-%Y} 10:{number // 60 % 60:02d}:{number % 60:02d}",
            "smsStatus": "delivered",
            "smsStatusDetail": "Доставлено",
            "smsMessage": "Ваш заказ принят",
        }
        for number in range(count)
    ]
    nights.sandbox.world.calltouch.replace_day(int(QUIET), day, rows)
