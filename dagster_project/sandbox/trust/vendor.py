"""Trust, played: tokens that expire, and statistics that honour a date range, or do not.

``Config.range_mode``: ``honour``; ``ignore`` (the last seven days whatever is asked); ``swallow``
(a range is always answered empty); ``refuse`` (a range is a bad request). Companies are busy, quiet
(``quiet``: never anything) or out of reach (``denied``: company to the status that it answers with).
The last seven days are today and the six days before it, by the vendor's clock.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dagster_project.sandbox.faults import domain_fault
from dagster_project.sandbox.trust.figures import Day, figures_of_day
from dagster_project.sandbox.world import Call, World

TOKEN_PATH = "/oauth/token/"
STATISTICS_PATH = "/campaigns/api/v1/company/{company:int}/statistics"
ROLLING_DAYS = 7
RANGE_MODES = frozenset({"honour", "ignore", "swallow", "refuse"})
MESSAGES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
MESSAGES |= {422: "Unprocessable Entity", 429: "Too Many Requests", 500: "Internal Server Error"}


@dataclass
class Config:
    """Whom and how the sandbox plays. Days are local to ``time_zone``."""

    client_id: str = "sandbox-trust-client"
    client_secret: str = "sandbox-trust-secret"
    companies: list[int] = field(default_factory=lambda: [11, 12, 13])
    quiet: list[int] = field(default_factory=lambda: [13])
    denied: dict[int, int] = field(default_factory=dict)
    time_zone: str = "America/Santiago"
    first_day: str = "2023-06-01"
    volume: int = 400
    range_mode: str = "honour"
    range_params: str = "start_date,end_date"
    max_range_days: int = 0
    token_seconds: float = 7200
    clock_ahead_seconds: float = 0
    closed_key: bool = True
    unknown_actions: bool = False
    unknown_statistics: dict[str, Any] = field(default_factory=dict)
    errors_with_200: bool = False
    latency: float = 0
    requests_per_second: float = 0


def play(world: World, config: Config) -> Trust:
    return Trust(world, config)


class Refusal(Exception):
    """A request that is not answered with statistics."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


class Trust:
    """The played vendor: its tokens are its only memory."""

    domain_faults = frozenset({"token_lost"})

    def __init__(self, world: World, config: Config) -> None:
        self.config = config
        self._world = world
        self._tokens: dict[str, datetime] = {}
        self._granted = 0
        self._refused = 0

    def routes(self) -> list[BaseRoute]:
        return [
            Route(TOKEN_PATH, self.token, methods=["POST"]),
            Route(STATISTICS_PATH, self.statistics, methods=["GET"]),
        ]

    def describe(self, request: Request, body: bytes) -> Call:
        company = re.search(r"/company/(\d+)/", request.scope["path"])
        return Call(account=company[1] if company else None)

    def too_many(self, request: Request) -> Response:
        return self._envelope(429)

    def settings_env(self, url: str) -> dict[str, str]:
        config = self.config
        return {
            "TRUST_BASE_URL": url,
            "TRUST_AUTH_URL": url,
            "TRUST_CLIENT_ID": config.client_id,
            "TRUST_CLIENT_SECRET": config.client_secret,
            "TRUST_COMPANY_IDS": ",".join(map(str, config.companies)),
            "TRUST_TIMEZONE": config.time_zone,
            "TRUST_RANGE_PARAMS": config.range_params,
        }

    def describe_state(self) -> dict[str, Any]:
        return {"tokens_granted": self._granted, "sign_ins_refused": self._refused}

    async def token(self, request: Request) -> Response:
        """Client credentials, as JSON; ``created_at`` is by the vendor's own clock."""
        try:
            asked = json.loads(await request.body())
        except ValueError:
            return JSONResponse({"error": "invalid_request"}, 400)
        given = {key: asked.get(key) for key in ("client_id", "client_secret", "grant_type")}
        if given.pop("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if given != {key: getattr(self.config, key) for key in given}:
            self._refused += 1
            status = 200 if self.config.errors_with_200 else 401
            return JSONResponse(
                {"error": "invalid_client", "error_description": "Client authentication failed"},
                status,
            )
        now = self._world.clock.now()
        token = secrets.token_urlsafe(24)
        self._tokens[token] = now + timedelta(seconds=self.config.token_seconds)
        self._granted += 1
        return JSONResponse(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": self.config.token_seconds,
                "created_at": int(now.timestamp() + self.config.clock_ahead_seconds),
            }
        )

    async def statistics(self, request: Request) -> Response:
        company = int(request.path_params["company"])
        try:
            self._authorize(request, company)
            figures = self._figures_asked(company, request.query_params)
        except Refusal as refusal:
            return self._envelope(refusal.code)
        data = self._data(figures)
        answer = {"code": 200, "resource": "Statistics", "data": data, "message": "Ok"}
        return Response(json.dumps(answer), media_type="application/json")

    def _authorize(self, request: Request, company: int) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if domain_fault(request, "token_lost"):
            self._tokens.pop(token, None)
        expires_at = self._tokens.get(token)
        if scheme != "Bearer" or expires_at is None or expires_at <= self._world.clock.now():
            raise Refusal(401)
        denied = {int(key): status for key, status in self.config.denied.items()}
        if company in denied:
            raise Refusal(denied[company])
        if company not in self.config.companies:
            raise Refusal(404)

    def _figures_asked(self, company: int, query: Mapping[str, str]) -> Day:
        bounds = [query.get(name) for name in self.config.range_params.split(",")]
        mode = self.config.range_mode
        if mode not in RANGE_MODES:
            raise ValueError(f"no such range_mode: {mode}")
        if mode == "ignore" or bounds == [None, None]:
            return self.rolling(company)
        if mode == "refuse" or None in bounds:
            raise Refusal(400)
        try:
            first, last = (date.fromisoformat(bound or "") for bound in bounds)
        except ValueError:
            raise Refusal(422) from None
        longest = self.config.max_range_days
        if last < first or (longest and (last - first).days >= longest):
            raise Refusal(422)
        return Day() if mode == "swallow" else self.between(company, first, last)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.config.time_zone)

    @property
    def today(self) -> date:
        return self._world.clock.today(self.zone)

    def between(self, company: int, first: date, last: date) -> Day:
        """The true figures of some days at this moment."""
        figures = Day()
        day = max(first, date.fromisoformat(self.config.first_day))
        last = min(last, self.today)
        while day <= last and company not in self.config.quiet:
            figures += figures_of_day(
                self._world, company, day, self._world.clock.now(), self.zone, self.config.volume
            )
            day += timedelta(days=1)
        return figures

    def rolling(self, company: int) -> Day:
        return self.between(company, self.today - timedelta(days=ROLLING_DAYS - 1), self.today)

    def reachable(self) -> list[int]:
        denied = {int(company) for company in self.config.denied}
        return [company for company in self.config.companies if company not in denied]

    def provable(self) -> bool:
        """Whether it can be proved at this moment that ranges are honoured."""
        return self.config.range_mode == "honour" and any(
            self.rolling(company) != Day() for company in self.reachable()
        )

    def truth(self, query: Mapping[str, str]) -> Iterable[dict[str, Any]]:
        """The rows that the warehouse should hold if asked at this moment.

        ``query``: ``company`` (else all within reach), ``first``, ``last`` (else today). Where
        ranges are not provably honoured, today's rolling rows are all that is true.
        """
        companies = [int(query["company"])] if "company" in query else self.reachable()
        first, last = (date.fromisoformat(query.get(k, str(self.today))) for k in ("first", "last"))
        if not self.provable():
            if first <= self.today <= last:
                begins = self.today - timedelta(days=ROLLING_DAYS - 1)
                for company in companies:
                    yield self._true_row(company, begins, self.today, self.rolling(company))
            return
        for company in companies:
            for number in range((min(last, self.today) - first).days + 1):
                day = first + timedelta(days=number)
                yield self._true_row(company, day, day, self.between(company, day, day))

    def _true_row(self, company: int, first: date, last: date, figures: Day) -> dict[str, Any]:
        return {
            "stats_on": last.isoformat(),
            "company_id": company,
            "window_from": first.isoformat(),
            "window_to": last.isoformat(),
            "is_daily": first == last,
            "total": figures.total,
            "sent": figures.sended,
            "pending": figures.pending,
            "failed": figures.fails,
            "received": figures.received,
            "pressed": figures.pressed,
            "closed": figures.closed if self.config.closed_key else 0,
            "unknown": figures.unknown,
            "campaigns": len(figures.campaigns),
        }

    def _data(self, figures: Day) -> dict[str, Any]:
        actions = {
            "RECEIVED": figures.received,
            "PRESS_ACTION": figures.pressed,
            "UNKNOWN": figures.unknown,
        }
        if self.config.closed_key and figures.closed:
            actions["CLOSED"] = figures.closed
        if self.config.unknown_actions and figures.opened:
            actions["OPENED"] = figures.opened
        return {
            "total": figures.total,
            "sended": figures.sended,
            "pending": figures.pending,
            "fails": figures.fails,
            "actions": actions,
            "campaign": len(figures.campaigns),
            **self.config.unknown_statistics,
        }

    def _envelope(self, code: int) -> Response:
        status = 200 if self.config.errors_with_200 else code
        return JSONResponse(
            {"code": code, "resource": "Statistics", "message": MESSAGES.get(code, "Error")}, status
        )
