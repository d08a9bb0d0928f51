"""What the played Calltouch reads in a request, and the bodies with which it refuses one.

The five refusals are the document's own bodies. Texts that it does not print (a malformed date, a
wrong type, a page out of bounds) are those that Symfony, whose wording the document shows, has for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from dagster_project.sandbox.calltouch.site import Bounds

MOST_PHONES = 10_000
EMPTY = "Значение не должно быть пустым."
AFTER_TODAY = "Значение не может быть больше текущего дня"
FROM_AFTER_TO = "Значение не может быть больше dateTo"
TO_BEFORE_FROM = "Значение не может быть меньше dateFrom"
NOT_A_TIME = "Значение даты и времени недопустимо."
NO_PHONES = "Эта коллекция должна содержать больше или равно 1 элементу"
TOO_MANY_PHONES = "Эта коллекция должна содержать 10000 элементов или меньше."
PAGE_TOO_LOW = "Значение должно быть больше чем 1."

DATES = ("%d-%m-%Y", "%d.%m.%Y", "%Y-%m-%d", "%Y.%m.%d")
TIMES = (" %H:%M:%S", " %H:%M", "")

STATUS_OF = {
    "credentials": 401,
    "access": 403,
    "validation": 400,
    "syntax": 400,
    "missing": 400,
    "points": 403,
}

Violations = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Question:
    """A request that is in order. ``page`` is 1 where ``pageOfResult`` was left out."""

    bounds: Bounds
    page: int
    phones: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error body; ``kind`` is a key of ``STATUS_OF`` and of ``Config.error_status``."""

    kind: str
    body: dict[str, Any]


def credentials_refused() -> Refusal:
    return Refusal("credentials", {"message": "Invalid credentials."})


def no_access(party: str) -> Refusal:
    text = f"Пользователь {party} не имеет доступа к данному методу API"
    return Refusal("access", {"meta": [], "data": {"message": text}})


def missing_field(name: str) -> Refusal:
    text = f"В запросе не указано обязательное поле {name}"
    return Refusal("missing", {"meta": [], "data": {"message": text}})


def points_exhausted() -> Refusal:
    """Not documented: a guess in the style of the documented ones."""
    text = "Превышено суточное количество API-баллов проекта"
    return Refusal("points", {"meta": [], "data": {"message": text}})


def syntax_error() -> Refusal:
    error = {
        "errorCode": 1,
        "errorMessage": "Синтаксическая ошибка JSON в запросе или запрос пустой",
        "errorDescription": None,
    }
    return Refusal(
        "syntax",
        {
            "meta": [],
            "data": {"type": "apiError", "apiErrorData": error, "validationErrorData": None},
        },
    )


def violations(found: Violations) -> Refusal:
    return Refusal(
        "validation",
        {
            "meta": [],
            "data": {
                "type": "validationError",
                "apiErrorData": None,
                "validationErrorData": {"violations": found},
            },
        },
    )


def page_too_high(most: int) -> Refusal:
    text = f"Значение должно быть меньше или равно {most}."
    return violations([{"fieldPath": "pageOfResult", "message": text}])


def status_of(refusal: Refusal, chosen: Mapping[str, int]) -> int:
    """The HTTP status that carries a refusal: what was chosen for its kind or for ``all``."""
    return chosen.get(refusal.kind, chosen.get("all", STATUS_OF[refusal.kind]))


def read_question(body: bytes, today: date) -> Question | Refusal:
    """Judge a request's body on the vendor-local day ``today``."""
    try:
        asked = json.loads(body)
    except ValueError:
        return syntax_error()
    if not isinstance(asked, dict):
        return syntax_error()
    for name in ("dateFrom", "dateTo"):
        if name not in asked:
            return missing_field(name)
    found: Violations = []
    starts = _instant(asked, "dateFrom", found)
    ends = _instant(asked, "dateTo", found)
    _judge_order(starts, ends, today, found)
    phones = _phones(asked, found)
    page = _page(asked, found)
    if found or starts is None or ends is None:
        return violations(found)
    bounds = Bounds(starts.date(), _second(starts), ends.date(), _second(ends))
    return Question(bounds, page, phones)


def _instant(asked: dict[str, Any], name: str, found: Violations) -> datetime | None:
    given = asked[name]
    if given is None or given == "":
        found.append({"fieldPath": name, "message": EMPTY})
        return None
    if not isinstance(given, str):
        found.append({"fieldPath": name, "message": "Тип значения должен быть string."})
        return None
    for day in DATES:
        for time in TIMES:
            try:
                return datetime.strptime(given, day + time)  # noqa: DTZ007 - vendor-local
            except ValueError:
                continue
    found.append({"fieldPath": name, "message": NOT_A_TIME})
    return None


def _judge_order(
    starts: datetime | None, ends: datetime | None, today: date, found: Violations
) -> None:
    backwards = starts is not None and ends is not None and starts > ends
    for name, given, text in (
        ("dateFrom", starts, FROM_AFTER_TO),
        ("dateTo", ends, TO_BEFORE_FROM),
    ):
        if given is not None and given.date() > today:
            found.append({"fieldPath": name, "message": AFTER_TODAY})
        if backwards:
            found.append({"fieldPath": name, "message": text})


def _phones(asked: dict[str, Any], found: Violations) -> frozenset[str] | None:
    given = asked.get("phoneNumbers")
    if given is None:
        return None
    wrong = None
    if not isinstance(given, list) or not all(isinstance(phone, str) for phone in given):
        wrong = "Тип значения должен быть string."
    elif not given:
        wrong = NO_PHONES
    elif len(given) > MOST_PHONES:
        wrong = TOO_MANY_PHONES
    if wrong:
        found.append({"fieldPath": "phoneNumbers", "message": wrong})
        return None
    return frozenset(bare_number(phone) for phone in given)


def _page(asked: dict[str, Any], found: Violations) -> int:
    given = asked.get("pageOfResult")
    if given is None:
        return 1
    if not isinstance(given, int) or isinstance(given, bool):
        found.append({"fieldPath": "pageOfResult", "message": "Тип значения должен быть integer."})
    elif given <= 1:
        found.append({"fieldPath": "pageOfResult", "message": PAGE_TOO_LOW})
    else:
        return given
    return 1


def bare_number(phone: str) -> str:
    """The last ten digits: what is alike in all masks."""
    return "".join(sign for sign in phone if sign.isdecimal())[-10:]


def only_to(phones: Iterable[str], rows: Iterable[bytes]) -> list[bytes]:
    """Those rows whose recipient is among ``phones`` (as ``bare_number`` gives them)."""
    wanted = set(phones)
    return [row for row in rows if bare_number(json.loads(row)["phoneNumber"]) in wanted]


def _second(instant: datetime) -> int:
    return instant.hour * 3600 + instant.minute * 60 + instant.second
