"""Calltouch from end to end: by four real processes at once, and a million SMS of a day.

What the warehouse holds is compared with what the vendor would answer, row by row, with multiplicity.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
import requests

from dagster_project.sandbox.server import Sandbox, SandboxProcess, running_sandbox
from dagster_project.text.sanitize import sanitize
from dagster_project.warehouse.connection import Warehouse
from tests.support.operating import ALLOWING_FOR_ITS_LATENESS, environment, operating

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

CLOCK = "2024-05-20T12:00:00+03:00"
SITE = {"site_id": 77, "token": "t", "zone": "Europe/Moscow"}
Row = tuple[str, str, str, str]
STANDING_DIGEST = r"""
    SELECT count(*), sum(('x' || left(md5(
        phone || E'\x1f' || status || E'\x1f' || status_detail || E'\x1f' || message
    ), 16))::bit(64)::bigint), count(*) FILTER (WHERE occurrence > 1)
    FROM warehouse.calltouch_sms"""
"""Rows, the sum of their digests, and how many are equal to another one."""


def backfill(house_environment: dict[str, str], first: date, last: date) -> subprocess.Popen[str]:
    """``warehouse backfill`` of Calltouch in a process of its own."""
    return subprocess.Popen(
        [
            *(sys.executable, "-c", "from dagster_project.cli.main import main; main()"),
            *("backfill", "--source", "calltouch", "--from", str(first), "--to", str(last)),
        ],
        env={k: v for k, v in {**os.environ, **house_environment}.items() if v},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def standing(warehouse: Warehouse, site: int, day: date) -> Counter[Row]:
    with warehouse.connect() as connection:
        return Counter(
            connection.execute(
                "SELECT phone, status, status_detail, message FROM warehouse.calltouch_sms"
                " WHERE site_id = %s AND sent_on = %s",
                (site, day),
            ).fetchall()
        )


def truth(rows: list[dict[str, str]]) -> Counter[Row]:
    counts: Counter[str] = Counter()
    return Counter(
        (
            sanitize(row["phoneNumber"], counts),
            row["smsStatus"],
            row["smsStatusDetail"],
            sanitize(row["smsMessage"], counts),
        )
        for row in rows
    )


def test_four_processes_on_overlapping_days_draw_no_429_and_end_exact(
    warehouse_with_dagster: Warehouse, scratch: Path
) -> None:
    first = date(2024, 5, 8)
    with SandboxProcess(clock=CLOCK, calltouch=ALLOWING_FOR_ITS_LATENESS) as sandbox:
        settings = environment(warehouse_with_dagster, scratch, **sandbox.settings_env())
        spans = [(0, 7), (3, 9), (5, 11), (0, 11)]
        processes = [
            backfill(settings, first + timedelta(days=a), first + timedelta(days=b))
            for a, b in spans
        ]
        for process in processes:
            output, errors = process.communicate(timeout=600)
            assert process.returncode == 0, output + errors
        stats = sandbox.get("stats")
        assert stats["rate_limited"].get("calltouch", 0) == 0, "no answer of 429"
        for site in (40101, 40202):
            for number in range(12):
                day = first + timedelta(days=number)
                rows = list(sandbox.truth("calltouch", site=site, from_=day, to=day))
                assert standing(warehouse_with_dagster, site, day) == truth(rows), (site, day)


def test_a_hundred_pages_of_ten_thousand_arrive_exactly(
    warehouse_with_dagster: Warehouse, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = date(2024, 5, 10)
    site = {**SITE, "counts": {str(day): 1_000_000}}
    with running_sandbox(
        clock=CLOCK, calltouch={"requests_per_second": 0, "sites": [site], "order": "stable"}
    ) as sandbox:
        given = {**sandbox.settings_env(), "CALLTOUCH_REQUESTS_PER_SECOND": "1000"}
        with operating(warehouse_with_dagster, scratch, monkeypatch, given) as house:
            assert house.refresh([day]), house.failure()
            [(pages,)] = house.rows("SELECT pages FROM ops.extraction WHERE outcome = 'complete'")
            answered = told_by(sandbox, day)
            [(rows, digests, repeated)] = house.rows(STANDING_DIGEST)
    assert pages >= 100
    assert [rows, digests] == answered
    assert repeated > 0, "equal SMS are among them"


def told_by(sandbox: Sandbox, day: date) -> list[int]:
    """Rows of the day and the sum of their digests, read page by page with plain requests."""
    told = [0, 0]
    asked = {"dateFrom": f"{day:%d-%m-%Y} 00:00:00", "dateTo": f"{day:%d-%m-%Y} 23:59:59"}
    page, total = 1, 1
    counts: Counter[str] = Counter()
    while told[0] < total:
        answer = requests.post(
            sandbox.url + "/lead-service/v1/api/sms-to-clients/result",
            json=asked if page == 1 else {**asked, "pageOfResult": page},
            headers={"Access-Token": "t", "SiteId": "77"},
            timeout=60,
        )
        data = json.loads(answer.content)["data"]
        total = data["totalCountSms"]
        for row in data["smsDetails"]:
            texts = (
                row["phoneNumber"],
                row["smsStatus"],
                row["smsStatusDetail"],
                sanitize(row["smsMessage"], counts),
            )
            told[0] += 1
            told[1] += digest(texts)
        page += 1
    return told


def digest(row: tuple[str, ...]) -> int:
    """As ``STANDING_DIGEST`` has it: reckoned by Postgres where the rows are, not read from it one by one."""
    text = hashlib.md5("\x1f".join(row).encode(), usedforsecurity=False)
    return int.from_bytes(text.digest()[:8], "big", signed=True)
