"""Remove secrets and telephone numbers from texts that are logged, stored or shown.

Every secret of this process is remembered here, in all the forms in which others may write it
(URL-encoded, base64, escaped for JSON, HTML or Python). Texts pass one of these:

- ``hide_secrets``, for any text: hides secrets; numbers stay.
- ``scrub_text``, for our own sentences and texts of exceptions: hides telephone numbers too; dates stay.
- ``quote_text`` (in a sentence) and ``mask_personal`` (a name), for what a vendor or a person wrote:
  hide any seven digits in a row, however they are spaced.

Errors, log records, Dagster's storage, the ledger and the alarms pass their texts through here, so
whoever raises or logs something need not do it.
"""

from __future__ import annotations

import base64
import html
import json
import re
import sys
import threading
import traceback
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

HIDDEN: Final = "[hidden]"
NUMBER: Final = "…"
LONGEST_QUOTE: Final = 300

_LEFT_BY_ENCODERS: Final = ("", "/", "!'()*", "!#$%&'()*+,/:;=?@[]~")
"""Characters left unencoded in a URL: in a value, in a path, by browsers, and by ``requests``."""
_SHORTEST: Final = 4
_SHORTEST_INSIDE_A_WORD: Final = 8
_PASSING: Final = 64
_ESCAPED_TWICE: Final = 2
_ORDINARY: Final = frozenset({"postgres", "postgresql", "warehouse", "dagster", "password"})
"""Words of our own messages, beside the vendors' names: hiding them would spoil each, and tell that one
of them is a password."""

_SETTINGS: Final = re.compile(
    r"(?:WAREHOUSE|PII|DAGSTER|ALARM|SUPERSET)_\w+|PGPASSWORD|(?i:https?|all)_(?i:proxy)"
)
_SECRET_SETTINGS: Final = re.compile(
    r"\w*_(?:TOKEN|PASSWORD|SECRET|SECRET_KEY|HASH_KEY|HASH_KEY_NEW|CLIENT_ID|WEBHOOK_URL)(?:_\d+)?"
    r"|PGPASSWORD"
)
_URL_PASSWORD: Final = re.compile(r"[?&\s]password=([^&\s]+)")

_UUID: Final = r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"
_HASH: Final = r"\b(?=\d*[a-f])[0-9a-f]{16,}\b"
_DATE: Final = r"(?<!\d)(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?!\d)"
_ADDRESS: Final = r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)"
_DECIMAL: Final = r"(?<![\d.])\d{1,9}\.\d+(?!\.?\d)"
_BETWEEN: Final = r"[\s().\-‐-―−/\u200b-\u200f\u2060\ufeff]{0,3}"
_NEXT_DIGIT: Final = rf"(?:{_BETWEEN}(?!{_DATE}|{_ADDRESS})\d)"
_PHONE: Final = re.compile(
    rf"(?P<kept>{_UUID}|{_HASH}|{_DATE}|{_ADDRESS}|{_DECIMAL})"
    rf"|\+{_NEXT_DIGIT}{{7,}}|(?<!\d)\d{_NEXT_DIGIT}{{9,}}"
)
_DIGITS: Final = re.compile(r"\+?\d(?:[\W_]{0,3}\d){6,}")
_EMAIL: Final = re.compile(r"[^\s@«»\"']+@[^\s@«»\"']+")


class _Secrets:
    """The secrets of this process, each with its forms. Secrets of settings stay; of short-lived ones,
    such as a vendor's token for one request, the latest are kept.

    A pattern is compiled only where a text has one of the forms: with a new token for each request, that
    would cost more than the request.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lasting: dict[str, set[str]] = {}
        self._passing: dict[str, set[str]] = {}
        self._lowered: tuple[str, ...] | None = ()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secrets: Iterable[str], *, passing: bool = False) -> None:
        with self._lock:
            for one in secrets:
                known = one in self._lasting or one in self._passing
                if known or len(one) < _SHORTEST or one.lower() in _ORDINARY:
                    continue
                (self._passing if passing else self._lasting)[one] = _forms(one)
                if len(self._passing) > _PASSING:
                    del self._passing[next(iter(self._passing))]
                self._lowered = self._pattern = None

    def hide(self, text: str) -> str:
        lowered = text.lower()
        if not any(map(lowered.__contains__, self._lowered_forms())):
            return text
        return (self._pattern or self._compile()).sub(_hide_match, text)

    def _lowered_forms(self) -> tuple[str, ...]:
        found = self._lowered
        if found is None:
            with self._lock:
                found = self._lowered = tuple({form.lower() for form in self._forms()})
        return found

    def _compile(self) -> re.Pattern[str]:
        with self._lock:
            # The longest first: a token within a URL is hidden with the URL.
            forms = sorted(set(self._forms()), key=len, reverse=True)
            pattern = self._pattern = re.compile("|".join(map(_pattern_of, forms)), re.IGNORECASE)
            return pattern

    def _forms(self) -> Iterator[str]:
        for forms in (*self._lasting.values(), *self._passing.values()):
            yield from forms


_secrets = _Secrets()


def remember_secret(text: str, *, passing: bool = False) -> str:
    """Remember a secret, so that it is hidden in every text from now on; return it.

    ``passing``: it is short-lived, such as the token of one request.
    """
    _secrets.add([text], passing=passing)
    return text


def remember_settings(
    given: Mapping[str, str], *, vendors: Collection[str] = (), secret: Collection[str] = ()
) -> None:
    """Remember the secrets among these settings, by their names, and the passwords in URLs.

    ``vendors``: vendors' names, with which settings may begin. ``secret``: names of settings known to be
    secret. A value that another setting shows openly is no secret, such as a user name that is also an
    account's label.
    """
    names = [
        name
        for name in given
        if given[name] and (_SETTINGS.fullmatch(name) or name.partition("_")[0].lower() in vendors)
    ]
    secret = [name for name in names if name in secret or _SECRET_SETTINGS.fullmatch(name)]
    in_the_open = {given[name] for name in names if name not in secret}
    found = {given[name] for name in secret} - in_the_open
    for name in names:
        if "://" in given[name]:
            found.update(_secrets_in_url(given[name], whole=name in secret))
    _secrets.add(one for one in found if one.lower() not in vendors)


def hide_secrets(text: str) -> str:
    """Hide the secrets of this process in a text."""
    return _secrets.hide(text)


def scrub_text(text: str) -> str:
    """Hide secrets, and anything that looks like a telephone number."""
    return _PHONE.sub(lambda match: match["kept"] or NUMBER, hide_secrets(text))


def mask_personal(text: str) -> str:
    """Hide secrets, numbers and e-mail addresses in a text from outside, such as the name of a key."""
    text = "".join(map(_ascii_digit, hide_secrets(text)))
    return _DIGITS.sub(NUMBER, _EMAIL.sub("…", text))


def _ascii_digit(character: str) -> str:
    """The ASCII digit for any digit, such as a seven in a circle; other characters as they are."""
    digit = None if character.isascii() else unicodedata.digit(character, None)
    return character if digit is None else str(digit)


def quote_text(text: str) -> str:
    """Quote a text from outside in a sentence: masked, in quotation marks, on one line, shortened."""
    text = mask_personal(text)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"«{text[:LONGEST_QUOTE]}…»" if len(text) > LONGEST_QUOTE else f"«{text}»"


def scrub_uncaught_exceptions() -> None:
    """Scrub the traceback of an exception that ends a thread or the process."""
    sys.excepthook = _print_scrubbed
    threading.excepthook = lambda args: (
        _print_scrubbed(args.exc_type, args.exc_value, args.exc_traceback)
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit)
        else None
    )


def _print_scrubbed(
    kind: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    sys.stderr.write(scrub_text("".join(traceback.format_exception(kind, error, where))))


def _secrets_in_url(url: str, *, whole: bool) -> Iterator[str]:
    """A URL's password, as written and decoded; if the URL is itself a secret, its path too."""
    try:
        parts = urlsplit(url)
        passwords = [parts.password or "", *_URL_PASSWORD.findall(url)]
    except ValueError:
        return
    for password in passwords:
        yield password
        yield unquote(password)
    path = url.partition("://")[2].partition("/")[2]
    if whole and len(path) >= _SHORTEST_INSIDE_A_WORD:
        yield path


def _forms(secret: str) -> set[str]:
    """All forms in which others may write the secret."""
    forms = {secret, repr(secret)[1:-1], html.escape(secret), secret.replace("/", "\\/")}
    forms |= {quote_plus(secret), *(quote(secret, safe=safe) for safe in _LEFT_BY_ENCODERS)}
    for ascii_only in (True, False):
        escaped = secret
        for _ in range(_ESCAPED_TWICE):
            escaped = json.dumps(escaped, ensure_ascii=ascii_only)[1:-1]
            forms.add(escaped)
    encoded = {core for core in _base64_cores(secret) if len(core) >= _SHORTEST_INSIDE_A_WORD}
    return forms | encoded | {core.translate(_URL_SAFE) for core in encoded}


_URL_SAFE: Final = str.maketrans("+/", "-_")


def _base64_cores(secret: str) -> Iterator[str]:
    """The base64 forms of a secret at any offset, without the characters that depend on its neighbours."""
    data = secret.encode("utf-8", "surrogatepass")
    for before, spoilt in ((0, 0), (1, 2), (2, 3)):
        core = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        yield core[spoilt : -1 if (before + len(data)) % 3 else None]


def _pattern_of(form: str) -> str:
    """The pattern of one form; a short one must be a whole word, since it may be part of one by chance."""
    escaped = re.escape(form)
    return escaped if len(form) >= _SHORTEST_INSIDE_A_WORD else rf"(?<!\w){escaped}(?!\w)"


def _hide_match(match: re.Match[str]) -> str:
    """The replacement of a match; keeps its first character if a backslash escapes it, or JSON would break."""
    before = match.string[: match.start()]
    is_escaped = (len(before) - len(before.rstrip("\\"))) % 2
    return (match[0][0] if is_escaped else "") + HIDDEN
