"""Which folder a command works for, called from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dagster_project.config.known_names import is_setting
from dagster_project.config.project import project_folder, settings_file
from dagster_project.config.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and one within it, which is the working directory."""
    (tmp_path / "within" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "within" / "deep")
    monkeypatch.delenv("WAREHOUSE_ENV_FILE")
    monkeypatch.delenv("WAREHOUSE_HOME", raising=False)
    return tmp_path


def test_from_any_other_folder_the_checkout_of_the_program_is_meant(folder: Path) -> None:
    assert project_folder(is_setting) == ROOT
    assert load_settings().home == ROOT / ".warehouse"


@pytest.mark.parametrize("mark", ["settings", "warehouse", "checkout"])
def test_the_nearest_folder_of_a_warehouse_is_meant(folder: Path, mark: str) -> None:
    if mark == "settings":
        (folder / ".env").write_text("CALLTOUCH_SITE_IDS=1\n")
    elif mark == "warehouse":
        (folder / ".warehouse").mkdir()
    else:
        (folder / "workspace.yaml").touch()
        (folder / "dagster_project").mkdir()
    assert project_folder(is_setting) == folder
    assert load_settings().home == folder / ".warehouse"


def test_settings_of_something_else_mean_nothing(folder: Path) -> None:
    (folder / ".env").write_text("DATABASE_URL=postgresql://elsewhere\n")
    assert project_folder(is_setting) == ROOT


def test_a_relative_home_starts_from_the_file_that_gives_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("WAREHOUSE_HOME=data/home\n")
    assert load_settings().home == folder / "data" / "home"
    monkeypatch.setenv("WAREHOUSE_HOME", "mine")
    assert load_settings().home == folder / "within" / "deep" / "mine"


def test_a_named_file_is_read_instead(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("WAREHOUSE_RANGE_DAYS=5\n")
    (folder / "other").write_text("WAREHOUSE_RANGE_DAYS=6\nWAREHOUSE_HOME=there\n")
    monkeypatch.setenv("WAREHOUSE_ENV_FILE", str(folder / "other"))
    assert (load_settings().range_days, load_settings().home) == (6, folder / "there")
    monkeypatch.setenv("WAREHOUSE_ENV_FILE", "")
    assert settings_file(is_setting) is None
    assert load_settings().range_days == 366


def test_a_command_called_elsewhere_reads_the_settings_of_its_project(folder: Path) -> None:
    (folder / ".env").write_text("WAREHOUSE_START_DATE=nonsense\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WAREHOUSE_")}
    code = "from dagster_project.cli.main import main; main(['status'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"{folder / '.env'}, line 1" in done.stderr
    assert not (folder / ".warehouse").exists()
