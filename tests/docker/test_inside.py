"""What a person runs inside the stack's service ``code``, signed in as the services are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_project.warehouse.connection import APP, DAGSTER, Warehouse
from dagster_project.warehouse.postgres_url import write_url
from tests.docker.conftest import ROOT

Inside = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def inside(warehouse_with_dagster: Warehouse, tmp_path: Path) -> Inside:
    """Runs ``warehouse`` with the settings of the service, as files, and no administrator's among them."""
    found = warehouse_with_dagster
    place = {name: found.place[name] for name in ("host", "port")}
    for file, login, database in (
        ("warehouse_url", APP, found.database),
        ("dagster_url", DAGSTER, found.dagster_database),
    ):
        password = found.logins[login].get_secret_value()
        (tmp_path / file).write_text(write_url("postgresql", place, login, password, database))
    (tmp_path / "pii_hash_key").write_text("a key of the tests, long enough")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "WAREHOUSE_HOME": str(tmp_path / "home"),
        "WAREHOUSE_URL_FILE": str(tmp_path / "warehouse_url"),
        "DAGSTER_URL_FILE": str(tmp_path / "dagster_url"),
        "PII_HASH_KEY_FILE": str(tmp_path / "pii_hash_key"),
    }

    def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / ".venv" / "bin" / "warehouse"), *words],
            cwd=tmp_path,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize(
    "words",
    ["status", "forget --export -", "forget --again", "metrics", "forget"],
)
def test_it_works_as_the_services_login(inside: Inside, words: str) -> None:
    done = inside(*words.split(), given="+7 920 123-45-67\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_schema_that_waits_for_a_migration_is_told_of(
    inside: Inside, warehouse_with_dagster: Warehouse
) -> None:
    with warehouse_with_dagster.connect_admin() as connection:
        connection.execute("DELETE FROM ops.migration WHERE revision >= '0111'")
    done = inside("status")
    assert done.returncode == 2
    assert "run `warehouse migrate`" in done.stderr
