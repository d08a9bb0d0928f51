"""A day that comes back suspiciously shrunken: held, loudly, until a person takes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_project.cli.main import main
from dagster_project.config.settings import load_settings
from dagster_project.errors import SettingsError
from dagster_project.monitoring import alarm_outbox
from dagster_project.orchestration import alarms
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.text.remedies import join_commands
from dagster_project.warehouse.connection import Warehouse
from tests.support.operating import ALLOWING_FOR_ITS_LATENESS, SITE, House, again, operating

BEFORE, SHRUNKEN, AFTER = DAYS = [date(2024, 5, day) for day in (9, 10, 11)]
ROWS = dg.AssetKey(["calltouch", "sms"])


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sandbox]:
    with running_sandbox(
        clock="2024-05-20T12:00:00+03:00", calltouch=ALLOWING_FOR_ITS_LATENESS
    ) as sandbox:
        yield sandbox


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse,
    vendors: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    """Three days are loaded, of which the middle one has since lost most of its rows."""
    given = {**vendors.settings_env(), "CALLTOUCH_SITE_IDS": SITE, "WAREHOUSE_HOLD_FROM_ROWS": "50"}
    vendors.world.calltouch.redraw(undo_changes=True)
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        assert running.refresh(DAYS)
        vendors.world.calltouch.remove_rows(int(SITE), SHRUNKEN, rows_of(running)[SHRUNKEN] - 40)
        yield running


def rows_of(house: House) -> dict[date, int]:
    return dict(
        house.rows("SELECT sent_on, count(*)::int FROM warehouse.calltouch_sms GROUP BY sent_on")
    )


def held(house: House) -> dict[date, str]:
    return dict(house.rows("SELECT day, held FROM ops.day_state WHERE held IS NOT NULL"))


def not_shrunk(house: House) -> dict[str, tuple[bool, dict[str, Any]]]:
    """What the last run's checks said, by day."""
    [run] = house.instance.get_runs(limit=1)
    logs = house.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    told = {}
    for entry in logs:
        assert entry.dagster_event is not None
        evaluation = entry.dagster_event.asset_check_evaluation_data
        if evaluation.check_name == "not_shrunk":
            metadata = {name: value.value for name, value in evaluation.metadata.items()}
            told[str(evaluation.partition)] = (evaluation.passed, metadata)
    return told


def alarmed(house: House, sensor: str) -> list[str]:
    """The commands that the alarms of this sensor offer for what is open now."""
    context = dg.build_sensor_context(house.instance)
    getattr(alarms, sensor.removeprefix("alarm_")).evaluate_tick(context)
    kind = "check_failed" if sensor == "alarm_failed_checks" else "run_failed"
    with house.warehouse.connect(autocommit=True) as connection:
        found = [one for one in alarm_outbox.open_alarms(connection) if one.kind == kind]
    return join_commands(command for one in found for command in one.hint)


def take_it(*options: str) -> str:
    return " ".join(
        [
            f"warehouse backfill --source calltouch --account {SITE}",
            *(f"--from {SHRUNKEN}", f"--to {SHRUNKEN}"),
            *options,
        ]
    )


def materializations(house: House, day: date) -> int:
    wanted = dg.AssetRecordsFilter(ROWS, asset_partitions=[str(day)])
    return len(house.instance.fetch_materializations(wanted, limit=10).records)


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def of_days(first: date, last: date) -> list[str]:
    return ["--source", "calltouch", "--from", str(first), "--to", str(last)]


def test_a_shrunken_day_is_held_and_the_others_are_loaded(house: House) -> None:
    before = rows_of(house)
    assert not house.refresh(DAYS)
    assert rows_of(house) == before
    assert list(held(house)) == [SHRUNKEN]
    told = not_shrunk(house)
    passed, metadata = told[str(SHRUNKEN)]
    assert not passed
    assert metadata[f"account {SITE}"] == f"had {before[SHRUNKEN]} rows, came back with 40"
    assert (
        f"| rows | {before[SHRUNKEN]} | 40 |" in metadata[f"what taking it changes, account {SITE}"]
    )
    assert metadata[f"way out, account {SITE}"].endswith("--accept-shrink")
    assert alarmed(house, "alarm_failed_checks") == [take_it("--accept-shrink")]
    assert alarmed(house, "alarm_failed_runs") == [], "the check tells of it"
    assert [told[str(day)][0] for day in (BEFORE, AFTER)] == [True, True]
    assert materializations(house, SHRUNKEN) == 1
    assert materializations(house, BEFORE) == 2


def test_the_run_config_takes_a_held_day(house: House) -> None:
    assert not house.refresh(DAYS)
    assert house.refresh([SHRUNKEN], accept_shrink=True)
    assert rows_of(house)[SHRUNKEN] == 40
    assert held(house) == {}
    assert not_shrunk(house) == {str(SHRUNKEN): (True, {})}


def test_a_day_that_comes_back_whole_is_no_longer_held(house: House, vendors: Sandbox) -> None:
    before = rows_of(house)
    assert not house.refresh(DAYS)
    vendors.world.calltouch.redraw(undo_changes=True)
    assert house.refresh([SHRUNKEN])
    assert rows_of(house) == before
    assert held(house) == {}


def test_the_command_holds_tells_how_to_take_it_and_takes_it(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    before = rows_of(house)
    assert command("backfill", *of_days(BEFORE, AFTER)) == 1
    assert rows_of(house) == before
    said = capsys.readouterr().out
    hint = f"--source calltouch --account {SITE} --from {SHRUNKEN} --to {SHRUNKEN}"
    assert "SuspiciouslyShrunk" in said
    assert f"warehouse backfill {hint} --accept-shrink" in said
    assert command("status") == 1
    assert "a newer answer is held" in capsys.readouterr().out
    assert command("backfill", *of_days(SHRUNKEN, SHRUNKEN), "--accept-shrink") == 0
    assert rows_of(house)[SHRUNKEN] == 40
    assert command("status") == 1, "other days are missing"
    assert "a newer answer is held" not in capsys.readouterr().out


def test_a_replay_holds_what_it_would_shrink_and_takes_it_without_a_call(
    house: House, vendors: Sandbox
) -> None:
    before = rows_of(house)
    assert not house.refresh([SHRUNKEN])
    asked = vendors.world.stats.requests("calltouch")
    assert command("replay", *of_days(SHRUNKEN, SHRUNKEN)) == 1
    assert rows_of(house) == before
    assert command("replay", *of_days(SHRUNKEN, SHRUNKEN), "--accept-shrink") == 0
    assert rows_of(house)[SHRUNKEN] == 40
    assert vendors.world.stats.requests("calltouch") == asked


def test_a_share_of_zero_holds_nothing(
    house: House, vendors: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(monkeypatch, WAREHOUSE_HOLD_BELOW_SHARE="0")
    assert house.refresh([SHRUNKEN])
    assert rows_of(house)[SHRUNKEN] == 40


def test_by_default_half_of_a_thousand_rows_is_held() -> None:
    settings = load_settings({}, dotenv=None)
    assert (settings.hold_from_rows, settings.hold_below_share) == (1000, 0.5)


@pytest.mark.parametrize("share", ["half", "-0.1", "1.5", "nan"])
def test_a_share_is_a_number_from_0_to_1(share: str) -> None:
    with pytest.raises(SettingsError, match="WAREHOUSE_HOLD_BELOW_SHARE"):
        load_settings({"WAREHOUSE_HOLD_BELOW_SHARE": share}, dotenv=None)
