"""A sandbox standing at noon of 1 May 2024, Moscow time, and a client that asks it as a user would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from typing import Any

import pytest
import requests

from dagster_project.sandbox.calltouch.vendor import Config, demo_sites
from dagster_project.sandbox.clock import parse_instant
from dagster_project.sandbox.server import Sandbox, running_sandbox
from dagster_project.sandbox.world import change_config

NOON = "2024-05-01T12:00:00+03:00"
BIG, SMALL = 40101, 40202
UNLIMITED = {"requests_per_second": 0}
PATH = "/lead-service/v1/api/sms-to-clients/result"


class CalltouchUser:
    """Speaks the documented method; ``pages`` reads a window whole."""

    def __init__(self, sandbox: Sandbox, site: int = SMALL) -> None:
        self.url = sandbox.url + PATH
        self.session = requests.Session()
        self.session.headers["Access-Token"] = sandbox.world.calltouch.config.token
        self.session.headers["SiteId"] = str(site)

    def post(self, body: Any, timeout: float = 10, **headers: str | None) -> requests.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.post(self.url, json=body, headers=names, timeout=timeout)

    def ask(self, first: date, last: date | None = None, page: int = 1) -> requests.Response:
        return self.post(window(first, last, page))

    def data(self, first: date, last: date | None = None, page: int = 1) -> dict[str, Any]:
        answer = self.ask(first, last, page)
        answer.raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data

    def pages(self, first: date, last: date | None = None) -> list[dict[str, Any]]:
        page = self.data(first, last)
        rows = list(page["smsDetails"])
        while len(rows) < page["totalCountSms"]:
            page = self.data(first, last, page["pageOfResult"] + 1)
            assert page["smsDetails"], "a page within the total is empty"
            rows += page["smsDetails"]
        return rows


def window(first: date, last: date | None = None, page: int = 1) -> dict[str, Any]:
    body: dict[str, Any] = {
        "dateFrom": f"{first:%d-%m-%Y} 00:00:00",
        "dateTo": f"{last or first:%d-%m-%Y} 23:59:59",
    }
    return body | ({"pageOfResult": page} if page > 1 else {})


def multiset(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(sorted(row.items())) for row in rows)


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[Sandbox]:
    with running_sandbox(clock=NOON, calltouch=UNLIMITED) as running:
        yield running


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    """As if freshly started; its days need not be drawn again unless the last test changed them."""
    yield shared_sandbox
    world = shared_sandbox.world
    world.clock.set(parse_instant(NOON), running=False)
    shared_sandbox.begin_anew()
    change_config(world.calltouch.config, asdict(Config()) | {"sites": demo_sites()} | UNLIMITED)
    if world.calltouch.changed:
        world.calltouch.redraw(undo_changes=True)


@pytest.fixture
def user(sandbox: Sandbox) -> CalltouchUser:
    return CalltouchUser(sandbox)


@pytest.fixture
def big_user(sandbox: Sandbox) -> CalltouchUser:
    return CalltouchUser(sandbox, BIG)
