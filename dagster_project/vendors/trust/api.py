"""Trust's statistics over HTTP: one request, with a token that is renewed once if it is refused.

``GET /campaigns/api/v1/company/{id}/statistics``, with or without a range of days. The envelope's ``code`` takes
precedence over the HTTP status. A single company can be refused: 401 with a new token, 403 and 404 concern the
company, not the credentials. No limit is documented; the session honours ``Retry-After``.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date
from typing import Final

from dagster_project.errors import AccessDenied, RequestRefused, WarehouseError
from dagster_project.model.response import ExtractStats, Response
from dagster_project.transport.attempt import TRANSIENT_STATUSES
from dagster_project.transport.exchange import Reply, Request, Transient, decode_json
from dagster_project.transport.session import Session
from dagster_project.vendors.trust.figures import Figures, read_figures
from dagster_project.vendors.trust.settings import TrustSettings
from dagster_project.vendors.trust.token import Token, TokenSource

SOURCE: Final = "trust"
STATISTICS_PATH: Final = "/campaigns/api/v1/company/{company}/statistics"

Bounds = tuple[date, date]


class Api:
    """The API's client; safe to use from many threads."""

    def __init__(self, settings: TrustSettings, session: Session | None = None) -> None:
        self._settings = settings
        self._session = session or Session(pool_size=4)
        self._stop = threading.Event()
        self._tokens = TokenSource(settings, self._session, stop=self._stop)
        self._denied: set[int] = set()

    def close(self) -> None:
        """Stop the exchanges under way, and close the connections."""
        self._stop.set()
        self._session.close()

    def sign_in(self, stats: ExtractStats) -> None:
        """Get a token. Raises CredentialsRefused."""
        self._tokens.current(stats)

    def fetch_figures(self, company: int, bounds: Bounds | None, stats: ExtractStats) -> Figures:
        """Fetch the figures of a range of days, both included, or of the rolling week."""
        return read_figures(self.ask(company, bounds, stats).body)

    def ask(
        self, company: int, bounds: Bounds | None, stats: ExtractStats, sequence: int = 1
    ) -> Response:
        """Fetch one response that is no error; its figures are not checked.

        Raises:
            AccessDenied: to this company.
            CredentialsRefused, RequestRefused, TryLater: see ``errors``.
        """
        try:
            answer = self._ask(self._request(company, bounds), company, stats, sequence)
        except WarehouseError as error:
            error.add_context(source=SOURCE, account=str(company))
            raise
        self._denied.discard(company)
        return answer

    def _request(self, company: int, bounds: Bounds | None) -> Request:
        names = self._settings.range_params
        return Request(
            "GET",
            self._settings.base_url + STATISTICS_PATH.format(company=company),
            params=dict(zip(names, map(date.isoformat, bounds), strict=True)) if bounds else None,
        )

    def _ask(self, request: Request, company: int, stats: ExtractStats, sequence: int) -> Response:
        token = self._tokens.current(stats)
        try:
            return self._send(request, token, stats, sequence)
        except _TokenRefused:
            if company in self._denied:
                raise _access_error(401) from None
        token = self._tokens.current(stats, instead_of=token)
        try:
            return self._send(request, token, stats, sequence)
        except _TokenRefused:
            self._denied.add(company)
            raise _access_error(401) from None

    def _send(self, request: Request, token: Token, stats: ExtractStats, sequence: int) -> Response:
        headers = {"Authorization": token.authorization, "Content-Type": "application/json"}
        return self._session.send(
            replace(request, headers=headers),
            stats=stats,
            sequence=sequence,
            classify_response=classify_response,
            stop=self._stop,
        )


class _TokenRefused(Exception):
    """401: the token or the company is refused."""


def classify_response(reply: Reply) -> None:
    """Accept a success and raise any error, by the body's code before HTTP's."""
    try:
        decoded = decode_json(reply)
    except Transient:
        if reply.status < 400:
            raise
        decoded = None
    code = reply.status
    said = decoded.get("code") if isinstance(decoded, dict) else None
    if type(said) is int and (said != 200 or reply.status < 400):
        code = said
    if code == 401:
        raise _TokenRefused
    if code in (403, 404):
        raise _access_error(code)
    if code in TRANSIENT_STATUSES:
        raise Transient(f"its code is {code}")
    if 400 <= code < 500:
        raise RequestRefused(
            f"the request is refused ({code}).",
            hint="check TRUST_RANGE_PARAMS, and whether the range is too long.",
        )


def _access_error(code: int) -> AccessDenied:
    return AccessDenied(
        f"the company's statistics are not open to these credentials ({code}).",
        hint="ask Trust for access, or take the company out of TRUST_COMPANY_IDS.",
    )
