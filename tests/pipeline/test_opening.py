"""What must be right before a run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_project.pipeline import opening
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from tests.support.connections import note_connections
from tests.support.operating import calltouch_alone, feed_of, operating


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock="2024-06-20T09:00:00+03:00") as running:
        yield running


def test_all_that_must_be_right_is_asked_for_on_one_connection(
    warehouse_with_dagster: Warehouse,
    sandbox: Sandbox,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with operating(warehouse_with_dagster, scratch, monkeypatch, calltouch_alone(sandbox)):
        opened = note_connections(monkeypatch)
        with opening.open_pipeline(feed_of("calltouch")) as run:
            assert opened == ["ledger"]
            with run.connections.reading():
                assert opened == ["ledger"], "it is the run's own from then on"
