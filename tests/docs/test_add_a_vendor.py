"""The page that adds a vendor: followed to the letter in a copy of the project, it makes a feed like any other."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

PAGE = (DOCS / "add-a-vendor.md").read_text()
FILES = re.compile(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHANGES = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COPIED = ("dagster_project", "sql", "tests", "tools", "docs", "bi", "benchmarks", "docker")
LIST = "dagster_project/feeds.py"
WAREHOUSE = ("-c", "from dagster_project.cli.main import main; main()")
PATIENCE = 500

# With what mypy has kept of the project it reads the copy in a few seconds, and in half a minute without.
pytestmark = pytest.mark.long(after_lint=True)


class Copy:
    """A copy of the project, with what the page adds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            ignored = shutil.ignore_patterns("__pycache__", "*.png", "node_modules")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        for file in (one for one in ROOT.iterdir() if one.is_file() and one.name != ".env"):
            shutil.copy2(file, folder)
        copy_databases(ROOT / ".mypy_cache", folder / ".mypy_cache")
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WAREHOUSE_", "DAGSTER_", "PYTEST_", "COV_"))
        } | {"PYTHONPATH": str(folder), "COLUMNS": "200"}

    def follow(self) -> None:
        """Write the page's files, and change the list of feeds as it says."""
        for path, text in FILES.findall(PAGE):
            file = self.folder / path
            assert not file.exists(), f"{path} exists already"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        for change in CHANGES.findall(PAGE):
            lines = change.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if not line.startswith("+"))
            after = "".join(line[1:] for line in lines if not line.startswith("-"))
            text = (self.folder / LIST).read_text()
            assert text.count(before) == 1, f"{LIST} has not what the page shows:\n{before}"
            (self.folder / LIST).write_text(text.replace(before, after))

    def python(self, *arguments: str, may_fail: bool = False) -> str:
        """What a command writes; it has to end well."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert may_fail or done.returncode == 0, (
            f"{arguments}:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        )
        return done.stdout

    def warehouse(self, *arguments: str) -> str:
        return self.python(*WAREHOUSE, *arguments)


def copy_databases(source: Path, target: Path) -> None:
    """Each whole, as of one moment, also while lint beside the tests still writes into it."""
    for path in source.rglob("*.db"):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=60)) as written,
            closing(sqlite3.connect(place)) as copied,
        ):
            written.backup(copied)


@pytest.fixture(scope="module")
def copy() -> Iterator[Copy]:
    folder = Path(tempfile.mkdtemp(prefix="warehouse-test-")).resolve()
    folder.chmod(0o711)  # under root Postgres runs as another user
    made = Copy(folder)
    made.follow()
    yield made
    shutil.rmtree(folder)


def test_it_is_written_as_the_project_is_and_its_documents_do_not_lag(copy: Copy) -> None:
    tools = Path(sys.executable).parent
    for tool, *arguments in (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("lint-imports", "--no-logo"),
        ("mypy",),
    ):
        done = subprocess.run(
            [tools / tool, *arguments],
            cwd=copy.folder,
            env=copy.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{tool}:\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
    copy.python("-m", "tools.documents")
    assert "`BEACON_TOKEN`" in (copy.folder / "docs" / "settings.md").read_text()
    assert "# BEACON_TIMEZONE=UTC" in (copy.folder / ".env.example").read_text()
    assert "warehouse.beacon_day" in (copy.folder / "docs" / "data-dictionary.md").read_text()


def test_its_own_tests_pass_and_none_is_missing(copy: Copy) -> None:
    told = copy.python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "beacon"),
        *("tests/test_mirror.py", "tests/vendors/beacon"),
    )
    assert int(re.findall(r"(\d+) passed", told)[0]) > 15
    assert "failed" not in told


def test_it_holds_under_every_fault_of_the_conformance_suite(copy: Copy) -> None:
    suite = "tests/scenarios/conformance"
    files = ("test_one_fault.py", "test_two_faults.py", "test_changed_fields.py")
    told = copy.python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "beacon"),
        *(f"{suite}/{file}" for file in files),
    )
    assert int(re.findall(r"(\d+) passed", told)[0]) > 25
    assert "failed" not in told


def test_it_loads_through_dagster_and_shows_wherever_feeds_do(copy: Copy) -> None:
    try:
        loaded = copy.warehouse("demo", "--days", "2")
        assert re.search(r"^beacon: 2 days, 2 inserted", loaded, re.MULTILINE)
        assert re.search(r"^ beacon +main ", copy.warehouse("--demo", "status"), re.MULTILINE)
        doctor = copy.python(*WAREHOUSE, "--demo", "doctor", may_fail=True)  # of the machine, too
        assert "beacon: the vendor accepts the credentials" in doctor
        assert 'warehouse_rows{account="main",source="beacon"} 2.0' in copy.warehouse(
            "--demo", "metrics"
        )
        asked = (
            *("-c", "SELECT count(attempted) FROM bi.messaging_day WHERE vendor = 'beacon'"),
            *("-c", "SELECT count(*) FROM bi.beacon_day WHERE sent = delivered + failed"),
        )
        assert copy.warehouse("--demo", "psql", "--", "-At", *asked).split() == ["2", "2"]
    finally:
        copy.warehouse("--demo", "stop")
