"""What the vendor says null to: loaded as NULL, once, and left NULL by all that rewrites rows."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from dagster_project.orchestration.retention import retention_job
from dagster_project.sandbox.server import Sandbox
from tests.cli.conftest import NEW
from tests.support.erasing import command, forget, sms
from tests.support.operating import SITE, House, again, days_back

PERSON = "79201234567"
NULLS = (
    "SELECT message IS NULL, phone IS NULL, recipient IS NULL, status, status_detail, outcome, reason,"
    " template_id IS NULL, segments, count(*) FROM warehouse.calltouch_sms"
    " GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 1, 2, 4 NULLS FIRST, 5"
)
STANDING = "SELECT * FROM warehouse.calltouch_sms ORDER BY sent_on, sms_key, occurrence"
DELIVERED = ("delivered", "Доставлено", "delivered", None)


def with_nulls(day: date) -> list[bytes]:
    """Twenty-two usual SMS, and one or two for each field that is null or absent."""
    usual = [sms(day, f"7921000{n:04}", "Заказ готов", n) for n in range(22)]
    whole = json.loads(sms(day, PERSON, "Заказ готов", 40))
    changes: list[dict[str, Any]] = [
        *({"smsMessage": None} for _ in range(2)),
        {"phoneNumber": None},
        {"smsStatus": None},
        {"smsStatusDetail": None},
    ]
    short = {key: text for key, text in whole.items() if key != "smsMessage"}
    rows = [*(whole | change for change in changes), short | {"phoneNumber": None}]
    return usual + [json.dumps(row).encode() for row in rows]


@pytest.fixture
def day(house: House, sandbox: Sandbox) -> date:
    [found] = days_back(1)
    sandbox.world.calltouch.replace_day(int(SITE), found, with_nulls(found))
    assert house.refresh([found]), house.failure()
    return found


def written(house: House) -> Any:
    [(rows,)] = house.rows(
        "SELECT rows_inserted + rows_updated + rows_deleted FROM ops.load_receipt"
        " ORDER BY receipt_id DESC LIMIT 1"
    )
    return rows


def test_rows_with_nulls_are_loaded_once_and_a_rerun_writes_nothing(
    house: House, day: date
) -> None:
    assert house.rows(NULLS) == [
        (False, False, False, None, "Доставлено", "undetermined", "no_status", False, 1, 1),
        (False, False, False, *DELIVERED, False, 1, 22),
        (False, False, False, "delivered", None, "delivered", None, False, 1, 1),
        (False, True, True, *DELIVERED, False, 1, 1),
        (True, False, False, *DELIVERED, True, None, 2),
        (True, True, True, *DELIVERED, True, None, 1),
    ]
    assert house.rows("SELECT count(*) FROM ops.rejected_record") == [(0,)]
    assert house.rows(
        "SELECT template_label, country, sum(messages), sum(segments) FROM bi.sms_day"
        " GROUP BY 1, 2 ORDER BY 1, 2"
    ) == [
        ("(no text)", "RU", 2, None),
        ("(no text)", "none", 1, None),
        ("Заказ готов", "RU", 24, 24),
        ("Заказ готов", "none", 1, 1),
    ]
    standing = house.rows(STANDING)
    assert house.refresh([day])
    assert (written(house), house.rows(STANDING)) == (0, standing)
    assert house.replay([day])
    assert (written(house), house.rows(STANDING)) == (0, standing)


def test_nulls_stay_through_an_erasure_a_rekey_and_a_reduction(
    house: House, day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = [row[:3] for row in house.rows(NULLS)]
    assert forget(PERSON).return_value == 0
    assert command("forget", "--again").return_value == 0
    erased = "SELECT message FROM warehouse.calltouch_sms WHERE phone = '(erased)' ORDER BY 1"
    assert house.rows(erased) == [("(erased)",), ("(erased)",), (None,), (None,)]
    assert [row[:3] for row in house.rows(NULLS)] == counted
    assert house.refresh([day])
    assert written(house) == 0
    assert command("rekey").return_value == 0
    again(monkeypatch, PII_HASH_KEY=NEW)
    assert house.refresh([day])
    assert written(house) == 0
    assert house.rows("SELECT DISTINCT template_label FROM bi.sms_day ORDER BY 1") == [
        ("(no text)",),
        ("(rare)",),
        ("Заказ готов",),
    ]
    old = days_back(100)[0]
    with house.warehouse.connect_admin() as connection:
        connection.execute("SELECT ops.ensure_month('warehouse.calltouch_sms', %s)", (old,))
        connection.execute("UPDATE warehouse.calltouch_sms SET sent_on = %s", (old,))
        connection.execute("UPDATE ops.day_state SET day = %s, checksum = 0", (old,))
    again(monkeypatch, PII_RETENTION_DAYS="90")
    assert retention_job.execute_in_process(instance=house.instance).success
    assert house.rows("SELECT DISTINCT phone FROM warehouse.calltouch_sms") == [("(reduced)",)]
    nothing = "SELECT count(*), count(recipient), count(message), count(segments)"
    assert house.rows(f"{nothing} FROM warehouse.calltouch_sms") == [(28, 26, 25, 25)]
