"""Which connections to the warehouse are opened."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_project.warehouse.connection import Warehouse


def note_connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each connection is for that is opened from now on, in a list that grows."""
    connect = Warehouse.connect
    opened: list[str] = []

    def noted(self: Warehouse, **how: Any) -> Any:
        opened.append(how["what"])
        return connect(self, **how)

    monkeypatch.setattr(Warehouse, "connect", noted)
    return opened
