"""Alarms: raised by what a run, a check or the ledger says; told once; nothing lost, no secret told."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from dagster_project import clock
from dagster_project.model.check_outcome import CheckOutcome
from dagster_project.orchestration import alarms, event_cursor
from dagster_project.orchestration.launch import WORKSPACE
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger import check_outcomes
from tests.support.operating import (
    NO_SITE,
    SITE,
    House,
    MailReceiver,
    WebhookReceiver,
    again,
    days_back,
    operating,
)

OTHER_NO_SITE = "40998"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock=datetime.now(UTC)) as running:
        yield running


@pytest.fixture
def webhook() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    receiver = MailReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse,
    sandbox: Sandbox,
    webhook: WebhookReceiver,
    mail: MailReceiver,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    given = {
        **sandbox.settings_env(),
        "CALLTOUCH_SITE_IDS": f"{SITE},{NO_SITE}",
        "ALARM_WEBHOOK_URL": webhook.url,
        "ALARM_EMAIL_TO": "night@example.com,day@example.com",
        "ALARM_SMTP_HOST": "127.0.0.1",
        "ALARM_SMTP_PORT": str(mail.port),
        "ALARM_SMTP_SECURITY": "none",
    }
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        yield running


class Sensor:
    """One sensor and its cursor, evaluated as the daemon does."""

    def __init__(self, house: House, name: str) -> None:
        self.house = house
        [self.definition] = [one for one in alarms.sensors() if one.name == name]
        self.cursor: str | None = None

    def tick(self) -> str:
        context = dg.build_sensor_context(instance=self.house.instance, cursor=self.cursor)
        data = self.definition.evaluate_tick(context)
        self.cursor = context.cursor
        assert data.skip_message is not None
        return data.skip_message


@pytest.fixture
def failed_runs(house: House) -> Sensor:
    return Sensor(house, "alarm_failed_runs")


def test_a_failed_run_is_told_once_with_its_account_days_and_commands(
    house: House, failed_runs: Sensor, webhook: WebhookReceiver, mail: MailReceiver
) -> None:
    days = days_back(2)
    assert not house.refresh(days)
    failed_runs.tick()
    failed_runs.tick()
    [body], [letter] = webhook.bodies, mail.letters
    alarm = body["alarm"]
    assert (alarm["kind"], alarm["source"], alarm["accounts"]) == (
        "run_failed",
        "calltouch",
        [NO_SITE],
    )
    assert alarm["days"] == [day.isoformat() for day in days]
    command = (
        f"warehouse backfill --source calltouch --account {NO_SITE}"
        f" --from {days[0]} --to {days[-1]}"
    )
    assert alarm["way_out"] == [command]
    assert command in body["text"]
    assert "AccessDenied" in body["text"]
    assert command in letter.get_content()
    assert letter["Subject"] == f"calltouch: run failed, account {NO_SITE}, {days[0]}..{days[-1]}"
    assert letter["To"] == "night@example.com, day@example.com"


def test_a_receiver_that_is_down_is_told_later_and_the_other_channel_at_once(
    house: House, failed_runs: Sensor, webhook: WebhookReceiver, mail: MailReceiver
) -> None:
    webhook.status = 503
    house.refresh(days_back(1))
    assert "the webhook answered 503" in failed_runs.tick()
    assert len(mail.letters) == 1
    failed_runs.tick()
    assert webhook.asked == 1, "a channel that failed is left alone for a while"
    webhook.status = 200
    house.rows("UPDATE ops.alarm_delivery SET next_try_at = now() RETURNING 1")
    failed_runs.tick()
    failed_runs.tick()
    assert len(webhook.bodies) == 1
    assert len(mail.letters) == 1


def test_nothing_told_or_noted_shows_an_address_or_a_password(
    house: House, failed_runs: Sensor, webhook: WebhookReceiver
) -> None:
    webhook.status = 404
    house.refresh(days_back(1))
    said = failed_runs.tick()
    [(noted,)] = house.rows("SELECT failure FROM ops.alarm_delivery WHERE failure IS NOT NULL")
    for text in (said, noted, repr(house.settings.alarms)):
        assert "sEcReT" not in text
        assert "127.0.0.1" not in text or text.startswith("AlarmSettings")


def test_an_evaluation_that_dies_before_its_cursor_moves_tells_nothing_twice(
    house: House, failed_runs: Sensor, webhook: WebhookReceiver
) -> None:
    house.refresh(days_back(1))
    failed_runs.tick()
    failed_runs.cursor = None
    failed_runs.tick()
    assert len(webhook.bodies) == 1


def test_a_failure_that_is_committed_late_behind_a_newer_one_is_told_and_each_once(
    house: House, failed_runs: Sensor, webhook: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer took a number, and was stopped before it committed."""
    monkeypatch.setattr(event_cursor, "PATIENCE_SECONDS", 0.0)
    failures = "DELETE FROM event_logs WHERE dagster_event_type = 'PIPELINE_FAILURE' RETURNING *"
    again(monkeypatch, CALLTOUCH_SITE_IDS=f"{NO_SITE},{OTHER_NO_SITE}")
    house.refresh(days_back(1), accounts=[NO_SITE])
    with house.warehouse.storage.connect() as writer:
        stored = writer.execute(failures).fetchall()
        with writer.transaction():
            writer.cursor().executemany(
                f"INSERT INTO event_logs VALUES ({', '.join(['%s'] * len(stored[0]))})", stored
            )
            house.refresh(days_back(1), accounts=[OTHER_NO_SITE])
            failed_runs.tick()
            assert [body["alarm"]["accounts"] for body in webhook.bodies] == [[OTHER_NO_SITE]]
            failed_runs.tick()
            assert len(webhook.bodies) == 1, "a cursor that waits tells nothing twice"
    assert "1 event read" in failed_runs.tick()
    failed_runs.tick()
    [_, body] = webhook.bodies
    assert body["alarm"]["accounts"] == [OTHER_NO_SITE, NO_SITE]


def test_an_alarm_is_over_once_its_days_are_loaded(house: House, failed_runs: Sensor) -> None:
    days = days_back(1)
    house.refresh(days)
    failed_runs.tick()
    overdue = Sensor(house, "alarm_overdue")
    overdue.tick()
    assert house.rows("SELECT resolved_at IS NULL FROM ops.alarm") == [(True,)]
    house.rows(
        "INSERT INTO ops.day_state SELECT 'calltouch', %s, day, 1, 1, now(), now(), 0, 0, '', false"
        " FROM ops.day_state RETURNING 1",
        NO_SITE,
    )
    overdue.tick()
    assert house.rows("SELECT resolved_at IS NULL FROM ops.alarm") == [(False,)]


def test_an_alarm_of_a_run_that_left_no_day_is_over_after_a_while(house: House) -> None:
    insert = (
        "INSERT INTO ops.alarm (subject, kind, severity, source, accounts, days, what, way_out,"
        " told_with, raised_at) VALUES (%s, 'run_failed', 'error', 'warehouse', '{}', '{}', '', '{}',"
        " 'x', now() - %s::interval) RETURNING 1"
    )
    house.rows(insert, "run/new", "1 hour")
    house.rows(insert, "run/old", "2 days")
    Sensor(house, "alarm_overdue").tick()
    assert house.rows("SELECT subject FROM ops.alarm WHERE resolved_at IS NULL") == [("run/new",)]


def _evaluate(house: House, days: list[date], *, passed: bool) -> None:
    """What a load notes of a check of these days."""
    outcome = CheckOutcome("plausible_volume", passed, "warning", "3 rows; usual on a Monday: 400")
    with house.warehouse.connect(autocommit=True) as connection:
        check_outcomes.write_refused(connection, "calltouch", SITE, days, outcome)
        connection.execute(
            "INSERT INTO ops.account_start VALUES ('calltouch', %s, now() - interval '30 days')"
            " ON CONFLICT DO NOTHING",
            (SITE,),
        )


def test_failing_checks_of_days_leave_in_one_message_and_again_only_after_they_passed(
    house: House, webhook: WebhookReceiver
) -> None:
    sensor = Sensor(house, "alarm_failed_checks")
    days = days_back(3)
    _evaluate(house, days, passed=False)
    sensor.tick()
    [body] = webhook.bodies
    assert body["alarm"]["days"] == [day.isoformat() for day in days]
    assert body["alarm"]["severity"] == "warning"
    assert "3 rows; usual on a Monday: 400" in body["text"]
    assert body["alarm"]["way_out"] == [
        f"warehouse backfill --source calltouch --account {SITE} --from {days[0]} --to {days[-1]}"
    ]
    _evaluate(house, days, passed=False)
    sensor.tick()
    assert len(webhook.bodies) == 1, "still failing, told already"
    _evaluate(house, days, passed=True)
    sensor.tick()
    _evaluate(house, days[:1], passed=False)
    sensor.tick()
    assert len(webhook.bodies) == 2


def test_an_account_without_data_for_too_long_is_overdue_until_it_has_some(
    house: House,
    webhook: WebhookReceiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    again(monkeypatch, CALLTOUCH_SITE_IDS=SITE)
    sensor = Sensor(house, "alarm_overdue")
    sensor.tick()
    assert webhook.bodies == [], "an account that was never asked for owes nothing"
    house.refresh(days_back(1))
    sensor.tick()
    assert webhook.bodies == []
    shift = tmp_path / "clock"
    shift.write_text(str(timedelta(days=4).total_seconds()))
    monkeypatch.setenv(clock.CLOCK_FILE, str(shift))
    sensor.tick()
    sensor.tick()
    [body] = webhook.bodies
    assert body["alarm"]["kind"] == "overdue"
    assert body["alarm"]["accounts"] == [SITE]
    assert len(body["alarm"]["days"]) in (2, 3)
    monkeypatch.delenv(clock.CLOCK_FILE)
    sensor.tick()
    assert house.rows("SELECT count(*) FROM ops.alarm WHERE resolved_at IS NULL") == [(0,)]


def test_checks_of_history_are_noted_and_told_nobody(
    house: House, webhook: WebhookReceiver
) -> None:
    """Days from before the first load of their account."""
    sensor = Sensor(house, "alarm_failed_checks")
    _evaluate(house, days_back(60, 40), passed=False)
    sensor.tick()
    assert webhook.bodies == []
    assert house.rows("SELECT subject FROM ops.alarm WHERE resolved_at IS NULL") == [
        ("check/calltouch/plausible_volume/warning/history",)
    ]
    _evaluate(house, days_back(2), passed=False)
    sensor.tick()
    [body] = webhook.bodies
    assert body["alarm"]["days"] == [day.isoformat() for day in days_back(2)]


def test_a_first_backfill_that_fails_for_history_is_one_message(
    house: House, failed_runs: Sensor, webhook: WebhookReceiver
) -> None:
    for n in (30, 20, 10):
        assert not house.refresh(days_back(n, n - 3), accounts=[NO_SITE])
    failed_runs.tick()
    assert webhook.bodies == [], "it waits for what comes after"
    house.rows("UPDATE ops.alarm_delivery SET next_try_at = now() RETURNING 1")
    failed_runs.tick()
    [body] = webhook.bodies
    assert body["alarm"]["days_count"] == 12
    assert not house.refresh(days_back(40, 38), accounts=[NO_SITE])
    failed_runs.tick()
    assert len(webhook.bodies) == 1


def test_one_cause_on_several_nights_is_told_once(
    house: House, failed_runs: Sensor, webhook: WebhookReceiver
) -> None:
    house.refresh(days_back(1))
    failed_runs.tick()
    house.refresh(days_back(2))
    failed_runs.tick()
    assert len(webhook.bodies) == 1
    [(days, causes)] = house.rows("SELECT days, causes FROM ops.alarm WHERE resolved_at IS NULL")
    assert (days, causes) == (days_back(2), [NO_SITE])


def test_mail_leaves_under_starttls_and_never_without_it(
    house: House, failed_runs: Sensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    receiver = MailReceiver(tls_context=context, require_starttls=True)
    again(monkeypatch, ALARM_SMTP_SECURITY="starttls", ALARM_SMTP_PORT=str(receiver.port))
    try:
        house.refresh(days_back(1))
        assert "SSLCertVerificationError" in failed_runs.tick(), "an unknown certificate is refused"
        assert receiver.letters == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        house.rows("UPDATE ops.alarm_delivery SET next_try_at = now() RETURNING 1")
        failed_runs.tick()
        assert len(receiver.letters) == 1
    finally:
        receiver.close()


def test_a_real_daemon_tells_of_a_failed_run(
    house: House, webhook: WebhookReceiver, mail: MailReceiver, tmp_path: Path
) -> None:
    assert not house.refresh(days_back(2))
    with (tmp_path / "daemon.log").open("w") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(WORKSPACE)],
            env={**os.environ, "DAGSTER_HOME": str(house.settings.home / "dagster")},
            cwd=WORKSPACE.parent,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 400
        while not (webhook.bodies and mail.letters) and time.monotonic() < deadline:
            assert daemon.poll() is None, (tmp_path / "daemon.log").read_text()[-2000:]
            time.sleep(0.2)
    finally:
        daemon.terminate()
        daemon.wait()
    assert [body["alarm"]["accounts"] for body in webhook.bodies] == [[NO_SITE]]
    assert len(mail.letters) == 1
