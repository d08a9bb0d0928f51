"""A single attempt of an exchange: prepare the request, send it, read the response, classify it.

Exceptions of requests and urllib3 end here. They hold the request with its headers, so they are
described in our own words and dropped: none of them is the cause or context of what is raised.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from dagster_project import clock
from dagster_project.concurrency import Abandoned
from dagster_project.errors import (
    AnswerNotTrusted,
    AnswerTooLarge,
    RequestRefused,
    TryLater,
    WarehouseError,
)
from dagster_project.model.response import ExtractStats, Response
from dagster_project.text.raw_json import has_longer_text
from dagster_project.transport.connection import Attempt, Timeouts, current_attempt
from dagster_project.transport.exchange import (
    Classifier,
    ExchangeResult,
    Gate,
    Redirected,
    Reply,
    Request,
    Transient,
    retry_after,
)
from dagster_project.transport.redaction import (
    describe,
    is_certificate_error,
    reveal,
    show_target,
    texts_in,
)

TOO_MANY_REQUESTS = 429
TRANSIENT_STATUSES = frozenset({408, 425, TOO_MANY_REQUESTS, *range(500, 600)})
CHUNK_BYTES = 1 << 16
LONGEST_TEXT = 8 << 20
"""Bytes of one text in the JSON; decoding it takes several times its memory."""

Pause = Callable[[float, threading.Event | None], None]

_counting = threading.Lock()


class DirectSession(requests.Session):
    """A session of ``requests`` that follows no redirects, and uses no proxy for this machine itself."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None

    def settings_for(self, url: str) -> dict[str, Any]:
        merged = dict(self.merge_environment_settings(url, {}, True, True, None))
        if urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1"):
            merged["proxies"] = {}
        return merged


@dataclass(frozen=True, slots=True)
class SingleAttempt:
    """One attempt: call it without arguments to make it and get the reply."""

    http: DirectSession
    request: Request
    stats: ExtractStats
    sequence: int
    classify_response: Classifier | None
    gate: Gate
    timeouts: Timeouts
    max_bytes: int
    stop: threading.Event | None

    def __call__(self) -> Reply:
        prepared = self._prepare()
        self._raise_if_abandoned()
        self.gate.before_attempt()
        attempt = Attempt(
            timeouts=self.timeouts,
            acquire=self.gate.acquire,
            on_sent=self.gate.on_sent,
            raise_if_abandoned=self._raise_if_abandoned,
            on_sending=self._count_request,
        )
        token = current_attempt.set(attempt)
        reply: Reply | None = None
        error: BaseException | None = None
        try:
            reply = self._transfer(prepared, attempt)
            return self._classify(reply)
        except BaseException as raised:
            error = raised
            raise
        finally:
            current_attempt.reset(token)
            demanded = retry_after(reply.headers, datetime.now(UTC)) if reply else None
            if isinstance(error, Transient):
                error.retry_after = demanded
            self.gate.after_attempt(ExchangeResult(attempt.sent, reply, error, demanded))

    def _raise_if_abandoned(self) -> None:
        if self.stop is not None and self.stop.is_set():
            raise Abandoned("the exchange was given up")

    def _count_request(self) -> None:
        with _counting:
            self.stats.requests += 1

    def _note_latency(self, seconds: float) -> None:
        with _counting:
            quickest = self.stats.latency
            self.stats.latency = seconds if quickest is None else min(quickest, seconds)

    def _note_429(self) -> None:
        """Count a 429, which should never come, for the extraction's notes and ``warehouse metrics``."""
        with _counting:
            self.stats.notes["answers_429"] = self.stats.notes.get("answers_429", 0) + 1

    def _prepare(self) -> requests.PreparedRequest:
        request = self.request
        try:
            return self.http.prepare_request(
                requests.Request(
                    method=request.method,
                    url=request.url,
                    params=reveal(request.params),
                    json=reveal(request.json),
                    data=reveal(request.form),
                    headers={k: str(v).encode() for k, v in reveal(request.headers).items()},
                )
            )
        except (requests.RequestException, ValueError, TypeError) as error:
            kind = type(error).__name__
        raise RequestRefused(
            f"{request} cannot be built ({kind}).", hint="check the URL and the credentials."
        )

    def _transfer(self, prepared: requests.PreparedRequest, attempt: Attempt) -> Reply:
        """Send the request and read the whole response; failures are raised in our own words."""
        failure: Exception
        try:
            response = self.http.send(
                prepared,
                timeout=(self.timeouts.connect, self.timeouts.read),
                allow_redirects=False,
                **self.http.settings_for(str(prepared.url)),
            )
            with response:
                self._note_latency((clock.now() - attempt.asked_at).total_seconds())
                came = monotonic()
                self.gate.on_headers()
                attempt.deadline += monotonic() - came
                body = self._read(response)
            answer = Response(
                sequence=self.sequence,
                request=self.request.summary(),
                asked_at=attempt.asked_at,
                received_at=clock.now(),
                status=response.status_code,
                content_type=response.headers.get("Content-Type", ""),
                body=body,
            )
            return Reply(answer, response.headers)
        except (Abandoned, WarehouseError):
            raise
        except ValueError as error:
            kind = type(error).__name__
            failure = RequestRefused(f"{self.request} cannot be sent ({kind}).")
            if attempt.sent:  # then it is the answer: two lengths, or a chunk of less than nothing
                failure = Transient(f"the response cannot be read ({kind})")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = Transient(describe(error))
            if is_certificate_error(error):
                failure = TryLater(
                    f"{self.request}: {failure}.",
                    hint="check the host, or name its authority in REQUESTS_CA_BUNDLE.",
                )
        raise failure

    def _read(self, response: requests.Response) -> bytes:
        self._refuse_encodings(response.headers.get("Content-Encoding", ""))
        body = io.BytesIO()  # returns its bytes without copying them
        too_large = ""
        for chunk in response.raw.stream(CHUNK_BYTES, decode_content=True):
            if body.tell() + len(chunk) > self.max_bytes:
                too_large = f"more than {self.max_bytes >> 20} MB"
                break
            body.write(chunk)
        if (
            not too_large
            and body.tell() > LONGEST_TEXT
            and has_longer_text(body.getvalue(), LONGEST_TEXT)
        ):
            too_large = f"with a text of more than {LONGEST_TEXT >> 20} MB"
        if too_large:
            body.close()  # else it would live as long as the error, whose traceback holds it
            raise self._too_large_error(too_large)
        return body.getvalue()

    def _refuse_encodings(self, encodings: str) -> None:
        """Refuse other encodings than gzip: several layers of compression can unfold to any size."""
        if encodings.strip().lower() not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise AnswerNotTrusted(
                f"{self.request} is answered in an encoding that was not requested.",
                hint="ask whoever runs the server, or a proxy before it.",
            )

    def _too_large_error(self, how: str) -> AnswerTooLarge:
        return AnswerTooLarge(
            f"{self.request} returns {how}. The rows loaded before stay.",
            hint="ask for fewer days at once; if a single day is too large, tell the vendor.",
        )

    def _classify(self, reply: Reply) -> Reply:
        if 300 <= reply.status < 400:
            raise self._redirect_error(reply)
        fault: Transient | None = None
        try:
            if self.classify_response is not None:
                reply = replace(reply, answer=self.classify_response(reply) or reply.answer)
        except Transient as raised:
            fault = raised
        status = reply.status
        if status == TOO_MANY_REQUESTS:
            self._note_429()
        if status in TRANSIENT_STATUSES:
            fault = Transient(f"HTTP {status}" + (f", {fault.what}" if fault else ""))
        if fault is not None:
            raise fault
        return reply

    def _redirect_error(self, reply: Reply) -> Redirected:
        request, location = self.request, reply.headers.get("Location", "")
        sent = (request.headers, request.params, request.json, request.form)
        target = show_target(location, request.url, list(texts_in(sent))) if location else None
        return Redirected(request, reply.status, target)
