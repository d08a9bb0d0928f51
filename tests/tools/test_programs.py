"""Programs that tests need: which package brings each, and what is said where one is absent."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import programs
from tests.support.programs import PACKAGES, is_ci, missed, need

ROOT = Path(__file__).resolve().parents[2]
ABSENT = "a-program-that-is-nowhere"


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> str:
    """A program of this name, which no package here brought."""
    monkeypatch.setattr(programs, "PACKAGES", {**PACKAGES, ABSENT: "its-package"})
    return ABSENT


def test_what_is_here_is_found() -> None:
    assert [Path(path).name for path in need("unshare", "useradd")] == ["unshare", "useradd"]


def test_an_absent_program_skips_its_test_and_names_the_package(
    absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(
        pytest.skip.Exception, match="Debian's package its-package is not installed"
    ):
        need("unshare", absent)


def test_where_ci_is_set_it_fails_it(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="its-package"):
        need(absent)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("1", True), ("", False), ("false", False), ("0", False)],
)
def test_ci_is_what_runners_set(value: str, expected: bool) -> None:
    assert is_ci({"CI": value}) is expected
    assert not is_ci({})


def test_skipped_tests_are_counted_by_package() -> None:
    reasons = [
        "Skipped: nginx: Debian's package nginx-light is not installed",
        "Skipped: chromium: Debian's package chromium is not installed",
        "Skipped: nginx: Debian's package nginx-light is not installed",
        "Skipped: mounting a small file system takes root",
    ]
    assert missed(reasons) == {"chromium": 1, "nginx-light": 2}


def run_tests(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A run of two tests under this project's summary: one needs a program that is absent."""
    (folder / "conftest.py").write_text(
        "from tests.conftest import pytest_terminal_summary\n"
        "import tests.support.programs as programs\n"
        "programs.find = lambda name: None\n"
    )
    (folder / "test_it.py").write_text(
        "from tests.support.programs import need\n"
        "def test_it(): need('age')\n"
        "def test_other(): pass\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        folder,
        folder,
    ]
    return subprocess.run(
        command,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "HOME": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_the_end_of_a_run_says_what_was_skipped_and_what_would_run_it(tmp_path: Path) -> None:
    done = run_tests(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "Tests skipped for want of Debian's packages: age (1)\n" in done.stdout
    assert "To run them: apt-get install age\n" in done.stdout
    assert "1 passed, 1 skipped" in done.stdout


def test_in_ci_such_a_run_fails(tmp_path: Path) -> None:
    done = run_tests(tmp_path, CI="true")
    assert done.returncode == 1, done.stdout
    assert "age: Debian's package age is not installed (.ci/run installs it)" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_no_test_asks_for_a_program_in_another_way() -> None:
    """So that none is skipped without naming the package that would run it."""
    own = {Path(__file__), Path(programs.__file__)}
    for file in set((ROOT / "tests").rglob("*.py")) - own:
        assert not re.search(r"skip\([^)]*not installed", file.read_text()), file


class Machine:
    """``.ci/run`` in a folder: the programs that it calls are played, and note what they saw."""

    def __init__(self, folder: Path, absent: str, apt_get: str | None = "exit 0") -> None:
        self.folder, self.policy, self.log = folder, folder / "policy-rc.d", folder / "log"
        (folder / "bin").mkdir()
        (folder / ".ci").mkdir()
        script = (ROOT / ".ci" / "run").read_text()
        assert script.count("/usr/sbin/policy-rc.d") == 1
        (folder / ".ci" / "run").write_text(
            script.replace("/usr/sbin/policy-rc.d", str(self.policy))
        )
        for name in ("bash", "sh", "dirname", "mktemp", "cp", "chmod", "mv", "rm", "cat"):
            (folder / "bin" / name).symlink_to(str(shutil.which(name)))
        self.plays("python3", f"printf '{absent}'")
        self.plays("id", "echo 0")
        self.plays("make", f'echo "make $* with CI=$CI" >> {self.log}')
        if apt_get is not None:
            self.plays("apt-get", f'echo "apt-get $1" >> {self.log}\n{apt_get}')

    def plays(self, name: str, script: str) -> None:
        (self.folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / "bin" / name).chmod(0o755)

    def run(self) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", str(self.folder / ".ci" / "run")],
            env={"PATH": str(self.folder / "bin"), "TMPDIR": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def called(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def test_ci_installs_nothing_where_nothing_is_absent(tmp_path: Path) -> None:
    machine = Machine(tmp_path, absent="")
    assert machine.run()[0] == 0
    assert machine.called == ["make test with CI=true"]


NO_SUPERSET = "make bi-test was not run: Superset is not installed here (make bi)\n"


@pytest.mark.parametrize("before", ["#!/bin/sh\nexit 0\n", None])
def test_ci_installs_what_is_absent_and_starts_no_service(
    tmp_path: Path, before: str | None
) -> None:
    machine = Machine(
        tmp_path, absent="age\\nchromium\\n", apt_get=f"cp {tmp_path}/policy-rc.d {tmp_path}/seen"
    )
    if before is not None:
        machine.policy.write_text(before)
    status, said = machine.run()
    assert (status, said) == (0, "installing Debian's packages: age chromium\n" + NO_SUPERSET)
    assert machine.called == ["apt-get install", "make test with CI=true"]
    assert "exit 101" in (tmp_path / "seen").read_text()
    assert (machine.policy.read_text() if machine.policy.exists() else None) == before
    assert not list(tmp_path.glob("policy-rc.d.*"))


def test_ci_fetches_the_lists_of_packages_where_they_are_too_old(tmp_path: Path) -> None:
    fetched = tmp_path / "fetched"
    apt_get = f'if [ "$1" = update ]; then : > {fetched}; else [ -e {fetched} ]; fi'
    machine = Machine(tmp_path, absent="age", apt_get=apt_get)
    assert machine.run()[0] == 0
    assert machine.called == [
        "apt-get install",
        "apt-get update",
        "apt-get install",
        "make test with CI=true",
    ]


def test_ci_says_so_where_packages_cannot_be_installed(tmp_path: Path) -> None:
    apt_get = 'echo "E: no package age"; [ "$1" = update ]'
    machine = Machine(tmp_path, absent="age", apt_get=apt_get)
    machine.policy.write_text("as it was")
    status, said = machine.run()
    assert status == 2
    assert "E: no package age\nDebian's packages cannot be installed; install them by hand" in said
    assert machine.policy.read_text() == "as it was"
    assert machine.called[-1] == "apt-get install"


def test_ci_says_so_where_it_is_not_root_or_not_on_debian(tmp_path: Path) -> None:
    machine = Machine(tmp_path, absent="age")
    machine.plays("id", "echo 1000")
    status, said = machine.run()
    assert status == 2
    assert (
        "only root may install them; run as root, or install them by hand: apt-get install age"
        in said
    )
    (tmp_path / "bin" / "apt-get").unlink()
    status, said = machine.run()
    assert status == 2
    assert "this is no Debian" in said
    assert machine.called == []
