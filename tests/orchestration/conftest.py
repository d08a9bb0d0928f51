"""Played vendors and the product over them: one house a test, or nights that every test begins anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagster_project.sandbox.calltouch.site import Site
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.conftest import PostgresServer
from tests.support.nights import BUSY, NIGHT, ONE_NIGHT, OTHER, QUIET, Nights, PlayedClock
from tests.support.operating import ALLOWING_FOR_ITS_LATENESS, House, operating
from tests.support.reconciling import MORNING


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sandbox]:
    with running_sandbox(clock="2024-05-20T12:00:00+03:00") as sandbox:
        yield sandbox


@pytest.fixture
def house(
    warehouse_with_dagster: Warehouse,
    vendors: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    """The product over the played vendors, with nothing loaded."""
    given = vendors.settings_env()
    with operating(warehouse_with_dagster, scratch, monkeypatch, given) as running:
        yield running


@pytest.fixture(scope="module")
def night_vendors() -> Iterator[Sandbox]:
    full = {str(NIGHT.date() + n * ONE_NIGHT): 10_000 for n in range(-10, 10)}
    sites = [Site(int(QUIET), ordinary=30), Site(int(OTHER), ordinary=20)]
    sites.append(Site(int(BUSY), counts=full))
    calltouch: dict[str, Any] = {"sites": sites, "late_share": 0, "vanishing_share": 0}
    calltouch |= {"ugly_share": 0, **ALLOWING_FOR_ITS_LATENESS}
    with running_sandbox(clock=NIGHT, calltouch=calltouch) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def module_nights(
    server: PostgresServer, night_vendors: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nights]:
    warehouse = server.fresh()
    server.add_dagster(warehouse)
    folder = tmp_path_factory.mktemp("nights")
    with pytest.MonkeyPatch.context() as patch:
        played = PlayedClock(folder)
        played.go(NIGHT, night_vendors)
        given = {**night_vendors.settings_env(), **played.setting, "CALLTOUCH_SITE_IDS": QUIET}
        with operating(warehouse, folder, patch, given) as house:
            yield Nights(house, night_vendors, played)
    server.drop(warehouse)


@pytest.fixture
def nights(module_nights: Nights) -> Nights:
    """The first night of an empty warehouse."""
    module_nights.begin_anew(NIGHT)
    return module_nights


@pytest.fixture
def mornings(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    """A morning in May; what tests change of the vendors is undone."""
    nights.settings(monkeypatch, TRUST_COMPANY_IDS="11")
    world = nights.sandbox.world
    nights.go(MORNING)
    yield nights
    world.calltouch.redraw(undo_changes=True)
    world.trust.config.unknown_statistics = {}
