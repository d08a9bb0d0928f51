"""A Calltouch of a few lines whose every answer a test can spoil: pages of ten rows, real HTTP.

The whole vendor is played by the sandbox; here each fault stands alone and costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from time import monotonic
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from dagster_project.model.response import ExtractStats, Response, Restart
from dagster_project.model.vendor_store import LimitStore, SlotAnswer
from dagster_project.model.window import Account, Window
from dagster_project.transport.connection import Timeouts
from dagster_project.transport.rate_limiter import RateLimiter
from dagster_project.transport.session import RetryPolicy, Session
from dagster_project.vendors.calltouch.client import CalltouchClient
from dagster_project.vendors.calltouch.settings import CalltouchSettings, CalltouchSite
from tests.transport.scripted_server import Asked, Play, ScriptedServer, reply

TOKEN = "calltouch-t0ken-never-shown"
ROWS_A_PAGE = 10
MOSCOW = ZoneInfo("Europe/Moscow")
SITE = Account("calltouch", "101", MOSCOW)
DAY = date(2024, 4, 1)
WINDOW = Window(DAY, DAY, SITE)
NOW = datetime(2024, 4, 20, 9, 0, tzinfo=UTC)
PATH = "/lead-service/v1/api/sms-to-clients/result"
OTHER_PATH = "/lead-service/v1/api/calltouch-leads/sms-to-clients/result"


def sms(number: int) -> dict[str, str]:
    return {
        "phoneNumber": f"7920{number:07d}",
        "dateSent": f"01-04-2024 15:{number // 60 % 60:02d}:{number % 60:02d}",
        "smsStatus": "delivered",
        "smsStatusDetail": "Доставлено",
        "smsMessage": f"Ваш код: {number}",
    }


@dataclass
class Spoilt:
    """What a page is to say instead of the truth, for as many askings as ``times``."""

    rows: list[dict[str, str]] | None = None
    total: int | None = None
    number: Any = ...
    play: Play | None = None
    times: int = 10**6


@dataclass
class Played:
    """The vendor's truth, and the faults by page number. ``questions`` are the bodies it was asked."""

    rows: list[dict[str, str]]
    spoilt: dict[int, Spoilt] = field(default_factory=dict)
    questions: list[dict[str, Any]] = field(default_factory=list)
    refusal: Callable[[Asked], Any] = lambda asked: None

    def __call__(self, asked: Asked) -> Play:
        self.questions.append(asked.json)
        if (refusal := self.refusal(asked)) is not None:
            return refusal
        page = asked.json.get("pageOfResult", 1)
        first = (page - 1) * ROWS_A_PAGE
        spoilt = self.spoilt.get(page, Spoilt())
        spoilt.times -= 1
        if spoilt.times < 0:
            spoilt = Spoilt()
        if spoilt.play is not None:
            return spoilt.play
        return page_of(
            self.rows[first : first + ROWS_A_PAGE] if spoilt.rows is None else spoilt.rows,
            len(self.rows) if spoilt.total is None else spoilt.total,
            page if spoilt.number is ... else spoilt.number,
        )

    @property
    def pages_asked(self) -> list[int]:
        return [question.get("pageOfResult", 1) for question in self.questions]


def page_of(rows: list[dict[str, str]], total: Any, number: Any) -> Play:
    data = {"totalCountSms": total, "pageOfResult": number, "smsDetails": rows}
    return reply(json.dumps({"meta": [], "data": data}, ensure_ascii=False))


class Unlimited(LimitStore):
    """In place of the ledger: every call may be sent at once, and points are not counted."""

    def reserve(self, *named: Any) -> tuple[bool, int, int]:
        return True, 0, 0

    def spend(self, *named: Any) -> tuple[bool, int, int]:
        return True, 0, 0

    def refund(self, *named: Any) -> None: ...

    def release(self, reservation: UUID) -> None: ...

    def read_points(self, *named: Any) -> tuple[int, int]:
        return 0, 0

    def next_slot(self, *named: Any) -> SlotAnswer:
        now, received = datetime.now(UTC), monotonic()
        return now, now, True, received, received

    move_slot = next_slot

    def read_clock(self) -> tuple[datetime, float, float]:
        now, _, _, asked, received = self.next_slot()
        return now, asked, received

    def hold_slots(self, limiter: str, seconds: float) -> None: ...

    def close(self) -> None: ...


@contextmanager
def calltouch(
    vendor: Played | int,
    *,
    path: str = PATH,
    rate_limiter: RateLimiter | None = None,
    daily_points: int | None = None,
    sites: tuple[int, ...] = (101,),
    retry: RetryPolicy | None = None,
    timeouts: Timeouts | None = None,
    **named: Any,
) -> Iterator[tuple[Played, CalltouchClient]]:
    """The vendor (or one of so many rows) and a client of it that never really sleeps."""
    played = Played([sms(n) for n in range(vendor)]) if isinstance(vendor, int) else vendor
    server = ScriptedServer(played)
    settings = CalltouchSettings(
        base_url=server.url,
        result_path=path,
        sites=tuple(CalltouchSite(one, SecretStr(TOKEN), MOSCOW, daily_points) for one in sites),
        time_zone=MOSCOW,
        requests_per_second=1000.0,
        settle_days=7,
    )
    session = Session(
        pool_size=12,
        timeouts=timeouts,
        retry=retry or RetryPolicy(attempts=3, first_wait=0.01),
        pause=lambda seconds, stop: None,
    )
    named.setdefault("now", lambda: NOW)
    client = CalltouchClient(
        settings,
        rate_limiter or RateLimiter(Unlimited()),
        session=session,
        rows_a_page=ROWS_A_PAGE,
        pause=lambda seconds: None,
        **named,
    )
    try:
        yield played, client
    finally:
        client.close()
        server.close()


def read(
    client: CalltouchClient, window: Window = WINDOW, stats: ExtractStats | None = None
) -> list[Response]:
    """The answers of the last reading: what came before a restart is forgotten."""
    answers: list[Response] = []
    for answer in client.extract(window, stats or ExtractStats()):
        if isinstance(answer, Restart):
            answers = []
        else:
            answers.append(answer)
    return answers


def phones(answers: list[Response]) -> list[str]:
    return [row.phoneNumber for answer in answers for row in answer.page.rows]
