"""The set-up installs by uv where it can, by pip where not, and never without hashes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tools.install import LOCK, NOT_IMPORTED, entry_of, install, uv_settings

NOTES_ITS_CALL = '#!/bin/sh\necho "{name} $*" >> "{folder}/calls"\nexit {status}\n'


def program(folder: Path, name: str, status: int = 0) -> str:
    """A program that only notes how it was called."""
    path = folder / name
    path.write_text(NOTES_ITS_CALL.format(name=name, folder=folder, status=status))
    path.chmod(0o700)
    return str(path)


def calls(folder: Path) -> list[str]:
    made = (folder / "calls").read_text().splitlines()
    return [call for call in made if " config list" not in call]


def test_uv_installs_the_lock_with_its_hashes_and_then_the_project(tmp_path: Path) -> None:
    install(program(tmp_path, "python"), program(tmp_path, "uv"))
    lock, project = calls(tmp_path)
    assert lock.startswith("uv pip install")
    assert f"--require-hashes -r {LOCK}" in lock
    assert project.startswith("uv pip install")
    assert "--no-deps -e " in project


def test_where_uv_fails_pip_does_all_of_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    install(program(tmp_path, "python"), program(tmp_path, "uv", status=1))
    _, lock, project = calls(tmp_path)
    assert lock.startswith("python -m pip install")
    assert f"--require-hashes -r {LOCK}" in lock
    assert "--no-deps -e " in project
    assert "pip does" in capfd.readouterr().err


def test_pip_says_how_many_packages_it_has_fetched_and_how_long_it_takes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.install.LOG_EVERY_SECONDS", 0.2)
    python = tmp_path / "python"
    script = (
        'case "$*" in *config*) exit 0;; esac\n'
        "echo Collecting a==1; echo Collecting b==2; sleep 0.7;"
        " echo Installing collected packages: a, b; sleep 0.7"
    )
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o700)
    install(str(python), program(tmp_path, "uv", status=1))
    told = capfd.readouterr().err
    pins = len(re.findall(r"^\S+==", LOCK.read_text(), re.MULTILINE))
    assert pins > 50
    assert re.search(rf"pip: 2 of {pins} packages fetched, \d+ s", told)
    assert re.search(rf"pip: unpacking {pins} packages, \d+ s", told)
    assert max(map(len, told.splitlines())) <= 80


def test_where_pip_fails_as_well_the_set_up_fails(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        install(program(tmp_path, "python", status=1), program(tmp_path, "uv", status=1))


def test_uv_asks_the_index_that_pip_is_configured_with(tmp_path: Path) -> None:
    python = tmp_path / "python"
    lines = "global.index-url='https://packages.example/simple'\n:env:.cert='/etc/ours.pem'"
    python.write_text(f'#!/bin/sh\necho "{lines}"\n')
    python.chmod(0o700)
    assert uv_settings((str(python), "-m", "pip")) == {
        "UV_DEFAULT_INDEX": "https://packages.example/simple",
        "SSL_CERT_FILE": "/etc/ours.pem",
    }


def test_the_lock_pins_uv_with_hashes_as_any_package() -> None:
    entry = entry_of(LOCK.read_text(), "uv")
    assert entry.startswith("uv==")
    assert "--hash=sha256:" in entry
    assert len(re.findall(r"^\S+==", entry, re.MULTILINE)) == 1


def test_an_entry_that_is_last_ends_with_the_lock() -> None:
    assert entry_of("a==1 \\\n    --hash=sha256:0\nuv==2 \\\n    --hash=sha256:1\n", "uv") == (
        "uv==2 \\\n    --hash=sha256:1\n"
    )
    with pytest.raises(ValueError, match="uv is not in the lock"):
        entry_of("a==1 \\\n    --hash=sha256:0\n", "uv")


@pytest.mark.parametrize(
    ("path", "is_left_out"),
    [
        ("/home/tests/.venv/lib/python3.11/site-packages/dagster/__init__.py", False),
        ("/home/.venv/lib/python3.11/site-packages/pandas/tests/test_x.py", True),
        ("/home/.venv/lib/python3.11/site-packages/phonenumbers/data/region_RU.py", False),
        ("/home/.venv/lib/python3.11/site-packages/phonenumbers/geodata/data0.py", True),
    ],
)
def test_only_what_nobody_imports_is_left_uncompiled(path: str, is_left_out: bool) -> None:
    assert (re.search(NOT_IMPORTED, path) is not None) is is_left_out
