"""Calltouch's SMS results over HTTP: the pages of a window, proved to be complete.

Grain: one response for each page of 10,000 SMS; windows are whole local days, both ends included. Page 1 has
the total. The other pages are fetched concurrently under the rate limiter and yielded as they come, few at a
time (``concurrency.py``). Where it is known how many rows a window should have, its next pages are asked for
together with page 1. If the pages contradict each other (``completeness.py``), a ``Restart`` is yielded and the
window is read again, a few times.

Points: before page 1 the calls that such a window is expected to need are reserved. After page 1 was yielded,
the calls that are really needed are reserved, so that the caller can stop and request less. A window that
the day's budget does not allow is not loaded.

The filter ``phoneNumbers`` is never sent: rows that it leaves out would be deleted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime
from functools import partial

from dagster_project import clock
from dagster_project.concurrency import BOUNDS, FetchPool, Permit
from dagster_project.errors import (
    AnswerNotTrusted,
    CredentialsRefused,
    QuotaSpent,
    SettingsError,
    WarehouseError,
)
from dagster_project.model.response import ExtractStats, Response, Restart
from dagster_project.model.window import Account, Window
from dagster_project.text.raw_json import stray_text
from dagster_project.transport.quota import QuotaClaim
from dagster_project.transport.rate_limiter import RateLimiter
from dagster_project.transport.session import Session
from dagster_project.vendors.calltouch.calls import (
    CallLimits,
    clamp_days,
    page_request,
    result_request,
)
from dagster_project.vendors.calltouch.completeness import (
    CompletenessCheck,
    InconsistentPages,
)
from dagster_project.vendors.calltouch.envelope import (
    SOURCE,
    ParametersRefused,
    classify_response,
    unknown_form_error,
)
from dagster_project.vendors.calltouch.pages import decode_page
from dagster_project.vendors.calltouch.settings import (
    POINTS,
    SITES,
    TOKEN,
    CalltouchSettings,
    CalltouchSite,
)
from dagster_project.vendors.calltouch.sms_page import NotJson, NotSmsPage, SmsResponse
from dagster_project.vendors.calltouch.table import POINTS_A_CALL, ROWS_PER_PAGE

SHARE_ASKED_AHEAD = 0.75
"""Of the pages that a window is expected to have: a page that it turns out not to have is a call for nothing."""
MAX_READINGS = 3
PAUSE_BETWEEN_READINGS = 5.0


class CalltouchClient:
    """The client of all sites and windows of a run; safe to use from many threads.

    Args:
        rate_limiter: the limits shared with other processes.
        now: decides which day is today at the vendor.
    """

    def __init__(
        self,
        settings: CalltouchSettings,
        rate_limiter: RateLimiter,
        *,
        now: Callable[[], datetime] = clock.now,
        session: Session | None = None,
        rows_a_page: int = ROWS_PER_PAGE,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings, self._rate_limiter = settings, rate_limiter
        self._now = now
        self._session = session or Session(pool_size=2 * BOUNDS.fetch_threads)
        self._rows_a_page, self._pause = rows_a_page, pause
        self._fetches = FetchPool()
        self._is_answering = False

    def extract(self, window: Window, stats: ExtractStats) -> Iterator[SmsResponse | Restart]:
        """Yield every page of the window, page 1 first, the others as they come.

        ``sequence`` is the page number. ``stats.vendor_total`` is set before the first page is yielded.

        Raises:
            AnswerNotTrusted: the pages contradicted each other in every reading.
            QuotaSpent: the points left today do not suffice for the window.
            CredentialsRefused, AccessDenied, RequestRefused, TryLater: see ``errors``.
        """
        with self._error_context(window.account, window), self._claim(window.account) as points:
            site = self._find_site(window.account.label)
            days = clamp_days(window, self._today(window.account))
            limits = CallLimits(self._settings, self._rate_limiter, points, stats)
            points.reserve(max(-(-window.expected_rows // self._rows_a_page), 1))
            reasons: list[str] = []
            while True:
                try:
                    yield from self._read_pages(site, days, limits, self._pages_ahead(window, site))
                    return
                except InconsistentPages as contradiction:
                    reasons.append(contradiction.reason)
                if len(reasons) == MAX_READINGS:
                    raise AnswerNotTrusted(
                        f"read {MAX_READINGS} times, and each time its pages contradicted each other: "
                        f"{'; '.join(reasons)}. The rows loaded before stay.",
                        hint="run again when the day has settled.",
                    )
                stats.notes["restarts"] = list(reasons)
                yield Restart(reasons[-1])
                self._pause(PAUSE_BETWEEN_READINGS)

    def count(self, window: Window, stats: ExtractStats) -> int:
        """Ask how many SMS the window has: one call, nothing is loaded."""
        with self._error_context(window.account, window), self._claim(window.account) as points:
            site = self._find_site(window.account.label)
            days = clamp_days(window, self._today(window.account))
            limits = CallLimits(self._settings, self._rate_limiter, points, stats)
            points.reserve(1)
            try:
                check = CompletenessCheck(self._rows_a_page)
                check.take(_decode(self._ask(site, days, limits, 1)).page, 1)
            except InconsistentPages as contradiction:
                raise AnswerNotTrusted(f"{contradiction.reason}.") from contradiction
            return check.total

    def check(self, account: Account, stats: ExtractStats) -> None:
        """Check the site's credentials, at no cost: a request without its fields is refused.

        Raises:
            CredentialsRefused, AccessDenied, TryLater: see ``errors``.
        """
        with self._error_context(account):
            self._ask_for_nothing(self._find_site(account.label), stats)

    def _ask_for_nothing(self, site: CalltouchSite, stats: ExtractStats) -> None:
        limits = CallLimits(self._settings, self._rate_limiter, None, stats)
        with suppress(ParametersRefused):
            self._session.send(
                result_request(self._settings, site, {}),
                stats=limits.stats,
                classify_response=classify_response,
                gate=limits.gate(),
            )

    def close(self) -> None:
        self._fetches.close()
        self._session.close()
        self._rate_limiter.close()

    def _pages_ahead(self, window: Window, site: CalltouchSite) -> int:
        """The last page to ask for before page 1 told how many there are.

        0 while the vendor was not seen to answer, and where points may not be spent in vain.
        """
        if site.daily_points is not None or not self._is_answering:
            return 0
        expected = int(SHARE_ASKED_AHEAD * window.expected_rows / self._rows_a_page)
        return min(expected, BOUNDS.asked_ahead)

    def _read_pages(
        self, site: CalltouchSite, days: tuple[date, date], limits: CallLimits, ahead: int
    ) -> Iterator[SmsResponse]:
        """Read the window once, from page 1 to the check that it is complete."""
        stats, check = limits.stats, CompletenessCheck(self._rows_a_page)
        stats.pages = 0
        fetch = partial(self._ask, site, days, limits)
        with (
            self._fetches.open_window() as fetches,
            closing(fetches.results(lambda page: page <= check.pages)) as answers,
        ):
            fetches.begin(fetch, range(2, ahead + 1))
            decoded = [_decode(self._ask(site, days, limits, 1))]
            check.take(decoded[0].page, 1)
            stats.vendor_total, stats.pages = check.total, 1
            yield decoded.pop()  # the caller's alone: it takes megabytes
            if limits.points is not None and check.pages > 1:
                limits.points.reserve(check.pages - 1)
            fetches.begin(fetch, range(max(ahead, 1) + 1, check.pages + 1))
            for answer in answers:
                decoded.append(_decode(answer))
                del answer  # a page takes megabytes: keep none while waiting for the next one
                check.take(decoded[0].page, decoded[0].sequence)
                stats.pages += 1
                yield decoded.pop()
        check.conclude()

    def _ask(
        self,
        site: CalltouchSite,
        days: tuple[date, date],
        limits: CallLimits,
        page: int,
        stop: threading.Event | None = None,
        permit: Permit | None = None,
    ) -> Response:
        answer = self._session.send(
            page_request(self._settings, site, *days, page),
            stats=limits.stats,
            sequence=page,
            classify_response=classify_response,
            gate=limits.gate(stop, permit),
            stop=stop,
        )
        self._is_answering = True
        return answer

    def _find_site(self, label: str) -> CalltouchSite:
        if site := self._settings.site_of.get(label):
            return site
        raise SettingsError(
            f"site {label} is not among CALLTOUCH_SITE_IDS.", source=SOURCE, account=label
        )

    def _today(self, account: Account) -> date:
        return self._now().astimezone(account.time_zone).date()

    @contextmanager
    def _claim(self, account: Account) -> Iterator[QuotaClaim]:
        """Hold a claim on the site's points inside the block."""
        budget = self._find_site(account.label).daily_points
        with self._rate_limiter.claim_points(
            account, budget, POINTS_A_CALL, self._now, POINTS
        ) as points:
            try:
                yield points
            except QuotaSpent as spent:
                spent.what += "" if spent.account else f" {points.describe()}"
                raise

    @contextmanager
    def _error_context(self, account: Account, window: Window | None = None) -> Iterator[None]:
        """Add site and window to errors raised inside."""
        try:
            yield
        except WarehouseError as error:
            if isinstance(error, CredentialsRefused):
                error.hint = self._credentials_hint(account)
            error.add_context(source=SOURCE, account=account.label, window=window)
            raise

    def _credentials_hint(self, account: Account) -> str:
        """What to correct if a site's token is refused: the site's number, if another site accepts the token."""
        site = self._find_site(account.label)
        for other in self._settings.sites:
            if other.site_id == site.site_id or other.token != site.token:
                continue
            with suppress(WarehouseError):
                self._ask_for_nothing(other, ExtractStats())
                return (
                    f"site {other.site_id} accepts the same token: correct the number {site.site_id} in"
                    f" {SITES}, or set {TOKEN}_{site.site_id}."
                )
            break
        return f"correct {TOKEN}; if it is right, the number {site.site_id} in {SITES}."


def _decode(answer: Response) -> SmsResponse:
    """Decode a response's page.

    Raises:
        AnswerNotTrusted: it is of an unknown form; another reading would be the same.
        InconsistentPages: it begins and ends like a page, but is not whole JSON.
    """
    try:
        page = decode_page(answer.body)
    except NotJson:
        if found := stray_text(answer.body):
            raise unknown_form_error(f"there is other text {found} the JSON") from None
        raise InconsistentPages(f"page {answer.sequence} is not whole JSON") from None
    except NotSmsPage as other:
        raise unknown_form_error(str(other)) from None
    if page.doubt:
        raise unknown_form_error(page.doubt)
    return SmsResponse(**answer.values(), page=page)
