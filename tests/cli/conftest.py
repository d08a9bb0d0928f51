"""An installation with a person in two loaded days, for commands that erase people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.conftest import PostgresServer
from tests.orchestration.conftest import module_nights, night_vendors, nights
from tests.support.erasing import a_day, traces
from tests.support.operating import SITE, House, calltouch_alone, days_back, operating

__all__ = ["module_nights", "night_vendors", "nights"]

NEW = "another key of the tests, long enough too"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock=datetime.now(UTC)) as running:
        yield running


def settings(sandbox: Sandbox) -> dict[str, str]:
    return calltouch_alone(sandbox, PII_HASH_KEY_NEW=NEW)


@pytest.fixture(scope="module")
def loaded_days(
    server: PostgresServer, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Warehouse, list[date]]]:
    """Two days with the person in them, loaded once for a file of tests; each test gets a copy."""
    origin = server.fresh()
    server.add_dagster(origin)
    home = tmp_path_factory.mktemp("loaded")
    with (
        pytest.MonkeyPatch.context() as patch,
        operating(origin, home, patch, settings(sandbox)) as house,
    ):
        found = days_back(2)
        tell(sandbox, found)
        assert house.refresh(found), house.failure()
        assert traces(house), "before an erasure the number is there to be found"
    sandbox.world.calltouch.redraw(undo_changes=True)
    server.seal(origin)
    yield origin, found
    server.drop(origin)


def tell(sandbox: Sandbox, days: list[date]) -> None:
    for day in days:
        sandbox.world.calltouch.replace_day(int(SITE), day, a_day(day))


@pytest.fixture
def house(
    request: pytest.FixtureRequest,
    server: PostgresServer,
    sandbox: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    """On an empty warehouse, or on a copy of the one with ``days`` where a test asks for them."""
    if "loaded_days" in request.fixturenames:
        warehouse = server.loaded(request.getfixturevalue("loaded_days")[0])
    else:
        warehouse = server.fresh()
        server.add_dagster(warehouse)
    with operating(warehouse, scratch, monkeypatch, settings(sandbox)) as running:
        yield running
    sandbox.world.calltouch.redraw(undo_changes=True)
    server.drop(warehouse)


@pytest.fixture
def days(loaded_days: tuple[Warehouse, list[date]], house: House, sandbox: Sandbox) -> list[date]:
    """Two loaded days with the person in them."""
    tell(sandbox, loaded_days[1])
    return loaded_days[1]
