"""Tellody's daily totals and purchase history over HTTP.

Activity: one call a day, ``from`` the first ``to`` the last millisecond of the account's local day, both included,
also for days of 23 or 25 hours. The response has no day, so the stored request has it. Purchases: the whole history
(``history.py``); nothing is yielded before it is proved complete. Both share one sign-in in each process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from dagster_project.errors import AnswerNotTrusted
from dagster_project.model.response import ExtractStats, Response, Restart
from dagster_project.model.window import Window
from dagster_project.text.raw_json import NotJson, kind_of
from dagster_project.transport.exchange import Reply, Request, Transient, decode_json
from dagster_project.vendors.tellody.activity_rows import read_totals
from dagster_project.vendors.tellody.history import read_history
from dagster_project.vendors.tellody.payment_page import NotPaymentPage, PaymentResponse, read_page
from dagster_project.vendors.tellody.settings import TellodySettings
from dagster_project.vendors.tellody.sign_in import TellodySession

ACTIVITY_PATH: Final = "/CampaignCloud/Report/UniqueCode"
PAYMENTS_PATH: Final = "/CampaignCloud/CreditsController/PaymentHistory"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_sessions: dict[tuple[Any, ...], TellodySession] = {}
_sessions_lock = threading.Lock()


def shared_session(settings: TellodySettings, base_url: str) -> TellodySession:
    """This process's session with a host, which stays signed in for all feeds, windows and runs."""
    key = (base_url, settings.username, settings.password)
    with _sessions_lock:
        if key not in _sessions:
            _sessions[key] = TellodySession(base_url, settings.username, settings.password)
        return _sessions[key]


class ActivityClient:
    """The client of UniqueCode. ``session`` is for tests; otherwise the process's session is shared."""

    def __init__(self, settings: TellodySettings, session: TellodySession | None = None) -> None:
        self._session = session or shared_session(settings, settings.base_url)

    def extract(self, window: Window, stats: ExtractStats) -> Iterator[Response | Restart]:
        """Yield one response for each day of the window, in order."""
        for sequence, day in enumerate(window.days, start=1):
            answer = self._ask(Window(day, day, window.account), stats, sequence)
            stats.pages += 1
            yield replace(answer, request={**answer.request, "day": day.isoformat()})

    def totals(self, window: Window, stats: ExtractStats) -> dict[str, int | None]:
        """Fetch the six totals of a whole window in one call, by column, for reconciliation.

        Raises:
            AnswerNotTrusted: a total is no whole number, or none is there.
        """
        return read_totals(self._ask(window, stats, sequence=1).body).columns()

    def check(self, stats: ExtractStats) -> None:
        """Sign in, and nothing else."""
        self._session.check(stats)

    def close(self) -> None:
        self._session.close()

    def _ask(self, window: Window, stats: ExtractStats, sequence: int) -> Response:
        asked = {
            "from": _millis(window.starts_at),
            "to": _millis(window.ends_before) - 1,
            "unit": "day",
            "dow": 0,
        }
        request = Request("POST", self._session.base_url + ACTIVITY_PATH, json=asked)
        return self._session.ask(
            request, stats=stats, sequence=sequence, classify_response=_classify_totals
        )


class PurchasesClient:
    """The client of PaymentHistory. ``session`` is for tests; otherwise the process's session is shared."""

    def __init__(self, settings: TellodySettings, session: TellodySession | None = None) -> None:
        self._session = session or shared_session(settings, settings.payments_url)

    def extract(self, window: Window, stats: ExtractStats) -> Iterator[Response | Restart]:
        """Yield the whole history, whatever the window; the rows inside the window are selected later."""
        history = read_history(partial(self._ask, stats))
        stats.vendor_total = history.total
        stats.pages = len(history.answers)
        if history.reads > len(history.answers):
            stats.notes["pages_read_again"] = history.reads - len(history.answers)
        yield from history.answers

    def check(self, stats: ExtractStats) -> None:
        """Sign in, and nothing else."""
        self._session.check(stats)

    def close(self) -> None:
        self._session.close()

    def _ask(self, stats: ExtractStats, page: int, per_page: int) -> PaymentResponse:
        request = Request(
            "GET",
            self._session.base_url + PAYMENTS_PATH,
            params={"page": page, "per_page": per_page},
        )
        response = self._session.ask(request, stats=stats, classify_response=_classify_page)
        assert isinstance(response, PaymentResponse)
        return response


def _classify_totals(reply: Reply) -> None:
    if not isinstance(decode_json(reply), dict):
        raise AnswerNotTrusted(
            f"Tellody answered the day's totals with {kind_of(reply.body.lstrip())}, not an object.",
            hint="run again; if it repeats, look at what the vendor changed.",
        )


def _classify_page(reply: Reply) -> PaymentResponse:
    if not reply.body.strip():
        raise Transient("the body is empty")
    try:
        return PaymentResponse(**reply.answer.values(), page=read_page(reply.body))
    except NotJson as error:
        raise Transient("the body is not whole JSON") from error
    except NotPaymentPage as error:
        raise AnswerNotTrusted(
            f"Tellody answered the purchases in an unknown form: {error}.",
            hint="run again; if it repeats, look at what the vendor changed.",
        ) from error


def _millis(instant: datetime) -> int:
    return (instant - _EPOCH) // _MILLISECOND
