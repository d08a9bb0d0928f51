"""What vendors' clients store in the warehouse: limits, range proofs, and the sizes of earlier windows."""

from __future__ import annotations

from functools import cached_property

from dagster_project.model.window import Window
from dagster_project.warehouse.connection import PATIENCE_SECONDS, Warehouse
from dagster_project.warehouse.ledger import extractions
from dagster_project.warehouse.ledger.budget import Budget
from dagster_project.warehouse.ledger.range_proofs import RangeProofs


class WarehouseStore:
    """The ``VendorStore`` of a warehouse; it keeps no connection itself."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def limits(self) -> Budget:
        return Budget(self._warehouse)

    @cached_property
    def proofs(self) -> RangeProofs:
        return RangeProofs(self._warehouse)

    def expected_pages(self, window: Window, rows_a_page: int) -> int:
        with self._warehouse.connect(
            what="plan", autocommit=True, patience=PATIENCE_SECONDS
        ) as connection:
            return extractions.expected_pages(connection, window, rows_a_page)
