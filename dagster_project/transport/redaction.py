"""Keep secrets out of logs, errors and stored requests.

A secret is a ``pydantic.SecretStr`` from the settings until a request is prepared; a request is shown
with a placeholder in its place. Exceptions of ``requests`` and urllib3 hold the request with its headers,
or quote a header: ``describe`` turns them into a few words, and they are dropped.
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urljoin, urlsplit

import requests
import urllib3
from pydantic import SecretStr

HIDDEN = "[hidden]"
SHORTEST_SECRET = 6
LONGEST_HOST, LONGEST_TARGET = 100, 200

_TOKEN = re.compile(r"(?=.*\d)(?:.{20,}|\+?[\d() .-]{7,})", re.DOTALL)

_DESCRIPTIONS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLCertVerificationError, "the TLS certificate was not accepted"),
    (urllib3.exceptions.NameResolutionError, "the host name could not be resolved"),
    (ConnectionRefusedError, "connection refused"),
    (urllib3.exceptions.NewConnectionError, "no connection"),
    (requests.ConnectTimeout, "no connection in time"),
    (urllib3.exceptions.ConnectTimeoutError, "no connection in time"),
    (requests.ReadTimeout, "the response was not complete in time"),
    (urllib3.exceptions.ReadTimeoutError, "the response was not complete in time"),
    (urllib3.exceptions.IncompleteRead, "the body was cut short"),
    (urllib3.exceptions.InvalidChunkLength, "the body was cut short"),
    (urllib3.exceptions.DecodeError, "the body could not be decompressed"),
    (ConnectionResetError, "connection reset"),
    (ConnectionError, "connection lost"),
    (ssl.SSLError, "the TLS connection failed"),
    (requests.exceptions.ProxyError, "the proxy failed"),
    (urllib3.exceptions.ProtocolError, "the response was cut off"),
)


def reveal(value: Any) -> Any:
    """The value with its secrets in clear, only for sending."""
    return _replace_secrets(value, lambda secret: secret.get_secret_value())


def hide(value: Any) -> Any:
    """The value as it may be stored and shown."""
    return _replace_secrets(value, lambda _: HIDDEN)


def _replace_secrets(value: Any, of_secret: Any) -> Any:
    if isinstance(value, SecretStr):
        return of_secret(value)
    if isinstance(value, Mapping):
        return {key: _replace_secrets(item, of_secret) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replace_secrets(item, of_secret) for item in value]
    return value


def texts_in(value: Any) -> Iterator[str]:
    """Every text in the value, secrets included: texts that must not be shown when a response repeats them."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, str):
        yield value


def show_target(location: str, asked: str, secrets: Collection[str]) -> str:
    """The target of a redirect as it may be shown: ``host: URL`` without credentials and query.

    Parts of the path that were in the request, or that look like a token or a phone number, are hidden.
    """
    try:
        target = urlsplit(urljoin(asked, location.strip()))
        host, port = target.hostname or "", f":{target.port}" if target.port else ""
    except ValueError:
        return "a target that is no URL"
    words = [word for secret in secrets for word in secret.split() if len(word) >= SHORTEST_SECRET]
    parts = [_shown_part(unquote(part), words) for part in target.path.split("/")]
    host = quote(host[:LONGEST_HOST], safe=":.-_")
    url = f"{target.scheme}://{host}{port}{'/'.join(parts)}"
    return f"{host}: {url[:LONGEST_TARGET]}"


def _shown_part(part: str, secrets: Collection[str]) -> str:
    part = part.partition(";")[0]
    if _TOKEN.fullmatch(part) or any(secret in part for secret in secrets):
        return HIDDEN
    return quote(part)


def describe(error: BaseException) -> str:
    """Describe a failure in our own words, without the exception's text, which may quote headers."""
    chain = list(_causes(error))
    for kind, words in _DESCRIPTIONS:
        if any(isinstance(link, kind) for link in chain):
            return words
    return f"the transfer failed ({type(error).__name__})"


def is_certificate_error(error: BaseException) -> bool:
    return any(isinstance(link, ssl.SSLCertVerificationError) for link in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    todo, seen = [error], set[int]()
    while todo:
        link = todo.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        nested = (link.__cause__, link.__context__, getattr(link, "reason", None), *link.args)
        todo.extend(item for item in nested if isinstance(item, BaseException))


class _QuietFilter(logging.Filter):
    """Drops what urllib3 would log: query strings at DEBUG, unparsable headers at WARNING."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return False
        record.msg, record.args = "urllib3: %s", (str(record.msg).split("(")[0].split("%")[0],)
        record.exc_info = record.exc_text = None
        return True


_QUIET: Final = _QuietFilter()


def silence_urllib3() -> None:
    """Make urllib3's loggers safe in this process; a second call changes nothing."""
    for name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
        logging.getLogger(f"urllib3.{name}").addFilter(_QUIET)
