"""The way into the played Tellody: pings and their tokens, the form login, sessions that end.

A token serves one request of the session that pinged it. A sign-in starts a new session under a new
cookie. What is asked without a session is answered as ``Config.lost_how`` says.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from dagster_project.sandbox.faults import domain_fault
from dagster_project.sandbox.wire import HTML_PAGE
from dagster_project.sandbox.world import World

CAMPAIGN_CLOUD = "/CampaignCloud"
COOKIE = "JSESSIONID"
TOKEN = "X-XSRF-TOKEN"
REFUSED = {"access-denied": True, "cause": "badCredentials", "message": "Bad credentials"}


@dataclass
class _Session:
    tokens: set[str] = field(default_factory=set)
    signed_in_at: datetime | None = None
    requests: int = 0


class Door:
    """Keeps the sessions. ``config`` is the vendor's."""

    def __init__(self, world: World, config: Any) -> None:
        self._world = world
        self._config = config
        self._sessions: dict[str, _Session] = {}
        self.signed_in = 0
        self.refused = 0

    async def ping(self, request: Request) -> Response:
        key, session = self._session_of(request)
        token = secrets.token_urlsafe(16)
        if not self._config.single_use_tokens and session.tokens:
            token = next(iter(session.tokens))
        session.tokens.add(token)
        answer = JSONResponse({"status": "ok"}, headers={TOKEN: token})
        answer.set_cookie(COOKIE, key, httponly=True)
        return answer

    async def login(self, request: Request) -> Response:
        key, session = self._session_of(request)
        if not self._take_token(request, session):
            return JSONResponse({"error": "Forbidden", "message": "Invalid CSRF token"}, 403)
        given = {name: values[-1] for name, values in parse_qs(_text(await request.body())).items()}
        wanted = {"username": self._config.username, "password": self._config.password}
        right = all(given.get(name) == value for name, value in wanted.items())
        locked = self.refused >= self._config.lock_after
        if not right or locked or "remember-me" not in given:
            self.refused += 1
            return JSONResponse(REFUSED, self._config.refusal_status)
        self.signed_in += 1
        self._sessions.pop(key, None)
        key = secrets.token_urlsafe(16)
        self._sessions[key] = _Session(signed_in_at=self._world.clock.now())
        answer = JSONResponse({"message": "Welcome", "status": "success"})
        answer.set_cookie(COOKIE, key, httponly=True)
        return answer

    def _session_of(self, request: Request) -> tuple[str, _Session]:
        key = request.cookies.get(COOKIE, "")
        if key not in self._sessions:
            key = secrets.token_urlsafe(16)
            self._sessions[key] = _Session()
        return key, self._sessions[key]

    def _take_token(self, request: Request, session: _Session) -> bool:
        token = request.headers.get(TOKEN, "")
        known = token in session.tokens
        if self._config.single_use_tokens:
            session.tokens.discard(token)
        return known

    def shut_out(self, request: Request) -> Response | None:
        """The answer to whoever is not signed in, or comes without a token of the session."""
        key, session = self._session_of(request)
        session.requests += 1
        fault = domain_fault(request, "session_lost")
        if fault or self._is_over(session):
            self._sessions.pop(key, None)
            return _lost(fault.params.get("how") if fault else self._config.lost_how)
        if domain_fault(request, "token_lost") or not self._take_token(request, session):
            return JSONResponse({"error": "Forbidden", "message": "Invalid CSRF token"}, 403)
        return None

    def _is_over(self, session: _Session) -> bool:
        if session.signed_in_at is None:
            return True
        age = (self._world.clock.now() - session.signed_in_at).total_seconds()
        config = self._config
        return bool(
            (config.session_seconds and age >= config.session_seconds)
            or (config.session_requests and session.requests > config.session_requests)
        )


def _lost(how: str | None) -> Response:
    if how == "html":
        return Response(HTML_PAGE, media_type="text/html")
    if how == "redirect":
        return RedirectResponse(f"{CAMPAIGN_CLOUD}/login.html", 302)
    if how == "denied":
        return JSONResponse({"access-denied": True, "cause": "notAuthenticated"}, 200)
    return JSONResponse({"error": "Unauthorized"}, int(how or 401))


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")
