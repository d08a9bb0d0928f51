"""What an alarm says: of whom, of which days, and the commands that mend."""

from __future__ import annotations

from datetime import date
from typing import Any

import dagster as dg

from dagster_project.feeds import FEEDS
from dagster_project.orchestration.alarm_rules import _check_alarm

DAY = date(2024, 5, 11)


def test_an_alarm_of_one_account_names_no_other() -> None:
    """The others were loaded by the same run, and have receipts of the day."""
    [feed] = [feed for feed in FEEDS if feed.source == "calltouch"]
    evaluation = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(feed.asset),
        check_name="readable",
        passed=False,
        description="its pages contradict each other",
        metadata={"account 9999": "calltouch account 9999: its pages contradict each other"},
        partition=DAY.isoformat(),
    )
    connection: Any = None  # nothing need be looked up
    alarm = _check_alarm(connection, feed, evaluation, "subject", "run")
    assert list(alarm.accounts) == ["9999"]
    [line] = alarm.hint
    assert line.startswith("warehouse ")
    assert "--source calltouch --account 9999 --from 2024-05-11" in line
