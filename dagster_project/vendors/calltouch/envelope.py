"""Classify a Calltouch response by its body: a page, one of five documented errors, or neither.

The HTTP status of an error is not documented, so a 200 can be an error. The status decides only if the body
says nothing (empty, HTML, unknown JSON). The bodies for spent points and for too many requests are not
documented either; they are recognized by their words.

The vendor's texts are Russian. They are shown shortened, without anything personal: the account's name in the
no-access text, runs of digits, e-mail addresses.
"""

from __future__ import annotations

import json
import re
from typing import Any

from dagster_project.errors import (
    AccessDenied,
    AnswerNotTrusted,
    CredentialsRefused,
    QuotaSpent,
    RequestRefused,
    WarehouseError,
)
from dagster_project.text.raw_json import stray_text
from dagster_project.text.scrub import quote_text
from dagster_project.text.wording import shorten
from dagster_project.transport.exchange import Reply, Transient
from dagster_project.vendors.calltouch.pages import decode_page
from dagster_project.vendors.calltouch.sms_page import LARGEST_ERROR, NotJson, NotSmsPage

SOURCE = "calltouch"
VIOLATIONS_SHOWN = 5
HEAD, TAIL = 512, 64

NAMED_USER = re.compile(r"(Пользователь\s).+?(\sне имеет доступа)", re.DOTALL | re.IGNORECASE)

TRAILING_COMMA = re.compile(r",(\s*[}\]])")

NO_ACCESS = re.compile(r"не имеет доступа|нет доступа|access denied", re.IGNORECASE)
MISSING_FIELD = re.compile(r"не указано обязательное поле|обязательн\w+ пол", re.IGNORECASE)
BAD_CREDENTIALS = re.compile(r"invalid credentials|неверн\w+ токен|invalid token", re.IGNORECASE)
POINTS_SPENT = re.compile(r"\bбалл\w*|\bpoints?\b|суточн\w+ лимит|daily limit|quota", re.IGNORECASE)
TOO_MANY = re.compile(r"too many requests|слишком много запросов|\brate limit", re.IGNORECASE)


class ParametersRefused(RequestRefused):
    """The vendor accepts the credentials, and refuses the request's parameters."""


def classify_response(reply: Reply) -> None:
    """Accept a page without decoding it: it is recognized by its beginning and end, and decoded when used.

    Raises:
        Transient: another attempt may succeed.
        CredentialsRefused, AccessDenied, RequestRefused, QuotaSpent: the vendor says so.
        AnswerNotTrusted: the JSON has no documented form.
    """
    if not _looks_like_a_page(reply.body):
        failure: WarehouseError | Transient | None = None
        try:
            decode_page(reply.body)
        except NotJson:
            document = _read_leniently(reply.body)
            failure = error_of(document, reply) if document else _error_of_broken_body(reply)
        except NotSmsPage as other:
            failure = error_of(other.document, reply, str(other))
        if failure is not None:
            raise failure
    if reply.status >= 400:
        raise Transient(f"a page came with HTTP {reply.status}")


def _looks_like_a_page(body: bytes) -> bool:
    return b'"smsDetails"' in body[:HEAD] and body[-TAIL:].rstrip().endswith(b"}}")


def error_of(document: Any, reply: Reply, found: str = "") -> WarehouseError | Transient:
    """The error of a JSON response without rows; ``found`` says why it is no page."""
    data = document.get("data") if isinstance(document, dict) else None
    if isinstance(data, dict):
        if data.get("type") == "validationError":
            return ParametersRefused(
                f"the vendor refuses the parameters: {_describe_violations(data)}."
            )
        if data.get("type") == "apiError":
            return ParametersRefused(
                f"the vendor refuses the request: {_describe_api_error(data)}."
            )
        if isinstance(data.get("message"), str):
            return _error_of_message(data["message"], reply.status)
    if isinstance(document, dict) and isinstance(document.get("message"), str):
        return _error_of_message(document["message"], reply.status)
    return _error_of_status(reply.status, "") or unknown_form_error(
        found or "neither a page nor an error"
    )


def unknown_form_error(found: str) -> AnswerNotTrusted:
    """The error of a response of unknown form; asking again would not help."""
    return AnswerNotTrusted(
        f"the vendor answers in an unknown form: {found}. The rows loaded before stay.",
        hint="run again; if it repeats, tell the vendor.",
    )


def _error_of_message(message: str, status: int) -> WarehouseError | Transient:
    """The error of a vendor's message: documented texts first, then the words of undocumented ones."""
    text = quote_vendor(message)
    if BAD_CREDENTIALS.search(message):
        return CredentialsRefused(
            f"the vendor does not accept the token: {text}",
            hint="correct CALLTOUCH_ACCESS_TOKEN.",
        )
    if NO_ACCESS.search(message):
        return AccessDenied(
            f"the vendor denies access: {text}",
            hint="correct the site's number in CALLTOUCH_SITE_IDS, or have the grant for SMS mailings given to"
            " the token's user.",
        )
    if MISSING_FIELD.search(message):
        return ParametersRefused(f"the vendor says that a field is missing: {text}")
    if TOO_MANY.search(message):
        return Transient("too many requests")
    if POINTS_SPENT.search(message):
        return QuotaSpent(f"the vendor says that the day's points are spent: {text}")
    return _error_of_status(status, text) or RequestRefused(f"the vendor refuses: {text}")


def _read_leniently(body: bytes) -> Any:
    """Read an error's JSON with a trailing comma, as in the vendor's document; None if it is none."""
    if len(body) > LARGEST_ERROR:
        return None
    try:
        text = TRAILING_COMMA.sub(r"\1", body.decode("utf-8-sig"))
        document = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _error_of_broken_body(reply: Reply) -> WarehouseError | Transient:
    """The error of a body that is not JSON."""
    body = reply.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not body:
        return _error_of_status(reply.status, "") or Transient("the body is empty")
    said = "an HTML page" if body.startswith(b"<") else "a body that is not whole JSON"
    if failure := _error_of_status(reply.status, said):
        return failure
    if where := stray_text(reply.body):
        return unknown_form_error(f"there is other text {where} the JSON")
    return Transient(f"{said} came")


def _error_of_status(status: int, text: str) -> WarehouseError | Transient | None:
    """The error of a status alone; None if the status is no error."""
    what = f"HTTP {status}" + (f": {text}" if text else "")
    if status in (408, 425, 429) or status >= 500:
        return Transient(text or "no reason was given")
    if status == 401:
        return CredentialsRefused(
            f"the vendor answers {what}", hint="correct CALLTOUCH_ACCESS_TOKEN."
        )
    if status == 403:
        return AccessDenied(
            f"the vendor answers {what}",
            hint="correct the site's number in CALLTOUCH_SITE_IDS, or have the grant for SMS mailings given to"
            " the token's user.",
        )
    if status >= 400:
        return RequestRefused(
            f"the vendor answers {what}", hint="check CALLTOUCH_BASE_URL and _RESULT_PATH."
        )
    return None


def quote_vendor(text: str) -> str:
    """Quote a vendor's text, without the account's name in the no-access text."""
    return quote_text(NAMED_USER.sub(r"\1…\2", text))


def _describe_violations(data: dict[str, Any]) -> str:
    details = data.get("validationErrorData")
    listed = details.get("violations") if isinstance(details, dict) else None
    told = [
        f"{quote_vendor(str(one.get('fieldPath')))} {quote_vendor(str(one.get('message')))}"
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
    ]
    return ", ".join(shorten(told, VIOLATIONS_SHOWN)) or "no reason is given"


def _describe_api_error(data: dict[str, Any]) -> str:
    details = data.get("apiErrorData")
    if not isinstance(details, dict):
        return "no reason is given"
    code = details.get("errorCode")
    return (
        f"error {code if type(code) is int else quote_vendor(str(code))}"
        f" {quote_vendor(str(details.get('errorMessage')))}"
    )
