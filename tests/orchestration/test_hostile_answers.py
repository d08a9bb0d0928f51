"""One text of 100 MB in a day's answer: the command stays small, and loses nothing but that day."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from dagster_project.warehouse.connection import Warehouse
from tests.support.operating import SITE, House, days_back, operating
from tests.transport.scripted_server import Asked, Play, ScriptedServer, reply, serving_script

MOST_MB = 250
HUGE, LONG = "x" * (100 << 20), "y" * 2_000_000 + "😀"
# Not getrusage's figure: that begins with what the process had that started this one.
MAIN = """
import re
from pathlib import Path
from dagster_project.cli.main import main
try:
    main()
finally:
    status = Path("/proc/self/status").read_text()
    print("peak", int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024)
"""


class Vendor:
    """Three SMS a day; ``texts`` takes the place of the second one's text."""

    def __init__(self) -> None:
        self.texts: dict[date, str] = {}

    def __call__(self, asked: Asked) -> Play:
        first, last = (
            datetime.strptime(asked.json[name], "%d-%m-%Y %H:%M:%S").date()  # noqa: DTZ007 - days alone
            for name in ("dateFrom", "dateTo")
        )
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        rows = [
            {
                "phoneNumber": f"7920123450{n}",
                "dateSent": f"{day:%d-%m-%Y} 10:00:0{n}",
                "smsStatus": "delivered",
                "smsStatusDetail": "Доставлено",
                "smsMessage": self.texts.get(day, "b") if n == 2 else "a",
            }
            for day in days
            for n in (1, 2, 3)
        ]
        data = {"totalCountSms": len(rows), "pageOfResult": 1, "smsDetails": rows}
        return reply(json.dumps({"meta": [], "data": data}, ensure_ascii=False))


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def played(vendor: Vendor) -> Iterator[ScriptedServer]:
    with serving_script(vendor) as running:
        yield running


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse,
    played: ScriptedServer,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    given = {
        "CALLTOUCH_SITE_IDS": SITE,
        "CALLTOUCH_ACCESS_TOKEN": "token-of-hostile-answers",
        "CALLTOUCH_BASE_URL": played.url,
    }
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        yield running


def backfill(first: date, last: date) -> tuple[int, int, str]:
    """Exit status, peak memory in MB, and what a process of its own told."""
    words = ("backfill", "--source", "calltouch", "--from", str(first), "--to", str(last))
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *words],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    told, _, peak = done.stdout.rpartition("peak ")
    return done.returncode, int(peak), told + done.stderr


def counts(house: House) -> dict[date, int]:
    rows = house.rows("SELECT sent_on, count(*) FROM warehouse.calltouch_sms GROUP BY 1")
    return {day: int(number) for day, number in rows}


def test_a_text_of_100_mb_costs_neither_memory_nor_any_other_day(
    house: House, vendor: Vendor
) -> None:
    days = days_back(4)
    status, _, told = backfill(days[0], days[1])
    assert status == 0, told
    vendor.texts = {days[1]: HUGE, days[2]: LONG}
    status, peak, told = backfill(days[0], days[-1])
    assert status == 1
    assert peak < MOST_MB
    assert f"calltouch account {SITE} {days[1]}" in told
    assert "returns more than 32 MB. The rows loaded before stay." in told
    assert told.count("  AnswerTooLarge: ") == 1
    assert counts(house) == {day: 2 if day == days[2] else 3 for day in days}
    [(reason, length)] = house.rows("SELECT reason, length(original) FROM ops.rejected_record")
    assert reason == "unreadable row: smsMessage is longer than any SMS"
    assert length < 5_000
