"""What vendors' clients store in the warehouse: limits and range proofs."""

from __future__ import annotations

from functools import cached_property

from dagster_project.model.range_proof import RangeProof
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.ledger.budget import Budget
from dagster_project.warehouse.ledger.range_proofs import Lend, RangeProofs


class WarehouseStore:
    """The ``VendorStore`` of a warehouse; it keeps no connection itself.

    ``lend``: lends the connections that proofs are read and written with; None: each time a new one.
    """

    def __init__(self, warehouse: Warehouse, lend: Lend | None = None) -> None:
        self._warehouse, self._lend = warehouse, lend

    def limits(self) -> Budget:
        return Budget(self._warehouse)

    @cached_property
    def proofs(self) -> RangeProofs:
        return RangeProofs(self._warehouse, self._lend)


class OneLook(WarehouseStore):
    """The same for one look at many accounts: what is known of a server is read once."""

    @cached_property
    def proofs(self) -> RangeProofs:
        return _ProofsReadOnce(self._warehouse, self._lend)


class _ProofsReadOnce(RangeProofs):
    def __init__(self, warehouse: Warehouse, lend: Lend | None = None) -> None:
        super().__init__(warehouse, lend)
        self._known: dict[tuple[str, str, str], list[RangeProof]] = {}

    def load(self, source: str, server: str, params: str) -> list[RangeProof]:
        key = source, server, params
        if key not in self._known:
            self._known[key] = super().load(*key)
        return self._known[key]
