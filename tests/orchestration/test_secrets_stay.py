"""A vendor quotes our token and somebody's number: neither reaches a log, a table or an alarm.

A real run over HTTP; what the vendor says, and what a defect raises, is looked for in all that is
written: the command's output, the ledger, every table of Dagster's, the alarms and their webhook.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import pytest
import requests
from dagster._utils.error import serializable_error_info_from_exc_info

from dagster_project.cli.doctor import doctor
from dagster_project.orchestration import alarms, retention, status_page
from dagster_project.orchestration.retention import retention_job
from dagster_project.text.scrub import HIDDEN
from dagster_project.warehouse.connection import Warehouse
from tests.conftest import PostgresServer
from tests.orchestration.test_scrubbing import kept
from tests.support.operating import SITE, House, WebhookReceiver, days_back, operating
from tests.transport.scripted_server import ScriptedServer, reply, serving

TOKEN = "the/token of+site 40202"
CLIENT_SECRET = "secret-of-trust"
PHONE = "8 (920) 938-36-54"
SPACED = "8 9 2 1 9 3 8 3 6 5 5"
MARKS = [
    *(TOKEN, quote(TOKEN, safe=""), base64.b64encode(TOKEN.encode()).decode()[:-2]),
    *(PHONE, "938-36-54", SPACED, "89219383656", CLIENT_SECRET),
]
SAID = f"Токен {TOKEN} ({quote(TOKEN, safe='')}) абонента {PHONE} или {SPACED} не годится"


@pytest.fixture
def vendor() -> Iterator[ScriptedServer]:
    body = json.dumps({"message": f"Invalid credentials. {SAID}"}, ensure_ascii=False)
    with serving(reply(body, 400)) as running:
        yield running


@pytest.fixture
def webhook() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse,
    vendor: ScriptedServer,
    webhook: WebhookReceiver,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    given = {
        "CALLTOUCH_SITE_IDS": SITE,
        f"CALLTOUCH_ACCESS_TOKEN_{SITE}": TOKEN,
        "CALLTOUCH_BASE_URL": vendor.url,
        "TRUST_CLIENT_SECRET": CLIENT_SECRET,
        "ALARM_WEBHOOK_URL": webhook.url,
    }
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        yield running


def plain(text: str) -> str:
    """Without JSON's escapes."""
    return re.sub(r"\\+u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)


def assert_silent(told: dict[str, str], *more: str) -> None:
    for place, text in told.items():
        for mark in (*MARKS, *more):
            assert mark not in plain(text), f"{place} tells {mark!r}"


def test_what_a_vendor_quotes_of_us_and_of_people_is_nowhere(
    house: House,
    server: PostgresServer,
    webhook: WebhookReceiver,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    [day] = days_back(1)
    told = {"command": backfill(day)}
    assert doctor() == 1
    [failed_runs] = [one for one in alarms.sensors() if one.name == "alarm_failed_runs"]
    failed_runs.evaluate_tick(dg.build_sensor_context(instance=house.instance))
    out, err = capfd.readouterr()
    told |= {**kept(house, server), "alarm": json.dumps(webhook.bodies, ensure_ascii=False)}
    told |= {"doctor": out, "standard error": err, "log": caplog.text}
    quoted = f"«Invalid credentials. Токен {HIDDEN} ({HIDDEN}) абонента … или … не годится»"
    places = ("command", "doctor", "ops extraction", "ops alarm", "alarm")
    for place in (*places, "dagster event_logs"):
        assert quoted in plain(told[place]), place
    assert_silent(told)


def test_what_a_defect_raises_or_logs_is_kept_without_secrets(
    house: House, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing of ours catches it: Dagster keeps message, traceback, cause and context."""

    def fail(*_: Any) -> None:
        try:
            raise requests.ConnectionError(f"HTTPConnectionPool: /hook?token={TOKEN}")
        except requests.ConnectionError:
            raise ValueError(f"{CLIENT_SECRET} of {PHONE}") from RuntimeError(SAID)

    monkeypatch.setattr(retention, "pii_hash_key", fail)
    monkeypatch.setattr(status_page, "_look", fail)
    assert not retention_job.execute_in_process(
        instance=house.instance, raise_on_error=False
    ).success
    try:
        status_page.status_sensor.evaluate_tick(dg.build_sensor_context(instance=house.instance))
    except ValueError:
        tick = serializable_error_info_from_exc_info(sys.exc_info()).to_string()
    [run] = house.instance.get_runs(limit=1)
    house.instance.report_engine_event(f"it said: {TOKEN}", run)
    house.instance.add_run_tags(run.run_id, {"said": TOKEN})
    told = {**kept(house, server), "tick": tick}
    for place in ("tick", "dagster event_logs"):
        assert f"ValueError: {HIDDEN} of …" in plain(told[place])
        assert "RuntimeError: Токен" in plain(told[place])
    assert f"it said: {HIDDEN}" in told["dagster event_logs"]
    assert HIDDEN in told["dagster run_tags"]
    assert_silent(told, CLIENT_SECRET)


def test_accounts_that_do_not_exist_are_counted_and_not_quoted(
    house: House, server: PostgresServer
) -> None:
    [day] = days_back(1)
    mark = "pasted-by-mistake"
    assert not house.refresh([day], accounts=[SITE, mark])
    assert f"no such account: 1 of 2 named. Way out: use one of {SITE}." in house.failure()
    told = kept(house, server)
    assert mark in told.pop("dagster runs"), "what was asked for is kept as it was asked for"
    assert_silent(told, mark)


def backfill(day: date) -> str:
    """All that the command writes, to both ends and in JSON, run as a process of its own; it fails."""
    words = ("backfill", "--source", "calltouch", "--from", str(day), "--to", str(day))
    done = subprocess.run(
        [sys.executable, "-c", "from dagster_project.cli.main import main; main()", *words],
        env={**os.environ, "WAREHOUSE_LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert '"level": "error"' in done.stderr
    return done.stdout + done.stderr
