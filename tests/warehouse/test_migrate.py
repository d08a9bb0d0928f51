"""Migrations: applied once, by one process at a time, and never changed afterwards."""

from __future__ import annotations

import pytest

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.migrate import migrate, pending


@pytest.mark.both_servers
def test_a_second_migration_finds_nothing_to_do(warehouse: Warehouse) -> None:
    assert pending(warehouse) == []
    assert migrate(warehouse) == []
