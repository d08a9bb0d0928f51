"""Existing rows read by COPY: however the stream is cut, each row is there with its own values."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import numpy as np
import pytest

from dagster_project.model.window import day_number
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.warehouse.connection import Warehouse
from dagster_project.warehouse.load import existing_rows
from dagster_project.warehouse.load.existing_rows import read_existing_rows
from dagster_project.warehouse.load.row_index import spread_day
from tests.pipeline.reloading import house_of
from tests.support.loading import CALLTOUCH, Loading
from tests.vendors.calltouch.played import DAY, WINDOW, sms

ROWS = 35


@pytest.fixture(scope="module")
def vendors() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.mark.parametrize("bytes_of_a_part", [1, 100, 1 << 20])
def test_rows_are_read_with_their_own_values_part_by_part(
    warehouse: Warehouse, vendors: Sandbox, monkeypatch: pytest.MonkeyPatch, bytes_of_a_part: int
) -> None:
    loading = Loading(warehouse, vendors)
    monkeypatch.setattr(existing_rows, "_FLUSH_BYTES", bytes_of_a_part)
    with house_of(loading, [sms(n) for n in range(ROWS)] + [sms(3)]) as house:
        house.load()
    with loading.warehouse.connect_admin() as connection:
        found = read_existing_rows(connection, CALLTOUCH.table, WINDOW, ())
        nothing = read_existing_rows(connection, CALLTOUCH.table, WINDOW, [DAY])
        stored = connection.execute(
            "SELECT sms_key, content_hash, occurrence FROM warehouse.calltouch_sms"
        ).fetchall()
    exact = [found.identities.exact(at) for at in range(len(found))]
    keys = [UUID(int=(high ^ spread_day(day_number(DAY))) << 64 | low) for high, low in exact]
    hashes = found.hashes.view(np.int64).tolist()
    told = zip(keys, hashes, found.occurrences.tolist(), strict=True)
    assert sorted(told) == sorted(stored)
    assert set(found.days.tolist()) == {day_number(DAY)}
    assert len(nothing) == 0
