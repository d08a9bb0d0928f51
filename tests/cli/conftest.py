"""An installation with a person in two loaded days, for commands that erase people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.orchestration.conftest import module_nights, night_vendors, nights
from tests.support.erasing import a_day, traces
from tests.support.operating import SITE, House, calltouch_alone, days_back, operating

__all__ = ["module_nights", "night_vendors", "nights"]

NEW = "another key of the tests, long enough too"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock="now") as running:
        yield running


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse,
    sandbox: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    given = calltouch_alone(sandbox, PII_HASH_KEY_NEW=NEW)
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        yield running
    sandbox.world.calltouch.redraw(undo_changes=True)


@pytest.fixture
def days(house: House, sandbox: Sandbox) -> list[date]:
    """Two loaded days with the person in them."""
    found = days_back(2)
    for day in found:
        sandbox.world.calltouch.replace_day(int(SITE), day, a_day(day))
    assert house.refresh(found), house.failure()
    assert traces(house), "before an erasure the number is there to be found"
    return found
