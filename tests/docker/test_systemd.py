"""The systemd units: they are units, and start the programs that the page says."""

from __future__ import annotations

import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from tests.docker.conftest import DOCKER, ROOT
from tests.support.programs import need

UNITS = sorted((DOCKER / "systemd").glob("*.service"))
INSTALLED = "/opt/messaging-warehouse"
PAGE = (ROOT / "docs" / "own-postgres.md").read_text()

each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)


def read(unit: Path) -> RawConfigParser:
    """A unit without what stands in it more than once: Environment."""
    parser = RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return parser


def test_there_are_a_daemon_and_a_webserver() -> None:
    names = [unit.stem for unit in UNITS]
    assert names == ["messaging-warehouse-daemon", "messaging-warehouse-webserver"]
    assert all(name in PAGE for name in names)


@each_unit
def test_systemd_finds_nothing_wrong_with_it(unit: Path, tmp_path: Path) -> None:
    (analyze,) = need("systemd-analyze")
    text = unit.read_text()
    assert f"\nExecStart={INSTALLED}/.venv/bin/warehouse exec -- " in text
    # systemd looks for the program; here it stands elsewhere.
    here = tmp_path / unit.name
    here.write_text(text.replace(f"{INSTALLED}/.venv/bin", str(Path(sys.executable).parent)))
    done = subprocess.run([analyze, "verify", here], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@each_unit
def test_what_it_names_exists_in_the_project(unit: Path) -> None:
    text = unit.read_text()
    named = {word for word in text.replace("=", " ").split() if word.startswith(f"{INSTALLED}/")}
    for path in (ROOT / Path(word).relative_to(INSTALLED) for word in named if ":" not in word):
        assert path.exists() or ".venv" in path.parts, path
    assert "--workspace=workspace.yaml" in text
    assert (ROOT / "workspace.yaml").is_file()


@each_unit
def test_it_is_an_ordinary_user_who_writes_in_one_folder_and_is_started_again(unit: Path) -> None:
    service = read(unit)["Service"]
    assert service["User"] == "warehouse"
    assert (service["Restart"], service["NoNewPrivileges"]) == ("always", "yes")
    assert service["ProtectSystem"] == "strict"
    assert f"WAREHOUSE_HOME=/var/lib/{service['StateDirectory']}/" in PAGE


def test_the_ui_listens_on_loopback() -> None:
    unit = DOCKER / "systemd" / "messaging-warehouse-webserver.service"
    assert "--host=127.0.0.1" in read(unit)["Service"]["ExecStart"]
