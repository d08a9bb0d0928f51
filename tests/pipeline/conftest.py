"""A played Calltouch of two sites with some dozens of SMS a day, and the nights of the orchestration."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dagster_project.sandbox.calltouch.site import Site
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.orchestration.conftest import module_nights, mornings, night_vendors, nights
from tests.support.loading import OTHER, QUIET, Loading
from tests.support.operating import ALLOWING_FOR_ITS_LATENESS

__all__ = ["loading", "module_nights", "mornings", "night_vendors", "nights", "vendors"]


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sandbox]:
    sites = [Site(int(QUIET), ordinary=40), Site(int(OTHER), ordinary=20)]
    calltouch = {"sites": sites, **ALLOWING_FOR_ITS_LATENESS}
    with running_sandbox(clock="2024-06-20T12:00:00+03:00", calltouch=calltouch) as sandbox:
        yield sandbox


@pytest.fixture
def loading(warehouse: Warehouse, vendors: Sandbox) -> Loading:
    return Loading(warehouse, vendors)
