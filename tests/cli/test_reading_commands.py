"""A command that only reads makes no warehouse and changes none: it says what is missing, and what makes it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from dagster_project.cli.main import warehouse as command
from dagster_project.pipeline import services
from dagster_project.warehouse.schema import migration_files
from dagster_project.warehouse.schema.migrate import pending
from tests.support.operating import House

READING = (
    ("status",),
    ("status", "--json"),
    ("held",),
    ("rejects",),
    ("metrics",),
    ("doctor",),
    ("psql",),
    ("plan", "--from", "2024-01-01", "--to", "2024-01-02"),
    ("migrate", "--dry-run"),
)


@pytest.fixture
def no_warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing was made yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WAREHOUSE_URL", "")
    for cached in (services.settings, services.warehouse):
        cached.cache_clear()
    yield tmp_path
    for cached in (services.settings, services.warehouse):
        cached.cache_clear()


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_where_there_is_no_warehouse_none_is_made(
    no_warehouse: Path, arguments: tuple[str, ...]
) -> None:
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    said = f"{done.output} {done.exception}"
    assert str(no_warehouse / "home") in said
    if arguments[0] == "migrate":
        assert "would make" in said
    else:
        assert "`warehouse migrate` makes it" in said
    assert list(no_warehouse.iterdir()) == []


@pytest.mark.parametrize("arguments", [("status",), ("held",), ("rejects",)], ids=" ".join)
def test_a_schema_that_is_behind_is_told_of_and_left(
    house: House, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(migration_files.sql_folder(), tmp_path / "sql"))
    (folder / "9001_later.sql").write_text("CREATE TABLE ops.later (x integer);")
    monkeypatch.setattr(migration_files, "sql_folder", lambda: folder)

    done = CliRunner().invoke(command, arguments, standalone_mode=False)

    assert "behind by 1 migration" in str(done.exception)
    assert "run `warehouse migrate`" in str(done.exception)
    assert pending(house.warehouse) == ["9001_later"]
