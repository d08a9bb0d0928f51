"""Postgres URLs: read without being quoted, and encrypted wherever they leave this machine."""

from __future__ import annotations

import traceback

import pytest

from dagster_project.errors import (
    SettingsError,
)
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.postgres_url import read_url


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hunter2@host/database",
        "postgresql://user:hunter2@host:port/database",
        "postgresql://user:hunter2@host",
        "hunter2",
        "postgresql://user:hunter2@host/database?no_such_option=1",
    ],
)
def test_an_unreadable_url_is_not_quoted(url: str) -> None:
    with pytest.raises(SettingsError, match="WAREHOUSE_URL is not") as caught:
        Warehouse.from_url(url)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "sslmode"),
    [
        ("postgresql://user@db.example.com/w", "verify-full"),
        ("postgresql://user@10.0.0.5/w", "verify-full"),
        ("postgresql://user@db.example.com/w?sslmode=disable", "disable"),
        ("postgresql://user@127.0.0.1/w", None),
        ("postgresql://user@localhost/w", None),
        ("postgresql://user@[::1]/w", None),
        ("postgresql:///w?host=/run/postgresql", None),
    ],
)
def test_tls_is_verified_wherever_the_way_leaves_this_machine(
    url: str, sslmode: str | None
) -> None:
    assert read_url(url).get("sslmode") == sslmode
