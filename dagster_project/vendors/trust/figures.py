"""What an answer of Trust's statistics says, checked: pure, from the body to nine counters.

Documented form: ``{"code": 200, "resource": "Statistics", "data": {total, sended, pending, fails,
actions: {RECEIVED, PRESS_ACTION, UNKNOWN}, campaign}, "message": "Ok"}``. The body decides, whatever
the HTTP status. ``CLOSED`` is described and absent from the samples, so an absent action is 0; the
other counters must be there (``campaign``, which no text describes, may be left out: not reported).
Keys nobody documented are kept as the vendor wrote them, digits included.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NoReturn

from dagster_project.errors import AnswerNotTrusted

COUNTERS: Final = {"total": "total", "sended": "sent", "pending": "pending", "fails": "failed"}
ACTIONS: Final = {
    "RECEIVED": "received",
    "PRESS_ACTION": "pressed",
    "CLOSED": "closed",
    "UNKNOWN": "unknown",
}
DOCUMENTED: Final = frozenset({*COUNTERS, "actions", "campaign"})
MAX_BIGINT: Final = 2**63 - 1
MAX_DIGITS: Final = 4000


class Digits(str):
    """A number with a fraction or an exponent, or too long to reckon with: its own characters."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """The counters of one answer, by the warehouse's names. ``extra`` is JSON text, or ``None``."""

    total: int
    sent: int
    pending: int
    failed: int
    received: int
    pressed: int
    closed: int
    unknown: int
    campaigns: int | None
    extra: str | None = None
    unknown_keys: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """The documented "200 Empty": no documented counter says anything, whatever else there is."""
        return not any(self.counters().values())

    def counters(self) -> dict[str, int | None]:
        named = asdict(self)
        return {name: named[name] for name in COLUMN_NAMES}


COLUMN_NAMES: Final = (*COUNTERS.values(), *ACTIONS.values(), "campaigns")


def loads(text: str) -> Any:
    """JSON whose numbers stay ``Digits`` unless they are plain integers. ValueError: it is none."""
    return json.loads(
        text,
        parse_int=lambda digits: int(digits) if len(digits) < MAX_DIGITS else Digits(digits),
        parse_float=Digits,
        parse_constant=_refuse_constant,
    )


def decode(body: bytes) -> Any:
    """The JSON of a body in UTF-8; a byte order mark is allowed.

    Raises:
        AnswerNotTrusted: it is none, or nested beyond reason.
    """
    try:
        return loads(body.decode("utf-8-sig"))
    except RecursionError:
        raise _untrusted("it is nested too deeply") from None
    except ValueError:
        raise _untrusted("it is no JSON") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def read_figures(decoded: Any) -> Figures:
    """The figures of a decoded answer of the documented form.

    Raises:
        AnswerNotTrusted: the envelope has another form, or a counter is missing, negative or no
            whole number.
    """
    data = _data_of(decoded)
    actions = data.get("actions")
    if not isinstance(actions, dict):
        raise _untrusted("actions is missing or no object")
    counted = {ours: _counter(data, theirs) for theirs, ours in COUNTERS.items()}
    counted |= {
        ours: _counter(actions, theirs) if theirs in actions else 0
        for theirs, ours in ACTIONS.items()
    }
    campaigns = _counter(data, "campaign") if "campaign" in data else None
    more = {key: value for key, value in data.items() if key not in DOCUMENTED}
    more_actions = {key: value for key, value in actions.items() if key not in ACTIONS}
    extra = more | ({"actions": more_actions} if more_actions else {})
    try:
        return Figures(
            **counted,
            campaigns=campaigns,
            extra=to_json(extra) if extra else None,
            unknown_keys=(*more, *(f"actions.{key}" for key in more_actions)),
        )
    except RecursionError:
        raise _untrusted("it is nested too deeply") from None


def _data_of(decoded: Any) -> dict[str, Any]:
    if not isinstance(decoded, dict):
        raise _untrusted("it is no JSON object")
    code, resource, message = (decoded.get(key) for key in ("code", "resource", "message"))
    if code != 200 or resource != "Statistics" or str(message).lower() != "ok":
        raise _untrusted("code, resource and message are not 200, Statistics and Ok")
    data = decoded.get("data")
    if not isinstance(data, dict):
        raise _untrusted("data is missing or no object")
    return data


def _counter(values: Mapping[str, Any], key: str) -> int:
    value = values.get(key)
    if type(value) is not int or not 0 <= value <= MAX_BIGINT:
        what = "is missing" if key not in values else "is no whole number from 0"
        raise _untrusted(f"{key} {what}")
    return value


def _untrusted(what: str) -> AnswerNotTrusted:
    return AnswerNotTrusted(
        f"Trust answered in an unknown form: {what}.",
        source="trust",
        way_out="run again; if it repeats, look at the stored responses.",
    )


def to_json(value: Any) -> str:
    """JSON text in ASCII with every number's own digits; escapes keep what Postgres text cannot."""
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {to_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_json, value)) + "]"
    return json.dumps(value)
