"""Stores of limits for tests, each with a connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.budget import Budget


@contextmanager
def budgets_of(warehouse: Warehouse) -> Iterator[Callable[[], Budget]]:
    """Makes stores with a connection each, as so many processes would have."""
    opened: list[Budget] = []

    def fresh() -> Budget:
        opened.append(Budget(warehouse, reconnect_seconds=10))
        return opened[-1]

    yield fresh
    for budget in opened:
        budget.close()
