"""Scripted faults: which calls they hit, how often, and what is to go wrong.

A script is a list of dicts, in Python (``world.faults.script([...])``) or, a single one too, over HTTP
(``POST /_sandbox/faults``; ``GET`` shows what is left, ``DELETE`` ends them all)::

    {"kind": "status", "params": {"status": 429, "retry_after": "2"},
     "match": {"vendor": "<vendor>", "page": 2, "nth": 1}, "times": 3}

``match`` may name ``vendor``, ``path`` (a glob), ``account``, ``page`` (counted as the
vendor counts), ``nth`` (the how-manieth call that fits the rest, from 1) and, by the
sandbox's clock, ``since`` and ``until``. ``times`` is how many calls in a row are hit, 1 by default,
null for all. Every fault that fits a call is played on it; of those that replace the answer the first.

Played around every vendor (``params`` in parentheses):

- ``status`` (``status``, ``retry_after``, ``body``, ``content_type``), ``outage`` (the same with 503,
  for all calls until its end), ``html`` and ``empty`` and ``not_json``: with status 200
- ``reset``: the connection is reset before any answer; ``processed`` true lets the vendor do the work
- ``hang`` (``seconds``): nothing, then the answer, if the client is still there
- ``cut_json``, ``reset_in_body``, ``close_in_body`` (``at``, a share of the body)
- ``slow_drip`` (``seconds``, ``pieces``), ``gzip``, ``bom``, ``content_type`` (``value``)
- ``field`` (``name``, ``how``, ``every``): a field changes its form, see ``field_faults.py``

Every other kind is handed to the vendor that declares it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from starlette.requests import Request

from dagster_project.sandbox.clock import Clock, parse_instant

REPLACING = frozenset({"status", "outage", "html", "empty", "not_json", "reset"})
TRANSFORMING = frozenset({"field", "cut_json", "gzip", "bom", "content_type"})
DELIVERING = frozenset({"hang", "slow_drip", "reset_in_body", "close_in_body"})
WIRE_KINDS = REPLACING | TRANSFORMING | DELIVERING

SCOPE_KEY = "sandbox.faults"
MATCHERS = frozenset({"vendor", "path", "account", "page", "nth", "since", "until"})


@dataclass(slots=True)
class Fault:
    """One line of a script, and how far it has been played."""

    kind: str
    params: dict[str, Any] = field(default_factory=dict)
    vendor: str | None = None
    path: str | None = None
    account: str | None = None
    page: int | None = None
    nth: int = 1
    times: int | None = 1
    since: datetime | None = None
    until: datetime | None = None
    seen: int = 0
    played: int = 0

    @classmethod
    def parse(cls, line: Mapping[str, Any]) -> Fault:
        """Read one line of a script; an unknown key is an error, not a fault that never hits."""
        match = dict(line.get("match") or {})
        unknown = (set(line) - {"kind", "params", "match", "times"}) | (set(match) - MATCHERS)
        if unknown:
            raise ValueError(f"not known in a fault: {', '.join(sorted(unknown))}")
        if line["kind"] == "outage" and "times" not in line:
            line = {**line, "times": None}
        account = match.get("account")
        return cls(
            kind=str(line["kind"]),
            params=dict(line.get("params") or {}),
            vendor=match.get("vendor"),
            path=match.get("path"),
            account=None if account is None else str(account),
            page=match.get("page"),
            nth=int(match.get("nth", 1)),
            times=line.get("times", 1),
            since=_instant(match.get("since")),
            until=_instant(match.get("until")),
        )

    def fits(
        self, vendor: str, path: str, account: str | None, page: int | None, at: datetime
    ) -> bool:
        return (
            self.vendor in (None, vendor)
            and (self.path is None or fnmatchcase(path, self.path))
            and self.account in (None, account)
            and self.page in (None, page)
            and (self.since is None or self.since <= at)
            and (self.until is None or at < self.until)
        )

    def take(self) -> bool:
        """Count one call that fits; true if the fault is to be played on it."""
        self.seen += 1
        if self.seen < self.nth or self.over:
            return False
        self.played += 1
        return True

    @property
    def over(self) -> bool:
        return self.times is not None and self.played >= self.times

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "params": self.params,
            "match": {
                name: str(value) if isinstance(value, datetime) else value
                for name in sorted(MATCHERS)
                if (value := getattr(self, name)) is not None
            },
            "times": self.times,
            "seen": self.seen,
            "played": self.played,
        }


class FaultPlan:
    """The script that is being played."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._kinds = set(WIRE_KINDS)

    def learn(self, kinds: Iterable[str]) -> None:
        """Take up the kinds that a vendor plays itself."""
        self._kinds.update(kinds)

    def script(self, lines: Iterable[Mapping[str, Any]]) -> list[Fault]:
        """Add faults to the script; answers them, so that a test can see how often each played."""
        faults = [Fault.parse(line) for line in lines]
        if unknown := {fault.kind for fault in faults} - self._kinds:
            raise ValueError(f"no such fault: {', '.join(sorted(unknown))}")
        with self._lock:
            self._faults.extend(faults)
        return faults

    def add(self, kind: str, *, times: int | None = 1, match: Any = None, **params: Any) -> Fault:
        """Add one fault: ``add("status", status=503, match={"page": 2})``."""
        line: dict[str, Any] = {"kind": kind, "params": params, "match": match or {}}
        if kind != "outage" or times != 1:
            line["times"] = times
        return self.script([line])[0]

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def on_call(self, vendor: str, path: str, account: str | None, page: int | None) -> list[Fault]:
        """The faults to play on this call; each has counted it."""
        at = self._clock.now()
        with self._lock:
            fitting = [f for f in self._faults if f.fits(vendor, path, account, page, at)]
            return [fault for fault in fitting if fault.take()]

    def as_list(self) -> list[dict[str, Any]]:
        with self._lock:
            return [fault.as_dict() for fault in self._faults]


def domain_fault(request: Request, kind: str) -> Fault | None:
    """The fault of this kind that the vendor is to play on this call, if one is scripted."""
    faults: list[Fault] = request.scope.get(SCOPE_KEY, [])
    return next((fault for fault in faults if fault.kind == kind), None)


def _instant(value: Any) -> datetime | None:
    return parse_instant(value) if isinstance(value, str) else value
