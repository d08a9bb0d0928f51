"""Logs as JSON lines and figures for Prometheus: well-formed, and free of personal data."""

from __future__ import annotations

import json
import logging
import re
import subprocess
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from dagster_project.cli import metrics
from dagster_project.errors import AnswerNotTrusted, SettingsError
from dagster_project.monitoring import logs
from dagster_project.monitoring.logs import JsonLines
from dagster_project.orchestration.instance import opened_instance
from dagster_project.orchestration.run_metrics import run_metrics
from dagster_project.sandbox.server import running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.support.operating import SITE, days_back, operating
from tests.support.programs import need
from tests.support.prometheus import Scrape

LINE = re.compile(r'^warehouse_[a-z0-9_]+(\{(\w+="[^"]*",?)+\})? -?[0-9.e+-]+$')


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [
        json.loads(JsonLines().format(record))
        for record in caplog.records
        if record.name == logs.log.name
    ]


def test_a_line_tells_run_source_account_and_window(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logs.log_loaded("r1", "calltouch", "101", "2024-04-01", rows_inserted=3)
        problem = AnswerNotTrusted("the total moved.", account="102", window="2024-04-02")
        logs.log_problem("r1", "calltouch", problem)
    loaded, failed = told(caplog)
    assert loaded["message"] == "loaded"
    assert {name: loaded[name] for name in ("run", "source", "account", "window")} == {
        "run": "r1",
        "source": "calltouch",
        "account": "101",
        "window": "2024-04-01",
    }
    assert loaded["rows_inserted"] == 3
    assert (failed["error"], failed["account"], failed["window"]) == (
        "AnswerNotTrusted",
        "102",
        "2024-04-02",
    )


def test_a_message_of_several_lines_is_one_line() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "one\ntwo %s", ("три",), None)
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "one\ntwo три"


def test_a_format_that_is_neither_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_LOG_FORMAT", "xml")
    with pytest.raises(SettingsError, match="WAREHOUSE_LOG_FORMAT"):
        logs.configure_logs()


def test_a_loaded_day_shows_in_logs_and_metrics_without_a_number_or_a_text(
    warehouse_with_dagster: Warehouse,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running_sandbox(clock=datetime.now(UTC)) as sandbox:
        given = {
            **sandbox.settings_env(),
            "CALLTOUCH_SITE_IDS": SITE,
            "CALLTOUCH_DAILY_POINTS": "500",
        }
        with operating(warehouse_with_dagster, scratch, monkeypatch, given) as house:
            days = days_back(2, 1)
            sandbox.world.faults.add("status", status=429, match={"vendor": "calltouch"})
            with caplog.at_level(logging.INFO):
                assert house.refresh(days)
            rows = house.rows("SELECT count(*) FROM warehouse.calltouch_sms")[0][0]
            phones = house.rows("SELECT DISTINCT phone FROM warehouse.calltouch_sms")
            with opened_instance(house.settings, house.warehouse) as instance:
                reader = metrics.Reader(house.settings, partial(run_metrics, instance))
                text = metrics.exposition(reader)

    who = {"source": "calltouch", "account": SITE}
    scraped = Scrape(text)
    assert scraped.value("warehouse_lag_days", **who) == 0
    assert scraped.value("warehouse_gap_days", **who) == 0
    assert scraped.value("warehouse_rows", **who) == rows
    assert scraped.value("warehouse_answers_429_1d", **who, outcome="complete") == 1
    assert scraped.value("warehouse_requests_1d", **who, outcome="complete") >= 2
    assert scraped.value("warehouse_points_budget", **who) == 500
    assert scraped.value("warehouse_points_spent", **who) >= 2
    assert scraped.value("warehouse_runs_1d", status="success") == 1
    assert scraped.value("warehouse_runs", status="started") == 0
    assert all(LINE.match(line) for line in text.splitlines() if not line.startswith("#"))

    lines = told(caplog)
    assert [line["account"] for line in lines] == [SITE] * len(lines)
    assert sum(int(str(line["rows_inserted"])) for line in lines) == rows
    everything = text + json.dumps(lines, ensure_ascii=False)
    # On some days the vendor tells of an SMS to "0", which stands in many a figure.
    assert not [phone for (phone,) in phones if phone in everything and phone != "0"]
    (promtool,) = need("promtool")
    checked = subprocess.run([promtool, "check", "metrics"], input=text.encode())
    assert checked.returncode in (0, 3), "3 is its taste in names (days, not seconds)"
