"""``warehouse backfill``: what it prints and answers with where something fails."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dagster_project.sandbox.server import Sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.support.erasing import command
from tests.support.operating import (
    NO_SITE,
    SITE,
    House,
    again,
    calltouch_alone,
    days_back,
    operating,
)


def test_a_run_that_fails_before_its_first_window_says_why(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = days_back(7)
    assert house.refresh(days[:1]), house.failure()
    again(monkeypatch, PII_HASH_KEY="another secret of somebody else")
    done = command(
        "backfill", "--source", "calltouch", "--from", str(days[0]), "--to", str(days[-1])
    )
    assert done.return_value == 2
    assert "calltouch: 0 of 7 days loaded, 7 failed\n" in done.stdout
    assert "nothing changed" not in done.stdout
    (cause,) = [line for line in done.stdout.splitlines() if "SettingsError" in line]
    assert "PII_HASH_KEY is not the key" in cause
    assert "Way out:" in cause
    assert "exit status 2" in done.stdout.splitlines()[-1]
    run = house.instance.get_run_records(limit=1)[0].dagster_run
    failures = [
        event.dagster_event.event_specific_data
        for event in house.instance.all_logs(run.run_id)
        if event.dagster_event and event.dagster_event.is_step_failure
    ]
    shown = failures[0].user_failure_data.description  # type: ignore[union-attr]
    assert shown.startswith("calltouch: PII_HASH_KEY is not the key"), "the UI shows it first"


def test_one_cause_of_several_accounts_and_days_is_one_line(
    warehouse_with_dagster: Warehouse,
    sandbox: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sites = f"{NO_SITE},40998,40997"
    given = calltouch_alone(sandbox, CALLTOUCH_SITE_IDS=f"{SITE},{sites}")
    with operating(warehouse_with_dagster, scratch, monkeypatch, given):
        first, last = days_back(7)[0], days_back(7)[-1]
        done = command("backfill", "--from", str(first), "--to", str(last))
    assert done.return_value == 1
    assert "calltouch: 7 of 28 days of 4 accounts loaded, 21 failed," in done.stdout
    causes = [line for line in done.stdout.splitlines() if re.match(r"  \w+: ", line)]
    assert len(causes) == 1
    assert f"(40997, 40998, {NO_SITE}; {first}..{last})" in causes[0]
    assert "exit status 1" in done.stdout.splitlines()[-1]
