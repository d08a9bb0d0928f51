"""What a process works on: one warehouse, with today's schema or not at all."""

from __future__ import annotations

import pytest

from dagster_project.errors import SettingsError
from dagster_project.orchestration.storage import make_storage
from dagster_project.pipeline import services
from dagster_project.warehouse.connection import Warehouse


def test_a_server_of_somebody_elses_that_is_behind_is_not_migrated_unasked(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "warehouse", lambda: warehouse)
    monkeypatch.setattr(services, "pending", lambda found: ["0099_later"])
    monkeypatch.setattr(Warehouse, "is_embedded", False)
    with pytest.raises(SettingsError, match="behind by 1 ") as refused:
        services.ready_warehouse(make_storage)
    assert "warehouse migrate" in str(refused.value)
    monkeypatch.setattr(services, "pending", lambda found: [])
    assert services.ready_warehouse(make_storage) is warehouse


def test_a_fit_server_is_let_in_and_a_clock_that_is_off_is_told(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with warehouse.connect(autocommit=True) as connection:
        services.refuse_unfit_server(connection)
        assert caplog.messages == []
        monkeypatch.setattr(services, "clock_warning", lambda connection: "the clocks differ")
        services.refuse_unfit_server(connection)
    assert caplog.messages == ["the clocks differ"]
