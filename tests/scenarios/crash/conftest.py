"""A warm process to be killed in parts, and a small played world in which every feed has days to load."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import SystemRandom

import pytest

from dagster_project.model.window import each_day
from dagster_project.sandbox.calltouch.vendor import Site
from dagster_project.sandbox.clock import Clock
from dagster_project.sandbox.server import Sandbox, running_sandbox
from tests.scenarios.crash.warm import Warm

NOW = datetime(2024, 5, 2, 9, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=26)
DAYS = list(each_day(date(2024, 4, 28), date(2024, 5, 1)))
"""Of two months, the last day not yet over ``EARLIER``."""


@pytest.fixture(scope="session")
def seed() -> int:
    """``CRASH_SEED=<seed>`` draws the same instants again."""
    return int(os.environ.get("CRASH_SEED") or SystemRandom().randrange(10**6))


@pytest.fixture(scope="package")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    process = Warm(tmp_path_factory.mktemp("warm") / "log")
    yield process
    process.close()


@pytest.fixture(scope="package")
def vendors() -> Iterator[Sandbox]:
    with running_sandbox(
        seed=11,
        clock=Clock(NOW),
        calltouch={
            "sites": [
                Site(501, "Первый", ordinary=2800, population=900),
                Site(502, "Второй", texts="clinic", ordinary=300, population=90),
            ],
            "requests_per_second": 0,
            "duplicate_share": 0.05,
            "late_share": 0.05,
            "vanishing_share": 0.05,
        },
        tellody={"purchase_every_hours": 2.5, "first_purchase": "2024-04-26"},
        trust={"companies": [11, 12], "quiet": []},
    ) as sandbox:
        yield sandbox
