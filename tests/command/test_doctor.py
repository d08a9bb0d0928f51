"""The doctor: each fault has its line, the others stay good, and no line shows a secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dagster_project.cli import warehouse as command
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.operating import KEY, NO_SITE, SITE, House, again, days_back, operating


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock="now") as running:
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
