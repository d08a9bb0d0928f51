"""One Calltouch call: its request, and the limits that apply to it.

The rate limiter paces calls by the vendor's host name. A call spends two points just before it is sent; they
are refunded if the vendor certainly answered with an error. After a gateway's 502 or 504, a lost connection or a
broken body the outcome is unknown, and the points stay spent.
"""

from __future__ import annotations

import threading
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from dagster_project.concurrency import Permit
from dagster_project.errors import (
    AccessDenied,
    CredentialsRefused,
    QuotaSpent,
    RequestRefused,
)
from dagster_project.model.response import ExtractStats
from dagster_project.model.window import Window
from dagster_project.transport.exchange import ExchangeResult, Gate, Request
from dagster_project.transport.quota import QuotaClaim
from dagster_project.transport.rate_limiter import RateLimiter, SlotRequest
from dagster_project.vendors.calltouch.settings import CalltouchSettings, CalltouchSite
from dagster_project.vendors.calltouch.table import POINTS_A_CALL

LONGEST_HOLD = 120.0

REFUSALS = (CredentialsRefused, AccessDenied, RequestRefused, QuotaSpent)
STATUS_OF_AN_ERROR = frozenset({*range(400, 500), 500, 501, 503, 505})

_counting = threading.Lock()


def page_request(
    settings: CalltouchSettings, site: CalltouchSite, first: date, last: date, page: int
) -> Request:
    """Page ``page`` of the SMS sent from ``first`` 00:00:00 to ``last`` 23:59:59, local time.

    ``pageOfResult`` is valid from 2 on: the first page is requested without it.
    """
    asked: dict[str, Any] = {
        "dateFrom": f"{first:%d-%m-%Y} 00:00:00",
        "dateTo": f"{last:%d-%m-%Y} 23:59:59",
    }
    if page > 1:
        asked["pageOfResult"] = page
    return result_request(settings, site, asked)


def result_request(
    settings: CalltouchSettings, site: CalltouchSite, asked: dict[str, Any]
) -> Request:
    return Request(
        method="POST",
        url=f"{settings.base_url}/{settings.result_path.lstrip('/')}",
        json=asked,
        headers={"Access-Token": site.token, "SiteId": str(site.site_id)},
    )


class CallLimits:
    """The limits of one site's calls. ``points``: None where calls are free."""

    def __init__(
        self,
        settings: CalltouchSettings,
        rate_limiter: RateLimiter,
        points: QuotaClaim | None,
        stats: ExtractStats,
    ) -> None:
        self.host = urlsplit(settings.base_url).hostname or settings.base_url
        self.per_second = settings.requests_per_second
        self.rate_limiter, self.points, self.stats = rate_limiter, points, stats

    def gate(self, stop: threading.Event | None = None, permit: Permit | None = None) -> CallGate:
        """The gate of one exchange; ``permit``: its response's permit, if responses in flight are limited."""
        return CallGate(self, stop, permit)

    def count(self, points: int) -> None:
        with _counting:
            self.stats.points += points


class CallGate(Gate):
    def __init__(
        self, limits: CallLimits, stop: threading.Event | None, permit: Permit | None
    ) -> None:
        self._limits, self._stop, self._permit = limits, stop, permit
        self._slot_request: SlotRequest | None = None
        self._spent_on: date | None = None

    def before_attempt(self) -> None:
        limits = self._limits
        if limits.points is not None:
            self._spent_on = limits.points.spend_call()
        limits.count(POINTS_A_CALL)
        self._slot_request = limits.rate_limiter.slot_request(
            limits.host, limits.per_second, self._stop
        )

    def acquire(self) -> bool:
        return self._slot_request is None or self._slot_request.acquire()

    def on_sent(self) -> None:
        if self._permit is not None:
            self._permit.on_sent()
        if self._slot_request is not None:
            self._slot_request.on_sent()

    def on_headers(self) -> None:
        if self._permit is not None:
            self._permit.on_headers()

    def after_attempt(self, outcome: ExchangeResult) -> None:
        if self._permit is not None:
            self._permit.on_sent()  # it may not have been sent, and be tried again after a pause
        limits, status = self._limits, outcome.reply.status if outcome.reply else None
        if not outcome.sent or is_certain_error(outcome):
            limits.count(-POINTS_A_CALL)
            if limits.points is not None and self._spent_on is not None:
                limits.points.refund(self._spent_on)
        demanded = outcome.retry_after
        if status == 429 or (status == 503 and demanded):
            limits.rate_limiter.cool_down(limits.host, min(demanded or 0.0, LONGEST_HOLD))


def is_certain_error(outcome: ExchangeResult) -> bool:
    """Whether the vendor itself answered with an error, and so charged no points."""
    if outcome.reply is None or outcome.error is None:
        return False
    return isinstance(outcome.error, REFUSALS) or outcome.reply.status in STATUS_OF_AN_ERROR


def clamp_days(window: Window, today: date) -> tuple[date, date]:
    """Limit the days to request to the vendor's today, after which it refuses a bound.

    Raises:
        RequestRefused: the whole window is in the future.
    """
    if window.first_day > today:
        raise RequestRefused("the window has not begun yet.", hint="ask for days until today.")
    return window.first_day, min(window.last_day, today)
