"""``warehouse labels``: CSV files in, names in bi out."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dagster_project.cli.main import warehouse as command
from dagster_project.errors import SettingsError
from dagster_project.pipeline import services
from dagster_project.warehouse.connection import Warehouse


@pytest.fixture
def named(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    with warehouse.connect(what="test") as connection:
        connection.execute("SELECT mart.register_account('calltouch', '101', 'Europe/Moscow')")
    monkeypatch.setattr(services, "ready_warehouse", lambda *_: warehouse)
    return warehouse


def label(warehouse: Warehouse) -> str:
    with warehouse.connect_admin() as connection:
        row = connection.execute("SELECT account_label FROM bi.account").fetchone()
    assert row is not None
    return str(row[0])


def test_a_spreadsheets_csv_names_an_account(named: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "accounts.csv"
    file.write_text("vendor,account,label\r\ncalltouch,101,Магазин\r\n", encoding="utf-8-sig")
    done = CliRunner().invoke(command, ["labels", str(file)], standalone_mode=False)
    assert done.exception is None
    assert done.output == "accounts.csv: 1 change\n  calltouch 101: 101 → Магазин\n"
    assert label(named) == "Магазин"


def test_texts_go_through_the_masking_of_loads_and_no_other(
    named: Warehouse, tmp_path: Path
) -> None:
    with named.connect_admin() as connection:
        connection.execute(
            "INSERT INTO mart.template (site_id, template_id, masked_text, guessed_category, label,"
            " category) VALUES (101, gen_random_uuid(), 'Иван, ждём вас, Айгерім!', 'x', 'x', 'x')"
        )
    file = tmp_path / "accounts.csv"
    file.write_text("vendor,account,label\ncalltouch,101,Shop\n")
    done = CliRunner().invoke(command, ["labels", str(file)], standalone_mode=False)
    assert done.exception is None
    with named.connect_admin() as connection:
        shown = connection.execute(
            "SELECT masked_text, label, names_masked FROM mart.template WHERE guessed_category = 'x'"
        ).fetchone()
    assert shown == ("{name}, ждём вас, {name}!", "{name}, ждём вас, {name}!", True)


def test_one_bad_file_of_two_changes_nothing(named: Warehouse, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("vendor,account,label\ncalltouch,101,Shop\n")
    bad.write_text("template_id,label,category,campaign\nx,a,b,c\n")
    files = [str(good), str(bad)]
    done = CliRunner().invoke(command, ["labels", *files], standalone_mode=False)
    assert isinstance(done.exception, SettingsError)
    assert label(named) == "101"


def test_another_encoding_is_refused_with_the_way_out(named: Warehouse, tmp_path: Path) -> None:
    file = tmp_path / "old.csv"
    file.write_bytes("vendor,account,label\ncalltouch,101,Магазин\n".encode("cp1251"))
    done = CliRunner().invoke(command, ["labels", str(file)], standalone_mode=False)
    assert isinstance(done.exception, SettingsError)
    assert "UTF-8" in str(done.exception)
