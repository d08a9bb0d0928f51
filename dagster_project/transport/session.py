"""HTTP exchanges, limited in time and size, with retries, and without secrets in what is kept.

An *exchange* is up to ``RetryPolicy.attempts`` requests that ask the same thing. Each has a connect, a
read and a total timeout. Retried are connections that fail, reset or fall silent; bodies cut short; the
statuses 408, 425, 429 and 5xx; and whatever the caller's ``classify_response`` raises as ``Transient`` (an
HTML page with 200, JSON that ends in the middle). Back-off is exponential with jitter; ``Retry-After``, in
seconds or as a date, is honoured up to a maximum. When attempts or time are used up, ``errors.TryLater``
is raised.

A redirect ends the exchange at once: ``Redirected`` names its target.

Vendors report errors in the body, so ``classify_response`` sees every other whole response first, whatever
its status. It returns the response to use (None: as it came), or raises ``Transient`` or an error that
ends the exchange. A response that it accepts must still not have a transient status. Without it, the
caller reads any other status, 4xx included.

Secrets are passed as ``pydantic.SecretStr``, anywhere in headers, parameters, JSON or form.
``Response.request`` shows no secret, no header and no form. Redirects are not followed, since they would
carry credentials to another host. TLS is always verified. ``.netrc`` is not read.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import tenacity
from requests.cookies import RequestsCookieJar

from dagster_project.concurrency import Abandoned
from dagster_project.errors import TryLater
from dagster_project.model.response import ExtractStats, Response
from dagster_project.transport.attempt import DirectSession, Pause, SingleAttempt
from dagster_project.transport.connection import PacedAdapter, Timeouts
from dagster_project.transport.exchange import (
    Classifier,
    Gate,
    Reply,
    Request,
    Transient,
)
from dagster_project.transport.redaction import silence_urllib3

log = logging.getLogger(__name__)

MAX_BYTES = 32 << 20
"""The largest body: ten thousand SMS take 3 to 15 MB."""
HEADERS = {
    "User-Agent": "messaging-warehouse",
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try, and how long to wait, in seconds; ``longest_retry_after`` limits a vendor's demand."""

    attempts: int = 5
    total: float = 900.0
    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_retry_after: float = 120.0

    def wait(self, attempt: int, jitter: float, demanded: float | None) -> float:
        """Seconds after failed attempt number ``attempt``; ``jitter`` is drawn from 0 to 1."""
        step = min(self.first_wait * 2.0 ** (attempt - 1), self.longest_wait)
        wait = step * (0.5 + jitter / 2)
        if demanded is None:
            return wait
        return max(wait, min(demanded, self.longest_retry_after))


def sleep_unless_stopped(seconds: float, stop: threading.Event | None) -> None:
    """Sleep, unless and until ``stop`` is set; then raise ``Abandoned``."""
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        raise Abandoned("the exchange was given up")


class Session:
    """Sends requests; safe to use from many threads.

    Args:
        pool_size: connections kept open to each host: the number of threads that send.
        keeps_cookies: whether cookies that the vendor sets are sent back to it.
        pause, jitter: the clockwork of the back-off, handed in by tests.
    """

    def __init__(
        self,
        *,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        pool_size: int = 12,
        keeps_cookies: bool = False,
        max_bytes: int = MAX_BYTES,
        pause: Pause = sleep_unless_stopped,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        silence_urllib3()
        self.timeouts = timeouts or Timeouts()
        self.retry = retry or RetryPolicy()
        self.max_bytes = max_bytes
        self.pause, self._jitter = pause, jitter
        self._http = DirectSession()
        self._http.headers.clear()
        self._http.headers.update(HEADERS)
        self._http.auth = _add_no_auth
        if not keeps_cookies:
            policy = DefaultCookiePolicy(allowed_domains=[])
            self._http.cookies = RequestsCookieJar(policy=policy)
        for scheme in ("http://", "https://"):
            self._http.mount(scheme, PacedAdapter(pool_maxsize=pool_size))

    def forget_cookies(self) -> None:
        self._http.cookies.clear()

    def close(self) -> None:
        self._http.close()

    def send(self, request: Request, **named: Any) -> Response:
        """As ``exchange``, but return the response without its headers."""
        return self.exchange(request, **named).answer

    def exchange(
        self,
        request: Request,
        *,
        stats: ExtractStats,
        sequence: int = 1,
        classify_response: Classifier | None = None,
        gate: Gate | None = None,
        stop: threading.Event | None = None,
        attempts: int | None = None,
    ) -> Reply:
        """Send the request until ``classify_response`` accepts a response.

        Every request that leaves is counted in ``stats.requests``. Once ``stop`` is set, the
        exchange ends within half a second, asleep or reading, with ``Abandoned``.

        Raises:
            TryLater: attempts or time are used up, or the host's certificate is not accepted.
            RequestRefused: the request cannot be formed, or is answered with a redirect (``Redirected``).
            AnswerTooLarge: the answer is larger than ``max_bytes``, or a text in it is too long.
            Exception: whatever else ``classify_response`` or ``gate`` raised.
        """
        attempts = attempts or self.retry.attempts
        single = SingleAttempt(
            http=self._http,
            request=request,
            stats=stats,
            sequence=sequence,
            classify_response=classify_response,
            gate=gate or Gate(),
            timeouts=self.timeouts,
            max_bytes=self.max_bytes,
            stop=stop,
        )
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Transient),
            wait=self._wait,
            stop=self._stop_after(attempts),
            sleep=lambda seconds: self.pause(float(seconds), stop),
            before_sleep=lambda state: _log_retry(request, state, attempts),
            reraise=True,
        )
        try:
            return retrying(single)
        except Transient as fault:
            count = int(retrying.statistics.get("attempt_number", 1))
            tried = "once" if count == 1 else f"{count} times, the last time"
            raise TryLater(
                f"{request} was tried {tried}: {fault.what}.",
                hint="run again later.",
            ) from fault

    def _stop_after(self, attempts: int) -> Callable[[tenacity.RetryCallState], bool]:
        started = time.monotonic()

        def is_over(state: tenacity.RetryCallState) -> bool:
            spent = time.monotonic() - started + state.upcoming_sleep
            return state.attempt_number >= attempts or spent > self.retry.total

        return is_over

    def _wait(self, state: tenacity.RetryCallState) -> float:
        fault = state.outcome.exception() if state.outcome else None
        demanded = fault.retry_after if isinstance(fault, Transient) else None
        return self.retry.wait(state.attempt_number, self._jitter(), demanded)


def _log_retry(request: Request, state: tenacity.RetryCallState, attempts: int) -> None:
    log.warning(
        "%s: attempt %d of %d: %s; again in %.1f s",
        request,
        state.attempt_number,
        attempts,
        state.outcome.exception() if state.outcome else None,
        state.upcoming_sleep,
    )


def _add_no_auth(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no authentication; with no ``auth`` at all, requests would read ``.netrc``."""
    return prepared
