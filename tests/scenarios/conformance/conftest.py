"""The suite that every feed of the list must pass: one played world, one warehouse, short waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dagster_project.feeds import FEEDS
from dagster_project.sandbox.clock import Clock
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.transport import rate_limiter, session
from dagster_project.transport.connection import Timeouts
from dagster_project.transport.session import RetryPolicy
from tests.scenarios.conformance.entry import NOW
from tests.scenarios.conformance.played import PLAYED, WORLD
from tests.scenarios.conformance.rig import Rig

if TYPE_CHECKING:
    from tests.conftest import PostgresServer

FEED_NAMES = [feed.source for feed in FEEDS]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    named = any(
        "rig" in str(mark.args[0]) for mark in metafunc.definition.iter_markers("parametrize")
    )
    if "rig" in metafunc.fixturenames and not named:
        metafunc.parametrize("rig", FEED_NAMES, indirect=True)


@pytest.fixture(scope="package")
def played_world() -> Iterator[Sandbox]:
    with running_sandbox(seed=7, clock=Clock(NOW), **WORLD) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, int], None]:
    """Waits as short as a test can bear; called, it sets how long an answer may take, and how often."""
    policy = RetryPolicy(first_wait=0.01, longest_wait=0.05, longest_retry_after=0.2)

    def wait_for_answers(seconds: float, attempts: int) -> None:
        timeouts = Timeouts(connect=5.0, read=seconds, total=2 * seconds)
        retry = replace(policy, attempts=attempts)
        monkeypatch.setattr(session, "Timeouts", lambda: timeouts)
        monkeypatch.setattr(session, "RetryPolicy", lambda: retry)

    monkeypatch.setattr(rate_limiter, "SHORTEST_HOLD", 0.05)
    wait_for_answers(5.0, 4)
    return wait_for_answers


@pytest.fixture(scope="package")
def rigs(server: PostgresServer, played_world: Sandbox) -> Iterator[Callable[[str], Rig]]:
    """Each feed's rig, made once: a trial begins by making its warehouse true to the past."""
    made: dict[str, Rig] = {}

    def of(source: str) -> Rig:
        if source not in made:
            [feed] = [feed for feed in FEEDS if feed.source == source]
            assert source in PLAYED, (
                f"{source} is in the list of feeds: an entry_<vendor>.py beside this file has to say how its"
                " vendor is played and what its table should hold"
            )
            made[source] = Rig(feed, played_world, server.fresh())
        return made[source]

    yield of
    for rig in made.values():
        server.drop(rig.warehouse)


@pytest.fixture
def rig(request: pytest.FixtureRequest, rigs: Callable[[str], Rig]) -> Rig:
    """The feed of this name between its played vendor and a warehouse."""
    source: str = request.param
    return rigs(source)


@pytest.fixture
def vendor_config(played_world: Sandbox) -> Iterator[Callable[..., Any]]:
    """Sets fields of a vendor's configuration for this test."""
    before: list[tuple[Any, dict[str, Any]]] = []

    def change(vendor: str, **fields: Any) -> None:
        config = played_world.world.vendors[vendor].config
        before.append((config, {name: getattr(config, name) for name in fields}))
        for name, value in fields.items():
            setattr(config, name, value)

    yield change
    for config, fields in reversed(before):
        for name, value in fields.items():
            setattr(config, name, value)
