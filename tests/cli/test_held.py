"""Days that are held, as the command prints them."""

from __future__ import annotations

import json
from datetime import date

import pytest

from dagster_project.cli.held import held
from dagster_project.pipeline import services
from dagster_project.text.remedies import load_command
from dagster_project.warehouse.connection import Warehouse
from tests.support.ledger import load_days

DAY = date(2024, 5, 1)


@pytest.fixture(autouse=True)
def one_held_day(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    load_days(warehouse, "calltouch", "101", DAY)
    with warehouse.connect_admin() as connection:
        connection.execute(
            "UPDATE ops.day_state SET held = 'had 500 rows, came back with 40',"
            " held_kinds = '{shrink}', held_figures = '{\"rows\": [500, 40]}'"
        )
    monkeypatch.setattr(services, "current_warehouse", lambda: warehouse)


def test_a_program_reads_the_figures_and_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert held(sources=[], accounts=[], as_json=True) == 0
    [day] = json.loads(capsys.readouterr().out)
    assert (day["source"], day["account"], day["day"]) == ("calltouch", "101", "2024-05-01")
    assert day["figures"] == {"rows": {"stands": 500, "held": 40}}
    assert day["accept_with"] == ["--accept-shrink"]
    assert day["way_out"].endswith(load_command("calltouch", "101", DAY, DAY, accept=["shrink"]))


def test_a_person_reads_why_and_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert held(sources=["calltouch"], accounts=["101"], as_json=False) == 0
    text = capsys.readouterr().out
    assert "it had 500 rows, came back with 40" in text
    assert "--accept-shrink" in text
    assert text.rstrip().endswith("1 day held.")


@pytest.mark.parametrize(("sources", "accounts"), [(["trust"], []), ([], ["102"])])
def test_other_sources_and_accounts_hold_nothing(
    capsys: pytest.CaptureFixture[str], sources: list[str], accounts: list[str]
) -> None:
    assert held(sources=sources, accounts=accounts, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == []
