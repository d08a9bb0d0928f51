"""What vendors' clients store in the warehouse: limits and range proofs."""

from __future__ import annotations

from functools import cached_property

from dagster_project.warehouse.connection import Warehouse
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
