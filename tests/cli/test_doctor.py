"""The doctor: each fault has its line, the others stay good, and no line shows a secret."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from dagster_project.cli.main import warehouse as command
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse import fitness
from dagster_project.warehouse.connection import Warehouse
from tests.support.operating import KEY, NO_SITE, SITE, House, again, days_back, operating


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
    given = {**sandbox.settings_env(), "CALLTOUCH_SITE_IDS": SITE}
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        yield running


def examined() -> Result:
    return CliRunner().invoke(command, ["doctor"], standalone_mode=False)


def lines(done: Result, state: str) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith(state)]


def test_a_sound_warehouse_has_nothing_wrong_and_costs_no_points(house: House) -> None:
    house.refresh(days_back(1))
    [(before,)] = house.rows("SELECT sum(points) FROM ops.point_ledger")
    done = examined()
    assert lines(done, "wrong") == [], done.stdout
    assert done.return_value == 0
    good = "\n".join(lines(done, "good"))
    for about in ("Postgres", "schema", "roles", "PII key", f"calltouch {SITE}", "trust", "disk"):
        assert f"{about}:" in good
    assert "telemetry is off" in good
    assert house.rows("SELECT sum(points) FROM ops.point_ledger") == [(before,)]


def test_a_program_reads_the_same_findings(house: House) -> None:
    house.refresh(days_back(1))
    done = CliRunner().invoke(command, ["doctor", "--json"], standalone_mode=False)
    found = json.loads(done.stdout)
    assert done.return_value == 0
    assert {one["state"] for one in found} <= {"good", "note"}
    assert "schema" in {one["about"] for one in found}
    assert set(found[0]) == {"about", "state", "text", "hint"}


def test_each_fault_has_its_line_with_the_way_to_mend_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.refresh(days_back(1))
    again(
        monkeypatch,
        CALLTOUCH_SITE_IDS=f"{SITE},{NO_SITE}",
        TRUST_CLIENT_SECRET="a wrong secret of Trust",
        PII_HASH_KEY="quite another key, long enough",
    )
    with house.warehouse.connect_admin() as connection:
        connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    done = examined()
    assert done.return_value == 1
    wrong = "\n".join(lines(done, "wrong"))
    assert f"calltouch {NO_SITE}:" in wrong
    assert "trust:" in wrong
    assert "warehouse rekey" in wrong
    assert "REVOKE ALL ON SCHEMA public FROM PUBLIC" in wrong
    assert all("Way out:" in line for line in lines(done, "wrong"))
    assert f"calltouch {SITE}:" in "\n".join(lines(done, "good"))


def test_a_server_that_is_away_is_told_and_ends_with_1(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://who:a-database-password@127.0.0.1:1/{house.warehouse.database}"
    again(monkeypatch, WAREHOUSE_URL=url)
    done = examined()
    assert done.return_value == 1
    assert "Postgres: " in "\n".join(lines(done, "wrong"))
    assert "a-database-password" not in done.stdout


def test_no_line_shows_a_secret(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(monkeypatch, TELLODY_PASSWORD="a wrong password")
    told = examined().stdout
    secrets = [
        value
        for name, value in sandbox.settings_env().items()
        if name.endswith(("TOKEN", "SECRET", "PASSWORD", "USERNAME"))
    ]
    assert secrets
    for secret in (*secrets, KEY, "a wrong password", house.warehouse.admin.secret or "-"):
        assert secret not in told


def test_days_dated_in_the_future_are_named_and_the_line_mends_them(
    house: House,
) -> None:
    [day] = days_back(1)
    assert house.refresh([day]), house.failure()
    with house.warehouse.connect_admin() as connection:
        connection.execute("UPDATE ops.day_state SET observed_at = now() + interval '2 days'")
    line = f"warehouse backfill --source calltouch --account {SITE} --from {day} --to {day}"
    [told] = [wrong for wrong in lines(examined(), "wrong") if "dated in the future" in wrong]
    assert f"Way out: `{line}`." in told
    status = CliRunner().invoke(command, ["status"], standalone_mode=False).stdout
    assert "in the future: a clock was ahead" in status
    assert line in status
    assert CliRunner().invoke(command, line.split()[1:], standalone_mode=False).return_value == 0
    assert "dated in the future" not in examined().stdout


def test_days_of_another_time_zone_are_told_until_they_are_replayed(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    older, day = days_back(3, 2)
    assert house.refresh([older, day]), house.failure()
    [(before,)] = house.rows("SELECT DISTINCT time_zone FROM ops.day_state")
    again(monkeypatch, **{f"CALLTOUCH_TIMEZONE_{SITE}": "Asia/Kolkata"})
    line = f"warehouse replay --source calltouch --account {SITE} --from {older} --to {day}"
    [told] = [wrong for wrong in lines(examined(), "wrong") if "time zones:" in wrong]
    assert "2 days" in told
    assert f"stand as days of {before}, and the time zone is Asia/Kolkata now" in told
    assert f"Way out: `{line}`." in told
    assert CliRunner().invoke(command, line.split()[1:], standalone_mode=False).return_value == 0
    assert f"stand as days of {before}" in caplog.text, "a load tells it too"
    assert "time zones:" not in examined().stdout


def test_clocks_that_are_more_than_a_minute_apart_are_told_by_doctor_and_a_load(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = time.time
    monkeypatch.setattr(fitness, "time", SimpleNamespace(time=lambda: real() - 90))
    began = time.monotonic()
    [told] = [wrong for wrong in lines(examined(), "wrong") if "the server's clock" in wrong]
    assert house.refresh(days_back(1)), house.failure()
    inexact = time.monotonic() - began  # As long a machine may pause between its two clocks.
    for text, said in (
        (told, r"differ by (\d+\.\d) s"),
        (caplog.text, r"the database's clock is (\d+) s ahead of this machine's"),
    ):
        found = re.search(said, text)
        assert found, text
        assert float(found[1]) == pytest.approx(90, abs=0.5 + inexact / 2)
    caplog.clear()
    monkeypatch.setattr(fitness, "time", SimpleNamespace(time=lambda: real() - 40))
    assert house.refresh(days_back(1)), house.failure()
    assert "the database's clock" not in caplog.text
