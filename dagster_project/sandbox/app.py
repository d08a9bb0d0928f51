"""The one application: the vendors on their documented paths, the controls under ``/_sandbox/``.

====================================== ===========================================================
``GET /_sandbox/clock``                the vendors' present
``POST /_sandbox/clock``               ``{"now": ISO, "running": bool}`` or ``{"shift_seconds": n}``
``GET|POST|DELETE /_sandbox/faults``   see ``faults.py``
``GET /_sandbox/stats``                requests, 429, points, busiest second; ``DELETE`` starts anew
``GET /_sandbox/calls?vendor=``        the latest calls: path, account, page, status
``GET /_sandbox/truth/<vendor>?…``     the true rows now, JSON lines; the query is the vendor's own
``POST /_sandbox/config/<vendor>``     set fields of the vendor's configuration
``GET /_sandbox/settings``             the environment that points the product at this sandbox
``GET /_sandbox/ready``                the vendors that are played
====================================== ===========================================================
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from dagster_project.sandbox.clock import parse_instant
from dagster_project.sandbox.wire import Connections, Wire
from dagster_project.sandbox.world import World, change_config

Handler = Callable[[Request], Awaitable[Response]]
LINES_A_PIECE = 2_000


def make_app(world: World, connections: Connections | None = None) -> ASGIApp:
    """The application; ``connections`` lets faults reset the transport under a request."""
    routes = Controls(world).routes()
    for vendor in world.vendors.values():
        routes += vendor.routes()
    return Wire(Starlette(routes=routes), world, connections or Connections())


class Controls:
    """Endpoints by which other processes set and read the sandbox."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[BaseRoute]:
        table: list[tuple[str, Handler, list[str]]] = [
            ("ready", self.ready, ["GET"]),
            ("clock", self.clock, ["GET", "POST"]),
            ("faults", self.faults, ["GET", "POST", "DELETE"]),
            ("stats", self.stats, ["GET", "DELETE"]),
            ("calls", self.calls, ["GET"]),
            ("settings", self.settings, ["GET"]),
            ("truth/{vendor}", self.truth, ["GET"]),
            ("config/{vendor}", self.config, ["POST"]),
        ]
        return [
            Route(f"/_sandbox/{path}", _refusing_nonsense(handler), methods=methods)
            for path, handler, methods in table
        ]

    async def ready(self, request: Request) -> Response:
        return JSONResponse({"vendors": sorted(self._world.vendors), "seed": self._world.seed})

    async def clock(self, request: Request) -> Response:
        clock = self._world.clock
        if request.method == "POST":
            wish = await request.json()
            if "shift_seconds" in wish:
                clock.shift(timedelta(seconds=wish["shift_seconds"]))
            if "now" in wish or "running" in wish:
                at = parse_instant(wish["now"]) if "now" in wish else clock.now()
                clock.set(at, running=wish.get("running"))
        return JSONResponse({"now": clock.now().isoformat(), "running": clock.running})

    async def faults(self, request: Request) -> Response:
        plan = self._world.faults
        if request.method == "DELETE":
            plan.clear()
        if request.method == "POST":
            lines = await request.json()
            plan.script([lines] if isinstance(lines, dict) else lines)
        return JSONResponse(plan.as_list())

    async def stats(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._world.stats.reset()
        vendors = {name: vendor.describe_state() for name, vendor in self._world.vendors.items()}
        return JSONResponse({**self._world.stats.as_dict(), "vendors": vendors})

    async def calls(self, request: Request) -> Response:
        return JSONResponse(self._world.stats.calls(request.query_params.get("vendor")))

    async def settings(self, request: Request) -> Response:
        return JSONResponse(self._world.settings_env(str(request.base_url).rstrip("/")))

    async def truth(self, request: Request) -> Response:
        vendor = self._world.vendors[request.path_params["vendor"]]
        rows = vendor.truth(dict(request.query_params))
        return StreamingResponse(_json_lines(rows), media_type="application/x-ndjson")

    async def config(self, request: Request) -> Response:
        vendor = self._world.vendors[request.path_params["vendor"]]
        change_config(vendor.config, await request.json())
        return JSONResponse({"changed": True})


def _json_lines(rows: Any) -> Iterator[str]:
    piece: list[str] = []
    for row in rows:
        piece.append(json.dumps(row))
        if len(piece) == LINES_A_PIECE:
            yield "\n".join(piece) + "\n"
            piece.clear()
    if piece:
        yield "\n".join(piece) + "\n"


def _refusing_nonsense(handler: Handler) -> Handler:
    """Answer 400 with the reason where a control was misused, so that a script does not go unread."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 400)

    return answer
