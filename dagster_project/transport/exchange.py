"""The types of an exchange: request, reply, errors, gate and classifier. ``session`` sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import isnan
from typing import Any
from urllib.parse import urlsplit

from dagster_project.errors import AnswerNotTrusted, RequestRefused
from dagster_project.model.response import Response
from dagster_project.text.raw_json import stray_text
from dagster_project.transport.redaction import hide


class Transient(Exception):
    """A failure that another attempt may mend. ``what`` is safe to show: it is in our own words."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.retry_after: float | None = None
        super().__init__(what)


class Redirected(RequestRefused):
    """The vendor answered with a redirect, which is reported and not followed."""

    def __init__(self, request: Request, status: int, target: str | None) -> None:
        self.status = status
        self.target = f"to {target}" if target else "that names no target"
        super().__init__(
            f"{request} is answered with a redirect ({status}) {self.target}.",
            hint="redirects are not followed: set the URL to where the vendor answers.",
        )


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send. At most one of ``json`` and ``form``; headers and form are never shown."""

    method: str
    url: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    form: Mapping[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def summary(self) -> dict[str, Any]:
        """The request as it may be stored: method, host, path, and parameters without secrets."""
        parts = urlsplit(self.url)
        shown: dict[str, Any] = {
            "method": self.method,
            "host": parts.netloc.rpartition("@")[2],
            "path": parts.path,
        }
        if self.params:
            shown["params"] = hide(self.params)
        if self.json is not None:
            shown["json"] = hide(self.json)
        return shown

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f"{self.method} {parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True, slots=True)
class Reply:
    """A response with its headers, which may hold cookies and tokens and so are not printed."""

    answer: Response = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def body(self) -> bytes:
        return self.answer.body


@dataclass(frozen=True, slots=True)
class ExchangeResult:
    """The result of one attempt: ``reply`` if a whole response came, ``error`` if it was not accepted."""

    sent: bool
    reply: Reply | None
    error: BaseException | None
    retry_after: float | None


class Gate:
    """Hooks around every attempt; a vendor with limits overrides them. Called in the sending thread.

    ``before_attempt`` may refuse the attempt by raising. ``acquire`` is called on the open connection:
    it returns True to send at this instant, False after having waited. ``on_sent`` is called right after
    sending. ``on_headers`` may wait between a response's head and its body; the deadline is extended by
    that wait. ``after_attempt`` always follows a ``before_attempt`` that returned.
    """

    def before_attempt(self) -> None:
        return None

    def acquire(self) -> bool:
        return True

    def on_sent(self) -> None:
        return None

    def on_headers(self) -> None:
        return None

    def after_attempt(self, outcome: ExchangeResult) -> None:
        return None


Classifier = Callable[[Reply], Response | None]
"""Accepts a reply, or raises. If it had to decode the body, it returns the response with the decoded page;
else None."""


def _parse_integer(digits: str) -> float:
    """A JSON integer; as a float if Python refuses to read it (more than 4,300 digits)."""
    return int(digits) if len(digits) <= 4300 else float(digits)


def decode_json(reply: Reply) -> Any:
    """Read the body as JSON, whatever its content type; a byte order mark is skipped.

    Its numbers may be however long.

    Raises:
        Transient: the body is empty, an HTML page, or not whole JSON in UTF-8.
        AnswerNotTrusted: other text stands before or after the JSON.
    """
    fault = "the body is not whole JSON"
    try:
        text = reply.body.decode("utf-8-sig").strip()
        if text and not text.startswith("<"):
            return json.loads(text, parse_int=_parse_integer)
        fault = "an HTML page came instead of JSON" if text else "the body is empty"
    except (ValueError, RecursionError):
        pass
    text = ""  # a traceback may be shown with its variables
    if reply.status < 400 and (where := stray_text(reply.body)):
        raise AnswerNotTrusted(
            f"the answer is not JSON alone: there is other text {where} it.",
            hint="run again; if it repeats, tell the vendor.",
        )
    raise Transient(fault)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds to wait by a ``Retry-After`` header, which has seconds or an HTTP date."""
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return None if isnan(seconds) else max(seconds, 0.0)
