"""The world that the played vendors share: seed, clock, faults, counters, and the vendors.

Everything a vendor answers is a function of the seed, the clock and its configuration, so that
two processes with the same three tell the same data.

A vendor is a module ``dagster_project/sandbox/<vendor>/vendor.py``, picked up because its folder exists. It offers

``Config``
    a dataclass whose every field has a default: accounts, credentials, latency … Tests and
    ``POST /_sandbox/config/<vendor>`` set its fields, also while requests are answered.
``play(world: World, config: Config) -> Vendor``
    builds the vendor; called once for each world. What a vendor keeps (sessions, caches, rows added
    by tests) lives in what ``play`` returns, never in the module.

``demo_config(began: datetime, history: int) -> dict`` (where the demo differs from the defaults)
    the fields of ``Config`` for a demo that began at this instant and loads so many days. They stay the
    same whenever the demo is shown again.

and what ``play`` returns is a :class:`Vendor`:

``routes()``
    its Starlette routes, on the vendor's own documented paths (no prefix); handlers are ``async``.
``describe(request, body)``
    says which account and page a request asks for, so that faults can aim at it; it never raises.
``too_many(request)``
    its answer to a request over ``config.requests_per_second`` (absent or 0: no limit).
``truth(query)``
    the true rows *now* as dicts, for ``GET /_sandbox/truth/<vendor>?…`` (JSON lines).
``settings_env(url)``
    the environment that points the product at this sandbox with the demo credentials.
``describe_state()``
    counters of its own for ``/_sandbox/stats``.

Faults that any vendor can suffer (status codes, resets, cut bodies, hangs …) are played by
``faults.py`` around the handlers. Those that only the vendor can play (a page twice, a session lost)
reach the handler: ``fault = domain_fault(request, "page_twice")`` answers the scripted fault or
``None``; its ``params`` carry what the script said. A vendor lists the kinds it plays in
``domain_faults``. Random choices come from ``world.random("vendor", "what", …)``.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from dagster_project.sandbox.clock import Clock
from dagster_project.sandbox.faults import FaultPlan
from dagster_project.sandbox.stats import Stats

FOLDER = Path(__file__).parent
VENDORS = tuple(sorted(one.name for one in pkgutil.iter_modules([str(FOLDER)]) if one.ispkg))


@dataclass(frozen=True, slots=True)
class Call:
    """What a request is about, as faults match it. ``page`` counts as the vendor counts."""

    account: str | None = None
    page: int | None = None


class Vendor(Protocol):
    """A played vendor. See the module's docstring."""

    config: Any
    domain_faults: frozenset[str]

    def routes(self) -> list[BaseRoute]: ...
    def describe(self, request: Request, body: bytes) -> Call: ...
    def too_many(self, request: Request) -> Response: ...
    def truth(self, query: Mapping[str, str]) -> Iterable[dict[str, Any]]: ...
    def settings_env(self, url: str) -> dict[str, str]: ...
    def describe_state(self) -> dict[str, Any]: ...


class World:
    """Seed, clock, faults, counters and the vendors that exist."""

    def __init__(
        self, seed: int = 1, clock: Clock | None = None, configs: Mapping[str, Any] | None = None
    ) -> None:
        """``configs``: vendor name to its ``Config``, or to a dict of the fields that differ."""
        self.seed = seed
        self.clock = clock or Clock()
        self.faults = FaultPlan(self.clock)
        self.stats = Stats()
        self.vendors: dict[str, Vendor] = {}
        given = dict(configs or {})
        for name in VENDORS:
            if module := _vendor_module(name):
                config = _config(module.Config, given.pop(name, None))
                self.vendors[name] = module.play(self, config)
                self.faults.learn(self.vendors[name].domain_faults)
        if given:
            raise ValueError(f"no such vendor: {', '.join(given)}")

    def __getattr__(self, vendor: str) -> Any:
        """The vendor of this name: ``world.<vendor>``."""
        try:
            return self.__dict__["vendors"][vendor]
        except KeyError:
            raise AttributeError(vendor) from None

    def number(self, *names: object) -> int:
        """A 64-bit number that the seed and the names determine."""
        text = "\x1f".join([str(self.seed), *(str(name) for name in names)])
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")

    def random(self, *names: object) -> np.random.Generator:
        """A generator of its own for these names: what is drawn elsewhere does not move it."""
        return np.random.Generator(np.random.SFC64(self.number(*names)))

    def fresh_random(self) -> np.random.Generator:
        """A generator for what is promised to nobody, like the order of rows: each call another."""
        return np.random.default_rng()

    def settings_env(self, url: str) -> dict[str, str]:
        """The environment that points every vendor's client at ``url``."""
        env: dict[str, str] = {}
        for vendor in self.vendors.values():
            env.update(vendor.settings_env(url))
        return env


def demo_configs(began: datetime, history: int) -> dict[str, Any]:
    """By vendor, what a demo chooses otherwise than the defaults."""
    modules = {name: _vendor_module(name) for name in VENDORS}
    return {
        name: module.demo_config(began, history)
        for name, module in modules.items()
        if hasattr(module, "demo_config")
    }


def _vendor_module(name: str) -> Any:
    path = f"{__package__}.{name}.vendor"
    return importlib.import_module(path) if importlib.util.find_spec(path) else None


def _config(kind: Any, given: Any) -> Any:
    if given is None:
        return kind()
    return kind(**given) if isinstance(given, Mapping) else given


def change_config(config: Any, changes: Mapping[str, Any]) -> None:
    """Set some fields of a vendor's configuration; an unknown one is an error."""
    known = {field.name for field in fields(config)}
    if unknown := set(changes) - known:
        raise ValueError(f"no such field: {', '.join(sorted(unknown))}")
    for name, value in changes.items():
        setattr(config, name, value)
