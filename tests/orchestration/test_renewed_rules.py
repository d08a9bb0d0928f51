"""Rows that an earlier version wrote get what the rules say today by a replay, and their marts with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.vendors.calltouch.personal_data import shown_template
from dagster_project.warehouse import marts
from dagster_project.warehouse.connection import Warehouse
from tests.support.erasing import command
from tests.support.operating import SITE, House, calltouch_alone, days_back, operating

PHONES = {"+8 920 938-36-54": "+79209383654", "7920938365": None}
PAIRS = "]" * 153
STANDING = (
    "SELECT sms_key, phone, phone_e164, country, recipient, template_id, segments, content_hash"
    " FROM warehouse.calltouch_sms ORDER BY 1"
)


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
    with operating(
        warehouse_with_dagster, scratch, monkeypatch, calltouch_alone(sandbox)
    ) as running:
        yield running
    sandbox.world.calltouch.redraw(undo_changes=True)


def sms(day: date, phone: str, text: str, second: int = 0) -> bytes:
    row = {
        "phoneNumber": phone,
        "dateSent": f"{day:%d-%m-%Y} 09:{second // 60:02}:{second % 60:02}",
        "smsStatus": "delivered",
        "smsStatusDetail": "Доставлено",
        "smsMessage": text,
    }
    return json.dumps(row).encode()


def as_before(house: House, days: list[date], changes: str) -> None:
    """The rows and the marts as an earlier version left them: other columns, and another hash of them."""
    with house.warehouse.connect_admin() as connection:
        connection.execute(
            f"UPDATE warehouse.calltouch_sms SET content_hash = content_hash + 1, {changes}".encode()
        )
    with house.warehouse.connect(autocommit=True, what="test") as connection:
        marts.recount(connection, [int(SITE)], days)
        marts.refresh_stale(connection, shown_template)


def written(house: House) -> Any:
    [(rows,)] = house.rows(
        "SELECT rows_inserted + rows_updated + rows_deleted FROM ops.load_receipt"
        " ORDER BY receipt_id DESC LIMIT 1"
    )
    return rows


def test_numbers_and_segments_are_renewed_by_a_replay(house: House, sandbox: Sandbox) -> None:
    [day] = days_back(1)
    rows = [sms(day, phone, PAIRS) for phone in PHONES]
    sandbox.world.calltouch.replace_day(int(SITE), day, rows)
    assert house.refresh([day]), house.failure()
    told = "SELECT country, sum(messages), sum(segments) FROM bi.sms_day GROUP BY 1 ORDER BY 1"
    people = "SELECT recipients FROM bi.sms_reach WHERE period = 'month' AND category = 'all'"
    standing = house.rows(STANDING)
    assert dict(house.rows("SELECT phone, phone_e164 FROM warehouse.calltouch_sms")) == PHONES
    as_before(
        house,
        [day],
        "segments = 2, phone_e164 = '+77920938365', country = 'KZ', recipient = gen_random_uuid()",
    )
    assert house.rows(told) == [("KZ", 2, 4)]

    assert house.replay([day]), house.failure()

    assert written(house) == len(rows)
    assert house.rows(told) == [("RU", 1, 3), ("unknown", 1, 3)]
    assert house.rows(people) == [(2,)]
    assert house.rows(STANDING) == standing
    assert house.replay([day])
    assert written(house) == 0


NAMES = ("Айгерім", "Արամ", "გიორგი", "Xolmurod", "Иван", "Гульчехра")
SHOWN = (
    "SELECT template_id, template_text, template_label FROM bi.template WHERE category <> 'rare'"
    " ORDER BY 2"
)


def test_ids_that_told_a_name_are_renewed_by_a_replay_and_labels_stay(
    house: House, sandbox: Sandbox, tmp_path: Path
) -> None:
    """As before: an id for each name. Two texts that differ in an ordinary word stay two."""
    [day] = days_back(1)
    texts = [f"{name}, ваш {what} готов" for name in NAMES for what in ("заказ", "букет")]
    rows = [
        sms(day, f"79{at:02}{n:07}", text, n) for at, text in enumerate(texts) for n in range(20)
    ]
    rows.append(sms(day, "79990000000", f"{NAMES[0]}, с днём рождения!"))
    sandbox.world.calltouch.replace_day(int(SITE), day, rows)
    assert house.refresh([day]), house.failure()
    shown = house.rows(SHOWN)
    assert [text for _, text, _ in shown] == ["{name}, ваш букет готов", "{name}, ваш заказ готов"]
    singles = "SELECT count(*) FROM bi.sms_day WHERE template_id <> %s AND messages = 1"
    assert house.rows(singles, "00000000-0000-0000-0000-000000000000") == [(0,)]
    standing = house.rows(STANDING)
    with house.warehouse.connect_admin() as connection:
        connection.execute("DELETE FROM mart.template WHERE published_at IS NOT NULL")
    as_before(house, [day], "template_id = md5(message)::uuid")
    [(old, text, _)] = house.rows(SHOWN)[1:]
    assert [(one, text) for one, text, _ in shown if one == old] == []
    labels = tmp_path / "labels.csv"
    labels.write_text(f"template_id,label,category,campaign\n{old},Ready,service,\n")

    assert command("labels", str(labels)).return_value == 0
    assert house.replay([day]), house.failure()

    assert house.rows(STANDING) == standing
    assert [(text, label) for _, text, label in house.rows(SHOWN)] == [
        ("{name}, ваш букет готов", "{name}, ваш букет готов"),
        (text, "Ready"),
    ]
    assert house.replay([day])
    assert written(house) == 0
