"""Read and check the nine counters of a Trust statistics response. Pure.

Documented form: ``{"code": 200, "resource": "Statistics", "data": {total, sended, pending, fails,
actions: {RECEIVED, PRESS_ACTION, UNKNOWN}, campaign}, "message": "Ok"}``. The body decides, whatever
the HTTP status. ``CLOSED`` is documented, but not in the samples, so an absent action is 0. Any other
absent counter, and any null, is ``None``: not reported. A response without any of the counters has an
unknown form. Undocumented keys are kept in the vendor's own characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from dagster_project.errors import AnswerNotTrusted, ValueUnreadable
from dagster_project.text.raw_json import (
    NotJson,
    is_json,
    join_members,
    kind_of,
    members,
    read_count,
)

COUNTERS: Final = {"total": "total", "sended": "sent", "pending": "pending", "fails": "failed"}
ACTIONS: Final = {
    "RECEIVED": "received",
    "PRESS_ACTION": "pressed",
    "CLOSED": "closed",
    "UNKNOWN": "unknown",
}
CAMPAIGN: Final = "campaign"
DOCUMENTED: Final = frozenset({*COUNTERS, "actions", CAMPAIGN})
COLUMN_NAMES: Final = (*COUNTERS.values(), *ACTIONS.values(), "campaigns")
MAX_BIGINT: Final = 2**63 - 1


Slices = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Figures:
    """The counters of one response, by the warehouse's names. ``extra`` is JSON text, or ``None``.

    ``nulls`` and ``absent`` are the vendor's names of the counters that are ``None``.
    """

    total: int | None
    sent: int | None
    pending: int | None
    failed: int | None
    received: int | None
    pressed: int | None
    closed: int | None
    unknown: int | None
    campaigns: int | None
    extra: str | None = None
    unknown_keys: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every counter is reported, except campaigns, which is not documented."""
        return all(name == "campaigns" or n is not None for name, n in self.counters().items())

    @property
    def is_empty(self) -> bool:
        """Whether this is the documented "200 Empty": all documented counters are 0."""
        return self.is_complete and not any(self.counters().values())

    def counters(self) -> dict[str, int | None]:
        named = asdict(self)
        return {name: named[name] for name in COLUMN_NAMES}


def read_figures(body: bytes) -> Figures:
    """Read the figures of a response.

    Raises:
        AnswerNotTrusted: it is no JSON, the envelope has another form, or it has none of the counters.
        ValueUnreadable: a counter is negative or no whole number.
    """
    data = _object_in(_data_of(_object_in(body, "the answer")), "data")
    actions = _actions_of(data)
    if not DOCUMENTED & data.keys():
        raise _untrusted_error(f"none of {', '.join(sorted(DOCUMENTED))} is in it")
    slices = {key: data[key] for key in (*COUNTERS, CAMPAIGN) if key in data} | {
        key: actions[key] for key in ACTIONS if key in actions
    }
    named = {**COUNTERS, **ACTIONS, CAMPAIGN: "campaigns"}
    counted = {ours: _read_counter(slices, theirs) for theirs, ours in named.items()}
    more = {key: data[key] for key in sorted(data.keys() - DOCUMENTED)}
    more_actions = {key: actions[key] for key in sorted(actions.keys() - ACTIONS.keys())}
    return Figures(
        **counted,
        extra=_undocumented_json(more, more_actions),
        unknown_keys=(*more, *(f"actions.{key}" for key in more_actions)),
        nulls=tuple(key for key, text in slices.items() if text == b"null"),
        absent=tuple(key for key in named if key not in slices),
    )


def _actions_of(data: Slices) -> Slices:
    """The actions; an absent action is 0, but without ``actions`` none is reported."""
    text = data.get("actions", b"null")
    if text == b"null":
        return dict.fromkeys(ACTIONS, b"null") if "actions" in data else {}
    return {**dict.fromkeys(ACTIONS, b"0"), **_object_in(text, "actions")}


def _object_in(text: bytes | None, name: str) -> Slices:
    try:
        return members(text or b"")
    except NotJson:
        found = f"{kind_of(text.lstrip())} and " if text else ""
        raise _untrusted_error(f"{name} is {found}no JSON object") from None


def _data_of(envelope: Slices) -> bytes | None:
    code, resource, message = (envelope.get(key, b"") for key in ("code", "resource", "message"))
    if code != b"200" or resource != b'"Statistics"' or message.lower() != b'"ok"':
        raise _untrusted_error("code, resource and message are not 200, Statistics and Ok")
    return envelope.get("data")


def _read_counter(slices: Slices, key: str) -> int | None:
    text = slices.get(key)
    if text is None or text == b"null":
        return None
    if (counted := read_count(text, MAX_BIGINT)) is None:
        raise ValueUnreadable(
            f"{key} is no whole number from 0 ({kind_of(text)} came)", source="trust"
        )
    return counted


def _undocumented_json(more: Slices, more_actions: Slices) -> str | None:
    """Undocumented keys as one JSON object, each value in its own characters."""
    kept = dict(more)
    if more_actions:
        kept["actions"] = join_members(more_actions)
    if not kept:
        return None
    text = join_members(kept)
    if not is_json(text):
        raise _untrusted_error("an undocumented key holds what is no JSON")
    return text.decode()


def _untrusted_error(what: str) -> AnswerNotTrusted:
    return AnswerNotTrusted(
        f"Trust answered in an unknown form: {what}.",
        source="trust",
        hint="run again; if it repeats, look at the stored responses.",
    )
