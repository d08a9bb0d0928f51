"""Tellody's session: one sign-in for all feeds and days of a process, renewed when it is lost.

Source: ``GET …/RememberMeController/ping`` returns a header ``X-XSRF-TOKEN`` and cookies; a form
``POST /CampaignCloud/login`` with that header opens the session; every later request needs the cookies and a new
token, from a ping of its own. A lost session shows by 401 or 403, by a redirect, by an HTML page with 200, or by JSON
with ``access-denied``. Then the client signs in again and repeats the request once.

Refused credentials are never tried again in this process, since accounts lock: later requests get the same error
without being sent. Requests are sent one at a time, since a token is valid for one request.
"""

from __future__ import annotations

import json
import logging
import threading
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from dagster_project.errors import (
    AccessDenied,
    AnswerNotTrusted,
    CredentialsRefused,
    RequestRefused,
    TryLater,
)
from dagster_project.model.response import ExtractStats, Response
from dagster_project.text.scrub import remember_secret
from dagster_project.transport.exchange import (
    Classifier,
    Gate,
    Redirected,
    Reply,
    Request,
    Transient,
)
from dagster_project.transport.session import Session

log = logging.getLogger(__name__)

PING_PATH: Final = "/CampaignCloud/RememberMeController/ping"
LOGIN_PATH: Final = "/CampaignCloud/login"
TOKEN_HEADER: Final = "X-XSRF-TOKEN"  # noqa: S105 - a header's name
SIGN_IN_ATTEMPTS: Final = 3
MOST_ROUNDS: Final = 5
LONGEST_REFUSAL: Final = 2_000

_HINT = "correct TELLODY_USERNAME and TELLODY_PASSWORD; a lock is lifted by the vendor alone."


class _SessionLost(Exception):
    """The vendor no longer accepts the session, or the token was used. ``how`` is safe to show."""

    def __init__(self, how: str, moved: Redirected | None = None) -> None:
        self.how, self.moved = how, moved
        super().__init__(how)


class _Attempts(Gate):
    """Counts how often a token was sent: the second time it may already be used."""

    def __init__(self) -> None:
        self.made = 0

    def before_attempt(self) -> None:
        self.made += 1


class TellodySession:
    """Sends requests as a signed-in user; safe to use from several threads, which take turns."""

    def __init__(
        self,
        base_url: str,
        username: SecretStr,
        password: SecretStr,
        session: Session | None = None,
    ) -> None:
        self.base_url = base_url
        self._form = {"username": username, "password": password, "remember-me": "true"}
        self._session = session or Session(keeps_cookies=True, pool_size=2)
        self._lock = threading.RLock()
        self._signed_in = False
        self._refused = False

    def ask(
        self,
        request: Request,
        *,
        stats: ExtractStats,
        classify_response: Classifier | None = None,
        sequence: int = 1,
    ) -> Response:
        """Send one request; sign in, or sign in again, if necessary.

        ``classify_response`` sees responses with status 200 that are neither HTML nor a refusal.

        Raises:
            CredentialsRefused: now, or earlier in this process.
            AccessDenied: freshly signed in, and still not allowed.
            RequestRefused, TryLater, AnswerNotTrusted: see ``transport.session``.
        """
        with self._lock:
            renewed = False
            for _ in range(MOST_ROUNDS):
                self._ensure_signed_in(stats)
                attempts = _Attempts()
                try:
                    reply = self._exchange(
                        self._add_token(request, stats),
                        stats=stats,
                        sequence=sequence,
                        gate=attempts,
                        classify_response=partial(
                            _classify_answer, classify_response=classify_response, renewed=renewed
                        ),
                    )
                    return reply.answer
                except _SessionLost as lost:
                    if attempts.made > 1:
                        continue
                    if renewed:
                        raise _lost_again_error(request, lost) from lost
                    self._signed_in, renewed = False, True
            raise TryLater(f"{request}: the session was lost {MOST_ROUNDS} times in a row.")

    def check(self, stats: ExtractStats) -> None:
        """Sign in, unless signed in already. Raises CredentialsRefused and what a request can raise."""
        with self._lock:
            self._ensure_signed_in(stats)

    def close(self) -> None:
        """Close the connections. The session stays signed in, and opens new ones when needed."""
        self._session.close()

    def _ensure_signed_in(self, stats: ExtractStats) -> None:
        if self._refused:
            raise CredentialsRefused(
                "Tellody refused these credentials before; they are not tried again.",
                hint=_HINT,
            )
        if self._signed_in:
            return
        try:
            self._sign_in(stats)
        except CredentialsRefused:
            self._refused = True
            raise
        self._signed_in = True
        log.info("signed in at %s", urlsplit(self.base_url).hostname)

    def _sign_in(self, stats: ExtractStats) -> None:
        login = Request("POST", self.base_url + LOGIN_PATH, form=self._form)
        for _ in range(MOST_ROUNDS):
            self._session.forget_cookies()
            attempts = _Attempts()
            try:
                self._exchange(
                    self._add_token(login, stats),
                    stats=stats,
                    gate=attempts,
                    classify_response=_classify_sign_in,
                    attempts=SIGN_IN_ATTEMPTS,
                )
                return
            except _SessionLost as lost:
                if lost.moved is not None:
                    raise _redirect_error(lost.moved) from lost
                if not attempts.made:
                    raise _ping_refused_error(lost) from lost
                if attempts.made == 1:
                    raise _credentials_error() from lost
        raise TryLater(f"{login}: the sign-in was cut off {MOST_ROUNDS} times in a row.")

    def _exchange(self, request: Request, **named: Any) -> Reply:
        """Make one exchange; a redirect may lead to a login page, and means that the session is lost."""
        try:
            return self._session.exchange(request, **named)
        except Redirected as moved:
            raise _SessionLost(f"HTTP {moved.status}", moved) from moved

    def _add_token(self, request: Request, stats: ExtractStats) -> Request:
        ping = Request("GET", self.base_url + PING_PATH)
        reply = self._exchange(ping, stats=stats, classify_response=_classify_ping)
        token = SecretStr(remember_secret(reply.headers[TOKEN_HEADER], passing=True))
        return Request(
            request.method,
            request.url,
            params=request.params,
            json=request.json,
            form=request.form,
            headers={TOKEN_HEADER: token},
        )


def _classify_ping(reply: Reply) -> None:
    if reply.status in (401, 403):
        raise _SessionLost(f"HTTP {reply.status} to a ping")
    _refuse_client_errors(reply, "the ping before each request")
    if reply.status < 400 and not reply.headers.get(TOKEN_HEADER):
        raise Transient(f"the ping came without {TOKEN_HEADER}")


def _classify_sign_in(reply: Reply) -> None:
    """Classify a sign-in by its body, since the status of a refusal is not reliable."""
    said = _read_short_json(reply)
    if said is not None and said.get("access-denied"):
        raise _credentials_error()
    if reply.status == 401:
        raise _credentials_error()
    if reply.status == 403:
        raise _SessionLost("HTTP 403")
    _refuse_client_errors(reply, "the sign-in")
    if reply.status >= 500:
        return
    if said is None:
        raise Transient("the sign-in was answered with no JSON")
    if said.get("status") != "success":
        raise _credentials_error()


def _classify_answer(
    reply: Reply, classify_response: Classifier | None, renewed: bool
) -> Response | None:
    """Classify a response; ``renewed``: just signed in, so an HTML page is an outage, not a login page."""
    if reply.status in (401, 403):
        raise _SessionLost(f"HTTP {reply.status}")
    _refuse_client_errors(reply, "the request")
    if reply.status >= 400:
        return None
    if reply.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        if renewed:
            raise Transient("an HTML page came instead of JSON")
        raise _SessionLost("an HTML page")
    said = _read_short_json(reply)
    if said is not None and said.get("access-denied"):
        raise _SessionLost("access denied")
    return classify_response(reply) if classify_response is not None else None


def _refuse_client_errors(reply: Reply, what: str) -> None:
    if 400 <= reply.status < 500 and reply.status not in (408, 425, 429):
        raise RequestRefused(
            f"Tellody answers {what} with HTTP {reply.status}.",
            hint="check TELLODY_BASE_URL and TELLODY_PAYMENTS_URL.",
        )


def _read_short_json(reply: Reply) -> dict[str, Any] | None:
    """Read a short response if it is a JSON object: refusals are short, reports need not be."""
    if len(reply.body) > LONGEST_REFUSAL:
        return None
    try:
        said = json.loads(reply.body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _ping_refused_error(lost: _SessionLost) -> RequestRefused:
    return RequestRefused(
        f"Tellody answers the ping before the sign-in with {lost.how.removesuffix(' to a ping')}.",
        hint="check TELLODY_BASE_URL and TELLODY_PAYMENTS_URL.",
    )


def _redirect_error(moved: Redirected) -> RequestRefused:
    return RequestRefused(
        moved.what,
        hint="check that TELLODY_BASE_URL and TELLODY_PAYMENTS_URL name the host that answers.",
    )


def _lost_again_error(request: Request, lost: _SessionLost) -> Exception:
    if lost.moved is not None:
        return AnswerNotTrusted(
            f"{request} is answered with a redirect ({lost.moved.status}) {lost.moved.target},"
            " though freshly signed in.",
            hint="check that TELLODY_BASE_URL and TELLODY_PAYMENTS_URL name the host that answers.",
        )
    return AccessDenied(
        f"{request}: {lost.how}, though freshly signed in.",
        hint="ask Tellody whether this user may read the report.",
    )


def _credentials_error() -> CredentialsRefused:
    return CredentialsRefused("Tellody refused the credentials; not tried again.", hint=_HINT)
