"""The played Calltouch: ``POST …/sms-to-clients/result`` as its document describes it.

Documented: two paths, headers ``Access-Token`` and ``SiteId``, windows inclusive at both ends to the
second, pages of 10,000, ``pageOfResult`` from 2, five error bodies, 5 requests a second, 2 points a
successful call. Not documented, so to be chosen in :class:`Config`: which HTTP status carries an
error, and the bodies of 429 and of spent points. Within a page the rows come in another order each
time; ``order`` may keep them still, and ``generation`` deals them to other pages.

The vendor's own faults (``params``): ``page_twice``, ``wrong_page_number`` (``page``), ``short_page``
(``rows``), ``moving_total`` (``by``) spoil one answer; ``page_drift`` (``rows``), ``rows_vanish``
(``rows``) and ``even_drift`` (one comes, one goes) change the truth just before the answer;
``credentials_refused``, ``no_access``, ``points_exhausted`` refuse; ``unseen_status`` and
``unseen_key`` add what no document tells of.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dagster_project.sandbox.calltouch.answers import (
    Refusal,
    credentials_refused,
    missing_field,
    no_access,
    points_exhausted,
    read_question,
    status_of,
)
from dagster_project.sandbox.calltouch.days import DAY
from dagster_project.sandbox.calltouch.pages import answer_page
from dagster_project.sandbox.calltouch.site import (
    USUAL_HISTORY,
    Bounds,
    Site,
    SiteRows,
    special_days,
)
from dagster_project.sandbox.clock import parse_instant
from dagster_project.sandbox.faults import domain_fault
from dagster_project.sandbox.world import Call

if TYPE_CHECKING:
    from dagster_project.sandbox.world import World

PATHS = (
    "/lead-service/v1/api/sms-to-clients/result",
    "/lead-service/v1/api/calltouch-leads/sms-to-clients/result",
)


def demo_sites(history: int = USUAL_HISTORY) -> list[Site]:
    return [
        Site(40101, "Тёплый дом", special=special_days(history)),
        Site(40202, "Клиника «Улыбка»", texts="clinic", ordinary=330, population=4_000),
    ]


def demo_config(began: datetime, history: int) -> dict[str, Any]:
    """What a demo chooses that began at this instant and loads so many days."""
    sites = demo_sites(history)
    return {
        "anchor": began.astimezone(sites[0].zone_info).date().isoformat(),
        "sites": [asdict(site) for site in sites],
    }


@dataclass(slots=True)
class Config:
    """What may be chosen. Shares, sites and counts are read when a day is first drawn."""

    sites: list[Site] = field(default_factory=demo_sites)
    token: str = "sandbox-calltouch-token"
    requests_per_second: float = 5
    rate_window: float = 1
    latency: float = 0
    daily_points: int | None = None
    points_per_call: int = 2
    page_size: int = 10_000
    error_status: dict[str, int] = field(default_factory=dict)
    order: str = "shuffled"
    generation: int = 0
    escaped: bool = False
    duplicate_share: float = 0.004
    ugly_share: float = 0.0005
    late_share: float = 0.004
    vanishing_share: float = 0.0015
    anchor: str | None = None
    history_from: str = "2021-01-01"

    def __post_init__(self) -> None:
        self.sites = [site if isinstance(site, Site) else Site(**site) for site in self.sites]


def play(world: World, config: Config) -> Calltouch:
    return Calltouch(world, config)


class Calltouch:
    """The vendor. ``rows`` tells the truth; ``replace_day`` and ``insert_rows`` change it."""

    domain_faults = frozenset(
        (
            *("page_twice", "wrong_page_number", "short_page", "moving_total"),
            *("page_drift", "rows_vanish", "even_drift"),
            *("credentials_refused", "no_access", "points_exhausted"),
            *("unseen_status", "unseen_key"),
        )
    )

    def __init__(self, world: World, config: Config) -> None:
        self.config = config
        self._world = world
        self._worker = ThreadPoolExecutor(1, "calltouch")
        self._lock = threading.RLock()
        self._sites = {
            site.site_id: SiteRows(world, site, config, self._lock) for site in config.sites
        }

    def rows(
        self, site: int, first_day: date, last_day: date, at: datetime | None = None
    ) -> list[dict[str, Any]]:
        """Every SMS of these days exactly as the API would tell it ``at`` (default: now)."""
        bounds = Bounds(first_day, 0, last_day, DAY - 1)
        rows = self._sites[site].all_rows(bounds, at or self._world.clock.now())
        return [json.loads(row) for row in rows]

    def total(self, site: int, first_day: date, last_day: date, at: datetime | None = None) -> int:
        """``totalCountSms`` of these days."""
        bounds = Bounds(first_day, 0, last_day, DAY - 1)
        return self._sites[site].total(bounds, at or self._world.clock.now())

    def anchor(self, site: int) -> date:
        """The day from which the special days are counted back."""
        return self._sites[site].anchor

    def replace_day(self, site: int, day: date, rows: Iterable[Mapping[str, Any] | bytes]) -> None:
        """Let a day hold exactly these rows: dicts, or the very bytes to send for each."""
        self._sites[site].replace(day, [_raw(row) for row in rows])

    def insert_rows(
        self, site: int, day: date, rows: Iterable[Mapping[str, Any] | bytes], second: int = 0
    ) -> None:
        """Add rows to a day, there from now on; ``second`` places them within windows."""
        self._sites[site].insert(day, [_raw(row) for row in rows], second)

    def remove_rows(self, site: int, day: date, count: int) -> None:
        """Let the first ``count`` rows of a day vanish for ever."""
        bounds = Bounds(day, 0, day, DAY - 1)
        self._sites[site].remove(bounds, self._world.clock.now(), count)

    @property
    def changed(self) -> bool:
        """Whether rows were put in, taken out or replaced."""
        return any(site.changed for site in self._sites.values())

    def redraw(self, *, undo_changes: bool = False) -> None:
        """Draw all days anew, after shares or counts were changed, or to undo changes of rows."""
        for site in self._sites.values():
            site.forget(changes=undo_changes)

    def routes(self) -> list[BaseRoute]:
        own = "/_sandbox/calltouch/{site:int}/{day}"
        return [
            *(Route(path, self.result, methods=["POST"]) for path in PATHS),
            Route(own, self.change_day, methods=["PUT", "POST", "DELETE"]),
        ]

    def describe(self, request: Request, body: bytes) -> Call:
        try:
            page = json.loads(body).get("pageOfResult", 1)
        except (ValueError, AttributeError):
            page = None
        return Call(request.headers.get("SiteId"), page if isinstance(page, int) else None)

    def too_many(self, request: Request) -> Response:
        return JSONResponse({"message": "Too Many Requests"}, 429)

    def truth(self, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """``site``, ``from``, ``to`` (ISO days), perhaps ``at`` (ISO instant)."""
        at = parse_instant(query["at"]) if "at" in query else self._world.clock.now()
        first, last = date.fromisoformat(query["from"]), date.fromisoformat(query["to"])
        site = self._sites[int(query["site"])]
        return map(json.loads, site.all_rows(Bounds(first, 0, last, DAY - 1), at))

    def settings_env(self, url: str) -> dict[str, str]:
        env = {
            "CALLTOUCH_BASE_URL": url,
            "CALLTOUCH_ACCESS_TOKEN": self.config.token,
            "CALLTOUCH_SITE_IDS": ",".join(str(site) for site in self._sites),
            "CALLTOUCH_REQUESTS_PER_SECOND": f"{self.config.requests_per_second or 1000:g}",
        }
        for site_id, rows in self._sites.items():
            site = rows.site
            env[f"CALLTOUCH_TIMEZONE_{site_id}"] = site.zone
            if site.token is not None:
                env[f"CALLTOUCH_ACCESS_TOKEN_{site_id}"] = site.token
            if (points := self._daily_points(site)) is not None:
                env[f"CALLTOUCH_DAILY_POINTS_{site_id}"] = str(points)
        return env

    def describe_state(self) -> dict[str, Any]:
        """Points spent and left today, by site."""
        state: dict[str, Any] = {}
        for site_id, rows in self._sites.items():
            spent = self._world.stats.spent("calltouch", str(site_id), self._today(rows))
            limit = self._daily_points(rows.site)
            state[str(site_id)] = {
                "today": self._today(rows),
                "anchor": rows.anchor.isoformat(),
                "points_spent": spent,
                "points_left": None if limit is None else limit - spent,
            }
        return state

    async def result(self, request: Request) -> Response:
        """The documented method."""
        body = await request.body()
        site = self._site(request)
        if isinstance(site, Refusal):
            return self._refuse(site)
        at = self._world.clock.now()
        question = read_question(body, at.astimezone(site.zone).date())
        if isinstance(question, Refusal):
            return self._refuse(question)
        if domain_fault(request, "points_exhausted") or not self._charge(site):
            return self._refuse(points_exhausted())
        # In a thread, lest requests that wait meanwhile seem to the rate limit to come all at once.
        answer = await asyncio.get_running_loop().run_in_executor(
            self._worker, answer_page, request, self.config, site, question, at, self._world
        )
        if isinstance(answer, Refusal):
            self._charge(site, refund=True)
            return self._refuse(answer)
        return Response(answer, media_type="application/json")

    def _charge(self, site: SiteRows, *, refund: bool = False) -> bool:
        """Take a call's points; false, and none taken, where too few are left today."""
        points = -self.config.points_per_call if refund else self.config.points_per_call
        account = "calltouch", str(site.site.site_id), self._today(site)
        limit = self._daily_points(site.site)
        if limit is not None and self._world.stats.spent(*account) + points > limit:
            return False
        self._world.stats.spend(*account, points)
        return True

    async def change_day(self, request: Request) -> Response:
        """``PUT`` a day's rows, ``POST`` more of them, ``DELETE ?count=`` some. A row given as text is
        sent as it stands, JSON or not."""
        site, day = request.path_params["site"], date.fromisoformat(request.path_params["day"])
        if request.method == "DELETE":
            self.remove_rows(site, day, int(request.query_params["count"]))
            return JSONResponse({"changed": True})
        rows = [row.encode() if isinstance(row, str) else row for row in await request.json()]
        if request.method == "PUT":
            self.replace_day(site, day, rows)
        else:
            self.insert_rows(site, day, rows, int(request.query_params.get("second", 0)))
        return JSONResponse({"changed": True})

    def _site(self, request: Request) -> SiteRows | Refusal:
        """Whose data is asked for, if the headers entitle to it."""
        token, asked = request.headers.get("Access-Token"), request.headers.get("SiteId")
        tokens = {self.config.token, *(rows.site.token for rows in self._sites.values())}
        if not token or token not in tokens or domain_fault(request, "credentials_refused"):
            return credentials_refused()
        if asked is None:
            return missing_field("SiteId")
        site = self._sites.get(int(asked)) if asked.isdecimal() else None
        entitled = site is not None and token in (self.config.token, site.site.token)
        if site is None or not entitled or not site.site.granted:
            return no_access("demo@example.com")
        return no_access(site.site.name) if domain_fault(request, "no_access") else site

    def _refuse(self, refusal: Refusal) -> Response:
        return JSONResponse(refusal.body, status_of(refusal, self.config.error_status))

    def _daily_points(self, site: Site) -> int | None:
        return self.config.daily_points if site.daily_points is None else site.daily_points

    def _today(self, site: SiteRows) -> str:
        return self._world.clock.today(site.zone).isoformat()


def _raw(row: Mapping[str, Any] | bytes) -> bytes:
    return row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode()
