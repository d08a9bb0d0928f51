"""Tellody, played: ping and tokens, form login, sessions that end, daily totals, purchases in pages.

Totals are sums over a stream of events (``tellody_events``), purchases are drawn evenly over time
(``tellody_purchases``); ``buy``, ``resend`` and ``withdraw`` change them, in Python or by
``POST /_sandbox/tellody/purchases``. Faults of its own: ``session_lost`` (``how``: ``401``, ``403``,
``redirect``, ``html``, ``denied``), ``token_lost``, ``page_twice``, ``page_drift`` (``count`` purchases
arrive before the page is cut), ``rows_vanish`` (``count`` purchases are gone for ever), ``unseen_key``,
``missing_key`` (``key``), ``odd_total`` (``key``, ``value``).

An account locks after ``lock_after`` refused sign-ins, also for the right password.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dagster_project.model.window import Account, Window, each_day
from dagster_project.sandbox.faults import domain_fault
from dagster_project.sandbox.tellody.events import Events
from dagster_project.sandbox.tellody.purchases import EPOCH, Purchase, drawn_purchases
from dagster_project.sandbox.tellody.sign_in import CAMPAIGN_CLOUD, Door
from dagster_project.sandbox.world import Call, World

MILLISECOND = timedelta(milliseconds=1)


@dataclass
class Config:
    """Whom and how the sandbox plays. ``per_page_cap`` 0: none; ``session_*`` 0: without end."""

    username: str = "sandbox-tellody-user"
    password: str = "sandbox-tellody-password"
    account: str = "main"
    time_zone: str = "Europe/Athens"
    volume: int = 300
    first_purchase: str = "2023-06-01"
    purchase_every_hours: float = 75
    date_shapes: list[str] = field(default_factory=lambda: ["full"])
    per_page_cap: int = 0
    paging: bool = True
    session_seconds: float = 0
    session_requests: int = 0
    lost_how: str = "401"
    single_use_tokens: bool = True
    refusal_status: int = 401
    lock_after: int = 5
    latency: float = 0
    requests_per_second: float = 0


def play(world: World, config: Config) -> Tellody:
    return Tellody(world, config)


class Tellody:
    """The vendor. Its sessions, and the purchases that tests changed, are its only memory."""

    domain_faults = frozenset(
        (
            *("session_lost", "token_lost", "page_twice", "page_drift", "rows_vanish"),
            *("unseen_key", "missing_key", "odd_total"),
        )
    )

    def __init__(self, world: World, config: Config) -> None:
        self._world = world
        self._lock = threading.RLock()
        self.start_anew(config)

    def start_anew(self, config: Config) -> None:
        """As if freshly started: nobody is signed in, nothing was changed, no account is locked."""
        self.config = config
        self._door = Door(self._world, config)
        self._events = Events(self._world, config.volume)
        self._changed: dict[int, Purchase | None] = {}
        self._drawn: tuple[Any, list[Purchase]] = (None, [])

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{CAMPAIGN_CLOUD}/RememberMeController/ping", self.ping, methods=["GET"]),
            Route(f"{CAMPAIGN_CLOUD}/login", self.login, methods=["POST"]),
            Route(f"{CAMPAIGN_CLOUD}/Report/UniqueCode", self.activity, methods=["POST"]),
            Route(
                f"{CAMPAIGN_CLOUD}/CreditsController/PaymentHistory", self.payments, methods=["GET"]
            ),
            Route("/_sandbox/tellody/purchases", self.change_purchases, methods=["POST"]),
        ]

    def describe(self, request: Request, body: bytes) -> Call:
        page = request.query_params.get("page", "")
        return Call(page=int(page) if page.isdecimal() else None)

    def too_many(self, request: Request) -> Response:
        return JSONResponse({"message": "Too Many Requests"}, 429)

    def settings_env(self, url: str) -> dict[str, str]:
        return {
            "TELLODY_BASE_URL": url,
            "TELLODY_USERNAME": self.config.username,
            "TELLODY_PASSWORD": self.config.password,
            "TELLODY_ACCOUNT": self.config.account,
            "TELLODY_TIMEZONE": self.config.time_zone,
        }

    def describe_state(self) -> dict[str, Any]:
        return {
            "signed_in": self._door.signed_in,
            "sign_ins_refused": self._door.refused,
            "purchases": len(self.purchases()),
        }

    async def ping(self, request: Request) -> Response:
        return await self._door.ping(request)

    async def login(self, request: Request) -> Response:
        return await self._door.login(request)

    async def activity(self, request: Request) -> Response:
        if (answer := self._door.shut_out(request)) is not None:
            return answer
        try:
            asked = json.loads(await request.body())
            first, last = asked["from"], asked["to"]
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"error": "Bad Request"}, 400)
        units = ("hour", "day", "week", "month")
        if not (type(first) is type(last) is int) or asked.get("unit") not in units:
            return JSONResponse({"error": "Bad Request"}, 400)
        totals: dict[str, Any] = dict(self.totals(first, last))
        if domain_fault(request, "unseen_key"):
            totals["PUSH_SENT"] = totals["SMS_SENT"] // 7
        if fault := domain_fault(request, "missing_key"):
            del totals[fault.params.get("key", "SMS_SENT")]
        if fault := domain_fault(request, "odd_total"):
            totals[fault.params.get("key", "SMS_SENT")] = fault.params.get("value", "12")
        return JSONResponse(totals)

    def totals(self, first: int, last: int) -> dict[str, int]:
        """The six totals from one millisecond to another, both included, up to the present."""
        now = (self._world.clock.now() - EPOCH) // MILLISECOND
        return self._events.totals(first, min(last, now))

    async def payments(self, request: Request) -> Response:
        if (answer := self._door.shut_out(request)) is not None:
            return answer
        try:
            page, per_page = (int(request.query_params[name]) for name in ("page", "per_page"))
        except (KeyError, ValueError):
            return JSONResponse({"error": "Bad Request"}, 400)
        if page < 0 or per_page < 1:
            return JSONResponse({"error": "Bad Request"}, 400)
        if fault := domain_fault(request, "page_drift"):
            for _ in range(fault.params.get("count", 1)):
                self.buy()
        if fault := domain_fault(request, "rows_vanish"):
            for purchase in self.purchases()[: fault.params.get("count", 1)]:
                self.withdraw(purchase.payment_id)
        if domain_fault(request, "page_twice") or not self.config.paging:
            page = 0
        size = min(per_page, self.config.per_page_cap or per_page)
        purchases = self.purchases()
        data = ",".join(p.to_json() for p in purchases[page * size : (page + 1) * size])
        body = f'{{"extras":null,"data":[{data}],"count":{len(purchases)}}}'
        return Response(body, media_type="application/json")

    def purchases(self) -> list[Purchase]:
        """Every purchase up to now, newest first."""
        config, now = self.config, self._world.clock.now()
        drawing = (config.first_purchase, config.purchase_every_hours, config.time_zone)
        state = (*drawing, tuple(config.date_shapes), now)
        with self._lock:
            if self._drawn[0] != state:
                zone = ZoneInfo(config.time_zone)
                first = datetime.combine(
                    date.fromisoformat(config.first_purchase), datetime.min.time(), zone
                )
                every = timedelta(hours=config.purchase_every_hours)
                shapes = config.date_shapes
                drawn = drawn_purchases(self._world, first, every, config.time_zone, shapes, now)
                self._drawn = (state, drawn)
            by_id: dict[int, Purchase | None] = {p.payment_id: p for p in self._drawn[1]}
            by_id.update(self._changed)
        standing = [purchase for purchase in by_id.values() if purchase is not None]
        return sorted(standing, key=lambda p: (p.millis, p.payment_id), reverse=True)

    def buy(self, **fields: Any) -> Purchase:
        """A new purchase, now unless ``millis`` says otherwise; fields as of ``Purchase``."""
        with self._lock:
            newest = max((p.payment_id for p in self.purchases()), default=0)
            number = fields.pop("payment_id", max(newest, *self._changed, 0) + 1)
            now = (self._world.clock.now() - EPOCH) // MILLISECOND
            purchase = Purchase(
                payment_id=number,
                millis=fields.pop("millis", now),
                zone=fields.pop("zone", self.config.time_zone),
                **fields,
            )
            self._changed[number] = purchase
        return purchase

    def resend(self, payment_id: int, **changes: Any) -> Purchase:
        """The same purchase with other details from now on."""
        with self._lock:
            found = next(p for p in self.purchases() if p.payment_id == payment_id)
            self._changed[payment_id] = purchase = replace(found, **changes)
        return purchase

    def withdraw(self, payment_id: int) -> None:
        """The purchase is gone for ever."""
        with self._lock:
            self._changed[payment_id] = None

    async def change_purchases(self, request: Request) -> Response:
        """``{"buy": [fields …], "resend": [fields …], "withdraw": [ids …]}``."""
        wish = await request.json()
        bought = [self.buy(**fields).payment_id for fields in wish.get("buy", [])]
        for fields in wish.get("resend", []):
            self.resend(**fields)
        for payment_id in wish.get("withdraw", []):
            self.withdraw(payment_id)
        return JSONResponse({"bought": bought})

    def truth(self, query: Mapping[str, str]) -> Iterable[dict[str, Any]]:
        """``table`` (``activity``, else purchases), ``from`` and ``to`` (ISO days)."""
        zone = ZoneInfo(self.config.time_zone)
        first, last = date.fromisoformat(query["from"]), date.fromisoformat(query["to"])
        if query.get("table") == "activity":
            account = Account("tellody_activity", self.config.account, zone)
            for day in each_day(first, last):
                window = Window(day, day, account)
                begin, end = (
                    (at - EPOCH) // MILLISECOND for at in (window.starts_at, window.ends_before)
                )
                yield {"activity_on": day.isoformat(), **self.totals(begin, end - 1)}
            return
        for purchase in self.purchases():
            row = purchase.row(zone)
            if row is not None and str(first) <= row["purchased_on"] <= str(last):
                yield row
