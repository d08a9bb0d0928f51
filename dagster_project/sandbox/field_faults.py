"""A vendor that changes the form of a field: the fault ``field`` (``name``, ``how``, ``every``).

``how``: ``renamed``, ``absent``, ``nulled``, ``retyped``, ``reformed`` (a date or a number in a form
nobody documented), ``iso`` (a date as ISO 8601) or ``recoded`` (the whole answer in windows-1251).
``every``: of the objects that have the field, about each how-manieth is changed, the same at each call.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from zlib import crc32

DOCUMENTED: Final = "%d-%m-%Y %H:%M:%S"


def change_field(body: bytes, name: str, how: str, every: int = 1) -> bytes:
    """The body with the field changed wherever an object has it; one that is no JSON stays as it is."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    if how == "recoded":
        return json.dumps(document, ensure_ascii=False).encode("cp1251", "replace")

    def visit(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                visit(item)
        elif isinstance(value, dict):
            for item in list(value.values()):
                visit(item)
            if name in value and crc32(json.dumps(value).encode()) % every == 0:
                _CHANGES[how](value, name)

    visit(document)
    return json.dumps(document).encode()


def _rename(value: dict[str, Any], name: str) -> None:
    value[f"{name}New"] = value.pop(name)


def _retyped(value: Any) -> Any:
    if isinstance(value, str):
        return {"text": value}
    return str(value) if isinstance(value, int | float) else [value]


def _reformed(value: Any) -> Any:
    moment = _moment(value)
    if moment is not None:
        return moment.strftime("%d %b %Y, %H:%M")
    return (
        f"{value} units" if isinstance(value, int | float) else f"changed: {type(value).__name__}"
    )


def _iso(value: Any) -> Any:
    moment = _moment(value)
    return value if moment is None else moment.isoformat()


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.strptime(value, DOCUMENTED)  # noqa: DTZ007 - as the vendor writes it
    except (TypeError, ValueError):
        return None


def _put(change: Callable[[Any], Any]) -> Callable[[dict[str, Any], str], None]:
    def changed(value: dict[str, Any], name: str) -> None:
        value[name] = change(value[name])

    return changed


_CHANGES: Final[dict[str, Callable[[dict[str, Any], str], None]]] = {
    "renamed": _rename,
    "absent": lambda value, name: value.pop(name),
    "nulled": _put(lambda value: None),
    "retyped": _put(_retyped),
    "reformed": _put(_reformed),
    "iso": _put(_iso),
}
