"""Encode a response as the row of ``warehouse.tellody_activity``: one row a day, six totals. Pure.

Source: UniqueCode, one call a day. Its response has no day, so the client writes the requested day into the
stored request. Key: the day, so there is at most one row for it.

A null or absent total is NULL, never zero. If a total is not a whole number from 0, the whole response is rejected.
A response with none of the six totals is an error: the window fails, and the old row stays. Undocumented keys are
kept in ``extra`` as the vendor wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from dagster_project.errors import AnswerNotTrusted, ValueUnreadable
from dagster_project.model.batch import Batch, Reject
from dagster_project.model.copy_binary import encode_batch
from dagster_project.model.response import Response
from dagster_project.model.window import Window
from dagster_project.text.raw_json import NotJson, as_text, is_json, kind_of, members, read_count
from dagster_project.text.scrub import mask_personal
from dagster_project.vendors.tellody.activity_table import TABLE, TOTALS

SOURCE: Final = "tellody_activity"
ONLY_ROW_OF_ITS_DAY: Final = bytes(16)
UNKNOWN_KEY: Final = "unknown_key:"
MOST_KEYS_NAMED: Final = 20
LONGEST_KEY_NAMED: Final = 60
LARGEST_TOTAL: Final = 2**60
"""The largest total: the sum of six is still a bigint."""


def to_batch(answer: Response, window: Window) -> Batch:
    """Encode the row of the response's day; none if that day is outside the window.

    Raises:
        AnswerNotTrusted: the response is no object with any of the six totals.
    """
    day = requested_day(answer.request)
    if day not in window:
        return encode_batch(TABLE, [], _key)
    try:
        totals = read_totals(answer.body)
    except ValueUnreadable as error:
        return _reject_answer(answer.body, day, error)
    except AnswerNotTrusted as error:
        error.add_context(source=SOURCE, account=window.account.label, window=day)
        raise
    row = {
        "activity_on": day,
        "account": window.account.label,
        **totals.columns(),
        "extra": _as_object(totals.unknown),
    }
    batch = encode_batch(TABLE, [row], _key)
    batch.nulls.update(key for key, total in totals.values.items() if total is None)
    batch.absent.update(TOTALS.keys() - totals.values.keys())
    unknown = totals.unknown
    batch.counts.update(
        f"{UNKNOWN_KEY}{_shown_key(key)}" for key in list(unknown)[:MOST_KEYS_NAMED]
    )
    if len(unknown) > MOST_KEYS_NAMED:
        batch.counts[f"{UNKNOWN_KEY}(others)"] += len(unknown) - MOST_KEYS_NAMED
    return batch


@dataclass(frozen=True, slots=True)
class Totals:
    """A response's totals by the vendor's key, and the raw slices of all other keys."""

    values: Mapping[str, int | None]
    unknown: Mapping[str, bytes]

    def columns(self) -> dict[str, int | None]:
        """All six totals by column name."""
        return {column: self.values.get(key) for key, column in TOTALS.items()}


def read_totals(body: bytes) -> Totals:
    """Read the totals of a response.

    Raises:
        AnswerNotTrusted: it has none of the six totals.
        ValueUnreadable: a total is no number; the error names its key.
    """
    try:
        slices = members(body)
    except NotJson as error:
        raise _untrusted_error("it is no JSON object") from error
    values = {key: _total(key, slices.pop(key)) for key in TOTALS if key in slices}
    if not values:
        raise _untrusted_error(f"none of {', '.join(TOTALS)} is in it")
    if not all(map(is_json, slices.values())):
        raise _untrusted_error("a key that is not documented holds no JSON")
    return Totals(values, slices)


def requested_day(request: Mapping[str, Any]) -> date:
    """The day that the client wrote into the stored request."""
    try:
        return date.fromisoformat(request["day"])
    except (KeyError, TypeError, ValueError) as error:
        raise AnswerNotTrusted(
            "the stored request does not say which day it asked for.", source=SOURCE
        ) from error


def _total(key: str, value: bytes) -> int | None:
    if value == b"null":
        return None
    if (total := read_count(value, LARGEST_TOTAL)) is None:
        raise ValueUnreadable(
            f"{key} is no whole number from 0 to 2^60 ({kind_of(value)} came)", source=SOURCE
        )
    return total


def _reject_answer(body: bytes, day: date, why: ValueUnreadable) -> Batch:
    """A batch without a row, with the response as its reject."""
    batch = encode_batch(TABLE, [], _key)
    batch.received = 1
    batch.rejects.append(Reject(why.what, as_text(body), day))
    return batch


def _as_object(slices: Mapping[str, bytes]) -> str | None:
    if not slices:
        return None
    return "{" + ", ".join(f"{json.dumps(k)}: {v.decode()}" for k, v in slices.items()) + "}"


def _shown_key(key: str) -> str:
    return json.dumps(mask_personal(key))[1:-1][:LONGEST_KEY_NAMED]


def _key(_: Mapping[str, Any]) -> bytes:
    return ONLY_ROW_OF_ITS_DAY


def _untrusted_error(what: str) -> AnswerNotTrusted:
    return AnswerNotTrusted(
        f"Tellody answered the day's totals in an unknown form: {what}.",
        hint="run again; if it repeats, look at the stored response.",
    )
