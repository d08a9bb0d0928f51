"""Whether a server can hold a warehouse."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dagster_project.errors import SettingsError
from dagster_project.warehouse import fitness
from dagster_project.warehouse.connection import Warehouse


def test_a_server_of_utf_8_that_takes_writes_is_fit(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        fitness.refuse_unfit(connection)
        fitness.try_to_write(connection)
        found = connection.execute("SELECT to_regclass('disk_probe')").fetchone()
        assert found == (None,), "what was written is taken back"


def test_another_encoding_is_refused_by_name() -> None:
    info = SimpleNamespace(parameter_status=lambda name: "SQL_ASCII", dbname="old")
    with pytest.raises(SettingsError, match="database old has the encoding SQL_ASCII"):
        fitness.refuse_other_encodings(SimpleNamespace(info=info))  # type: ignore[arg-type]


@pytest.mark.parametrize(("ahead", "which"), [(3600.0, "behind"), (-3600.0, "ahead of")])
def test_clocks_that_differ_by_more_than_a_minute_are_told(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, ahead: float, which: str
) -> None:
    real = fitness.time.time
    with warehouse.connect(autocommit=True) as connection:
        assert fitness.clock_warning(connection) is None
        shifted = SimpleNamespace(time=lambda: real() + ahead)
        monkeypatch.setattr(fitness, "time", shifted)
        warning = fitness.clock_warning(connection)
    assert warning is not None
    assert which in warning
    assert "NTP" in warning
