"""Trust's access token: fetched once, kept until shortly before it expires, renewed on demand.

``POST {auth}/oauth/token/`` with client credentials as JSON returns ``access_token`` and ``expires_in`` (7200 s). Its
age counts from just before the request, by this process's clock: the vendor's ``created_at`` is by another clock.
Refused credentials are not tried again in this process.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from dagster_project.errors import AnswerNotTrusted, CredentialsRefused, RequestRefused
from dagster_project.model.response import ExtractStats
from dagster_project.text.scrub import remember_secret
from dagster_project.transport.attempt import TRANSIENT_STATUSES
from dagster_project.transport.exchange import Reply, Request, Transient, decode_json
from dagster_project.transport.session import Session
from dagster_project.vendors.trust.settings import TrustSettings

TOKEN_PATH: Final = "/oauth/token/"  # noqa: S105 - a path
DEFAULT_LIFE: Final = 7200.0
LONGEST_MARGIN: Final = 60.0
CREDENTIAL_ERRORS: Final = frozenset(
    {"invalid_client", "invalid_grant", "unauthorized_client", "access_denied"}
)

_refused: set[bytes] = set()


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """A token. ``authorization`` is the whole header value; ``good_until`` a monotonic second."""

    authorization: SecretStr
    good_until: float


class TokenSource:
    """The token of one set of credentials; safe to use from many threads."""

    def __init__(
        self,
        settings: TrustSettings,
        session: Session,
        *,
        stop: threading.Event | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._session = session
        self._stop = stop
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._token: Token | None = None

    def current(self, stats: ExtractStats, *, instead_of: Token | None = None) -> Token:
        """Get a valid token; a new one if the current one is ``instead_of``, or expires soon.

        Raises:
            CredentialsRefused: now, or earlier in this process.
        """
        with self._lock:
            token = self._token
            if token is None or token is instead_of or self._monotonic() >= token.good_until:
                token = self._token = self._fetch(stats)
            return token

    def _fetch(self, stats: ExtractStats) -> Token:
        fingerprint = _fingerprint(self._settings)
        if fingerprint in _refused:
            raise _credentials_error()
        asked_at = self._monotonic()
        request = Request(
            "POST",
            self._settings.auth_url + TOKEN_PATH,
            json={
                "client_id": self._settings.client_id,
                "client_secret": self._settings.client_secret,
                "grant_type": "client_credentials",
            },
        )
        try:
            reply = self._session.exchange(
                request, stats=stats, classify_response=_classify_response, stop=self._stop
            )
        except CredentialsRefused:
            _refused.add(fingerprint)
            raise
        token, life = _token_in(reply)
        margin = min(LONGEST_MARGIN, life / 10)
        return Token(
            SecretStr(f"Bearer {remember_secret(token, passing=True)}"), asked_at + life - margin
        )


def _classify_response(reply: Reply) -> None:
    """Accept a token, and a transient status, which the session retries."""
    said, unread = _read_object(reply)
    if reply.status in (401, 403) or said.get("code") in (401, 403):
        raise _credentials_error()
    if said.get("error") in CREDENTIAL_ERRORS:
        raise _credentials_error()
    if reply.status in TRANSIENT_STATUSES:
        return
    if reply.status >= 400:
        raise RequestRefused(
            f"the token service refuses the request (HTTP {reply.status}).",
            source="trust",
            hint="check TRUST_AUTH_URL and TRUST_CLIENT_ID.",
        )
    if unread is not None:
        raise unread
    _token_in(reply)


def _token_in(reply: Reply) -> tuple[str, float]:
    """Read the token, and its lifetime in seconds."""
    said, _ = _read_object(reply)
    token = said.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        raise AnswerNotTrusted("the token service answered without a token.", source="trust")
    return token, _lifetime(said.get("expires_in"))


def _read_object(reply: Reply) -> tuple[dict[str, Any], Transient | None]:
    """Read the body's object (empty for anything else), and the reason if it could not be read."""
    try:
        answer = decode_json(reply)
    except Transient as fault:
        return {}, fault
    return (answer if isinstance(answer, dict) else {}), None


def _lifetime(expires_in: Any) -> float:
    """The lifetime in seconds; the documented two hours if the response has none."""
    known = isinstance(expires_in, int | float) and not isinstance(expires_in, bool)
    return float(expires_in) if known and 0 < expires_in < 10**9 else DEFAULT_LIFE


def _fingerprint(settings: TrustSettings) -> bytes:
    parts = (
        settings.auth_url,
        settings.client_id.get_secret_value(),
        settings.client_secret.get_secret_value(),
    )
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).digest()


def _credentials_error() -> CredentialsRefused:
    return CredentialsRefused(
        "Trust does not accept the client credentials; they are not tried again.",
        source="trust",
        hint="correct TRUST_CLIENT_ID and TRUST_CLIENT_SECRET.",
    )
