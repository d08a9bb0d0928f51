"""One page of the played Calltouch's answer, with the vendor's own faults played on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from dagster_project.sandbox.calltouch.answers import Question, Refusal, only_to, page_too_high
from dagster_project.sandbox.calltouch.site import SiteRows
from dagster_project.sandbox.faults import domain_fault

if TYPE_CHECKING:
    from dagster_project.sandbox.world import World


@dataclass(slots=True)
class PlayedPage:
    """What an answer says: the total, the page's number, and the rows' JSON."""

    total: int
    number: int
    rows: list[bytes]

    def encode(self) -> bytes:
        head = '{"meta":[],"data":{"totalCountSms":%d,"pageOfResult":%d,"smsDetails":['
        return (head % (self.total, self.number)).encode() + b",".join(self.rows) + b"]}}"


def answer_page(
    request: Request, config: Any, site: SiteRows, question: Question, at: datetime, world: World
) -> bytes | Refusal:
    """The body of a successful answer; a page beyond the documented bound is refused."""
    _change_truth(request, site, question, at, world)
    size, number = config.page_size, question.page
    if domain_fault(request, "page_twice"):
        number = max(1, number - 1)
    if question.phones is None:
        total = site.total(question.bounds, at)
        rows = site.slice(question.bounds, at, (number - 1) * size, number * size)
    else:
        found = only_to(question.phones, site.all_rows(question.bounds, at))
        total, rows = len(found), found[(number - 1) * size : number * size]
    if question.page > max(total, 1):
        return page_too_high(total)
    if config.order == "shuffled":
        order = world.fresh_random().permutation(len(rows)).tolist()
        rows = [rows[place] for place in order]
    page = PlayedPage(total, question.page, rows)
    _spoil(request, page)
    return page.encode()


def _change_truth(
    request: Request, site: SiteRows, question: Question, at: datetime, world: World
) -> None:
    """Let rows come or go just before this page is cut."""
    if fault := domain_fault(request, "page_drift"):
        _new_rows(site, question, at, fault.params.get("rows", 3), world)
    if fault := domain_fault(request, "rows_vanish"):
        site.remove(question.bounds, at, fault.params.get("rows", 3))
    if domain_fault(request, "even_drift"):
        site.remove(question.bounds, at, 1, last=True)
        _new_rows(site, question, at, 1, world)


def _new_rows(site: SiteRows, question: Question, at: datetime, count: int, world: World) -> None:
    """Late rows on the window's first day, in its first second, before all others."""
    day, second = question.bounds.first, question.bounds.first_second
    hour, rest = divmod(second, 3600)
    stamp = f"{day:%d-%m-%Y} {hour:02d}:{rest // 60:02d}:{rest % 60:02d}"
    numbers = world.fresh_random().integers(0, 10_000_000, count).tolist()
    rows = [
        {
            "phoneNumber": f"7926{number:07d}",
            "dateSent": stamp,
            "smsStatus": "waiting",
            "smsStatusDetail": "Статус еще не получен",
            "smsMessage": "Ваш заказ принят",
        }
        for number in numbers
    ]
    site.insert(day, [json.dumps(row, ensure_ascii=False).encode() for row in rows], second)


def _spoil(request: Request, page: PlayedPage) -> None:
    """Make this one answer untrue."""
    if fault := domain_fault(request, "short_page"):
        del page.rows[: fault.params.get("rows", 1)]
    if fault := domain_fault(request, "moving_total"):
        page.total += fault.params.get("by", 1)
    if fault := domain_fault(request, "wrong_page_number"):
        page.number = fault.params.get("page", page.number + 1)
    if domain_fault(request, "unseen_status"):
        _amend_first(page, {"smsStatus": "read", "smsStatusDetail": "Прочитано"})
    if domain_fault(request, "unseen_key"):
        _amend_first(page, {"smsCost": 3.5})


def _amend_first(page: PlayedPage, changes: dict[str, Any]) -> None:
    if page.rows:
        page.rows[0] = json.dumps(json.loads(page.rows[0]) | changes).encode()
