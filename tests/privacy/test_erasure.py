"""However a number is written, and wherever it stands, nothing of it remains; load and erasure agree on it."""

from __future__ import annotations

import json
import threading
import time
from datetime import date
from typing import Any

import pytest
import zstandard

from dagster_project.model.privacy import Suppression, identity_of
from dagster_project.pipeline import personal_data
from dagster_project.pipeline.marts_upkeep import sms_mask
from dagster_project.privacy import erasure, rekey
from dagster_project.sandbox.server import Sandbox
from tests.cli.conftest import NEW
from tests.privacy.test_reapplication import put_back
from tests.support.erasing import command, forget
from tests.support.operating import KEY, SITE, House, again, days_back
from tests.support.spellings import AT_HOME, OTHERS, PHONES, TEXTS

NUMBERS = ("+79161234567", "+375291234567")
CONTENT = (
    "SELECT sent_on, sms_key, occurrence, content_hash, sent_at, phone, recipient, status,"
    " status_detail, outcome, reason, message, template_id, segments"
    " FROM warehouse.calltouch_sms ORDER BY 1, 2, 3"
)
REJECTS = (
    "SELECT reason, original, record_sha256 FROM ops.rejected_record WHERE resolved_at IS NULL"
    " ORDER BY 1, 3"
)
PLACES = {
    "rows": "SELECT concat_ws(' x ', phone, status, status_detail, message)"
    " FROM warehouse.calltouch_sms",
    "rejects": "SELECT original FROM ops.rejected_record",
    "notes": "SELECT concat_ws(' x ', notes::text, day) FROM ops.load_receipt",
}


def _row(day: date, second: int, **more: Any) -> bytes:
    row = {
        "phoneNumber": f"7921000{second:04}",
        "dateSent": f"{day:%d-%m-%Y} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}",
        "smsStatus": "delivered",
        "smsStatusDetail": "Доставлено",
        "smsMessage": "Ваш заказ готов",
        **more,
    }
    return json.dumps(row, ensure_ascii=second % 2 == 0).encode("utf-8", "surrogatepass")


def a_day(day: date) -> list[bytes]:
    """Each spelling in a text, a detail, a status and a record that cannot be read; each phone on its own."""
    written: list[dict[str, Any]] = []
    for spelling in (*TEXTS, *AT_HOME):
        written += [
            {"smsMessage": f"Перезвоните: {spelling}, Иван"},
            {"smsStatusDetail": f"Не дошло до {spelling}"},
            {"smsStatus": 5, "smsStatusDetail": spelling},
            {"extra": [spelling]},
        ]
    written += [{"smsStatus": f"error {spelling}"} for spelling in TEXTS[:5]]
    written += [{"phoneNumber": phone, "smsMessage": "Код 4411"} for phone in (*PHONES, *AT_HOME)]
    written += [{"phoneNumber": 79161234567}, {"phoneNumber": 79161234567.0}]
    written += [{"dateSent": "8 916 123-45-67"}, {"phoneNumber": None, "note": "8 029 123-45-67"}]
    written += [{"smsMessage": text} for text in OTHERS]
    return [_row(day, second, **more) for second, more in enumerate(written)]


def left(house: House) -> list[str]:
    """Where either number still is."""
    found = suppressing(*NUMBERS)
    places = {
        place: [row[0] for row in house.rows(query) if found.occurs_in(row[0])]
        for place, query in PLACES.items()
    }
    bodies = []
    for (body,) in house.rows("SELECT body FROM raw.response"):
        page = json.loads(zstandard.ZstdDecompressor().decompress(body))
        bodies += [str(row) for row in page["data"]["smsDetails"] if found.occurs_in(str(row))]
    return [f"{place}: {text}" for place, texts in places.items() for text in texts] + bodies


def suppressing(*numbers: str) -> Suppression:
    key = b"k" * 32
    tails = [identity_of(number).tail or "" for number in numbers]
    empty = Suppression(key)
    return Suppression(
        key,
        frozenset(map(empty.hash_of, numbers)),
        frozenset(map(empty.hash_of, tails)),
        tuple(sorted(set(map(len, tails)))),
    )


@pytest.fixture
def days(house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """A loaded day, a fifth of which cannot be read."""
    again(monkeypatch, WAREHOUSE_REJECTS_ABOVE_SHARE="1")
    found = days_back(1)
    for day in found:
        sandbox.world.calltouch.replace_day(int(SITE), day, a_day(day))
    assert house.refresh(found), house.failure()
    assert len(left(house)) > 4 * len(TEXTS), "before an erasure they are there to be found"
    return found


def written(house: House) -> list[Any]:
    return [
        row[0]
        for row in house.rows(
            "SELECT rows_inserted + rows_updated + rows_deleted FROM ops.load_receipt"
            " WHERE receipt_id IN (SELECT receipt_id FROM ops.day_state)"
        )
    ]


def test_however_it_is_written_it_is_erased_and_a_reload_writes_nothing(
    house: House, days: list[date]
) -> None:
    with put_back(house):
        assert forget(*NUMBERS).return_value == 0
        assert left(house) == []
        erased, rejected = house.rows(CONTENT), house.rows(REJECTS)
        responses = house.rows("SELECT count(*) FROM raw.response WHERE redacted_at IS NOT NULL")
        assert responses == [(1,)]
        [(own,)] = house.rows(
            "SELECT count(*) FROM warehouse.calltouch_sms WHERE phone = '(erased)'"
        )
        assert own == len(PHONES) + len(AT_HOME)
        kept = {row[0] for row in house.rows("SELECT message FROM warehouse.calltouch_sms")}
        assert kept >= set(OTHERS)
        for load in (house.refresh, house.replay):
            assert load(days), house.failure()
            assert house.rows(CONTENT) == erased
            assert house.rows(REJECTS) == rejected
            assert written(house) == [0]
        assert left(house) == []
        with house.warehouse.connect_admin() as connection:
            connection.execute("DELETE FROM warehouse.calltouch_sms")
        assert house.refresh(days), house.failure()
        assert house.rows(CONTENT) == erased, "what a load leaves out is what an erasure takes out"
    assert command("forget", "--again").return_value == 0
    assert left(house) == []
    assert house.rows(CONTENT) == erased


def test_a_rekey_that_begins_meanwhile_waits_for_it(house: House, days: list[date]) -> None:
    """Otherwise rows that have their new pseudonym already would not be found by the old one."""
    said: list[str] = []
    new, old = (personal_data.scopes(house.settings, key) for key in (NEW, KEY))
    rekeying = threading.Thread(
        target=rekey.rekey, args=(house.warehouse, rekey.Keys(KEY, NEW), new, old, said.append)
    )

    def begin_rekey(line: str) -> None:
        if line.endswith("rows …"):
            rekeying.start()
            while rekeying.is_alive() and not said:
                time.sleep(0.05)

    people = [identity_of(number) for number in NUMBERS]
    done = erasure.forget(house.warehouse, KEY, people, old, sms_mask(), begin_rekey)
    rekeying.join(timeout=60)
    assert said == ["waiting for 1 other session that began before …", "1 of 1 day"]
    assert done.rows
    assert left(house) == []
