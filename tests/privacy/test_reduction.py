"""Reduction: old days lose numbers and texts for good, and keep all that is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard

from dagster_project.orchestration.retention import retention_job
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.support.operating import SITE, House, again, calltouch_alone, days_back, operating

STANDING = "SELECT * FROM warehouse.calltouch_sms ORDER BY sent_on, sms_key, occurrence"
CONTENT = (
    "SELECT sent_on, sms_key, content_hash, phone, message FROM warehouse.calltouch_sms"
    " ORDER BY 1, 2, 3"
)
KEPT = (
    "SELECT sent_on, sent_at, country, recipient, status, status_detail, outcome, reason, is_final,"
    " template_id, segments FROM warehouse.calltouch_sms ORDER BY 1, 2, 4, 5, 6, 10"
)
TAKEN_OUT = "SELECT DISTINCT phone, phone_e164, message FROM warehouse.calltouch_sms"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock=datetime.now(UTC)) as running:
        yield running


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse,
    sandbox: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    """An installation that keeps personal data for long, until a test says otherwise."""
    given = calltouch_alone(sandbox, PII_RETENTION_DAYS="400")
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        yield running
    sandbox.world.calltouch.redraw(undo_changes=True)


def unreadable(day: date) -> bytes:
    row = {"phoneNumber": 8920, "dateSent": f"{day:%d-%m-%Y} 10:00:00", "smsMessage": "Иван, 8 920"}
    return json.dumps(row).encode()


def night(house: House) -> list[str]:
    done = retention_job.execute_in_process(instance=house.instance)
    assert done.success
    return [entry.message for entry in house.instance.all_logs(done.run_id)]


def written(house: House) -> Any:
    [(rows,)] = house.rows(
        "SELECT sum(rows_inserted + rows_updated + rows_deleted) FROM ops.load_receipt"
        " WHERE receipt_id IN (SELECT receipt_id FROM ops.day_state)"
    )
    return rows


def test_an_old_day_loses_number_and_text_keeps_what_is_counted_and_stays_reduced(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = days_back(100, 99)
    sandbox.world.calltouch.insert_rows(int(SITE), days[0], [unreadable(days[0])])
    assert house.refresh(days), house.failure()
    kept, reported = house.rows(KEPT), house.rows("SELECT sum(messages) FROM bi.sms_day")
    again(monkeypatch, PII_RETENTION_DAYS="90")
    lines = night(house)
    assert any("2 days reduced" in line for line in lines)
    assert house.rows(TAKEN_OUT) == [("(reduced)", None, "(reduced)")]
    assert house.rows(KEPT) == kept
    assert house.rows("SELECT sum(messages) FROM bi.sms_day") == reported
    [(original, redacted)] = house.rows(
        "SELECT original, redacted_at IS NOT NULL FROM ops.rejected_record"
    )
    assert original.startswith("(reduced ")
    assert redacted
    assert house.rows("SELECT count(*) FROM raw.response") == [(0,)], "responses of old days go"
    standing = house.rows(STANDING)
    assert not house.replay(days)
    assert "no complete response" in house.failure()
    for limit in ("90", "400"):
        again(monkeypatch, PII_RETENTION_DAYS=limit)
        assert house.refresh(days), house.failure()
        assert house.rows(STANDING) == standing, "reloaded, it stays reduced"
        assert written(house) == 0
    assert house.replay(days), house.failure()
    assert house.rows(STANDING) == standing
    assert house.rows("SELECT count(*) FROM ops.rejected_record") == [(1,)]


def test_an_old_day_is_loaded_as_answered_and_reduced_in_its_turn_for_good(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = days_back(100)[:2]
    again(monkeypatch, PII_RETENTION_DAYS="90")
    assert house.refresh(days), house.failure()
    assert ("(reduced)", None, "(reduced)") not in house.rows(TAKEN_OUT)
    night(house)
    assert house.rows(TAKEN_OUT) == [("(reduced)", None, "(reduced)")]
    standing = house.rows(STANDING)
    assert house.refresh(days), house.failure()
    assert house.rows(STANDING) == standing
    assert house.rows("SELECT count(*) FROM ops.day_state WHERE reduced_at IS NULL") == [(0,)]


def test_of_a_window_across_the_limit_the_young_days_can_still_be_replayed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = days_back(92, 89)
    old, young = days[:2], days[2:]
    assert house.refresh(days), house.failure()
    assert house.rows("SELECT count(*) FROM ops.extraction") == [(1,)], "one window"
    again(monkeypatch, PII_RETENTION_DAYS="90")
    night(house)
    [(body,)] = house.rows("SELECT body FROM raw.response")
    rows = json.loads(zstandard.ZstdDecompressor().decompress(body))["data"]["smsDetails"]
    by_day = {f"{day:%d-%m-%Y}": day for day in days}
    for row in rows:
        is_old = by_day[row["dateSent"][:10]] in old
        assert (row["phoneNumber"] == "(reduced)") == is_old
        assert (row["smsMessage"] == "(reduced)") == is_old
    standing = house.rows(CONTENT)
    with house.warehouse.connect_admin() as connection:
        connection.execute("DELETE FROM warehouse.calltouch_sms WHERE sent_on >= %s", (young[0],))
    assert house.replay(young), house.failure()
    assert house.rows(CONTENT) == standing
    assert not house.replay(old)
    assert "no complete response" in house.failure()


PURCHASES = (
    "SELECT purchased_on, payment_id, payment_method, card_last_digits, invoice_history::text,"
    " content_hash, changed_at FROM warehouse.tellody_credit_purchase ORDER BY 1, 2"
)


def test_old_purchases_lose_card_and_invoice_and_a_reload_and_a_replay_write_nothing(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(monkeypatch, **tellody_of(sandbox))
    source = "tellody_purchases"
    days = days_back(100, 1, source)
    old, recent = days[:10], days[10:]
    assert house.refresh(days, source), house.failure()
    before = house.rows(PURCHASES)
    with_card = [row for row in before if row[0] in old and row[3]]
    assert with_card
    again(monkeypatch, PII_RETENTION_DAYS="90")
    assert any("rows reduced" in line for line in night(house))
    reduced = house.rows(PURCHASES)
    assert {row[3] for row in reduced if row[0] in old} <= {"(reduced)", None}
    assert [row for row in reduced if row[0] in recent] == [
        row for row in before if row[0] in recent
    ]
    assert {row[2] for row in reduced} == {row[2] for row in before}, "words such as Paypal stay"
    for run in (house.refresh, house.replay):
        assert run(recent, source), house.failure()
        assert house.rows(PURCHASES) == reduced
    night(house)
    assert house.rows(PURCHASES) == reduced
    bodies = [
        json.loads(zstandard.ZstdDecompressor().decompress(body))
        for (body,) in house.rows("SELECT body FROM raw.response")
    ]
    cards = {row[1] for row in with_card}
    for body in bodies:
        left = {p["cardLastDigits"] for p in body["data"] if p["paymentId"] in cards}
        assert left <= {"(reduced)"}


def tellody_of(sandbox: Sandbox) -> dict[str, str]:
    settings = sandbox.settings_env()
    return {name: value for name, value in settings.items() if name.startswith("TELLODY")}
