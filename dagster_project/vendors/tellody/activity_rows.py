"""Encode a response as the row of ``warehouse.tellody_activity``: one row a day, six totals. Pure.

Source: UniqueCode, one call a day. Its response has no day, so the client writes the requested day into the
stored request. Key: the day, so there is at most one row for it.

A null or absent total is NULL, never zero. If a total is not a whole number from 0, the whole response is rejected.
A response with none of the six totals is an error: the window fails, and the old row stays. Undocumented keys are
kept in ``extra`` as the vendor wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from dagster_project.errors import AnswerNotTrusted, ValueUnreadable
from dagster_project.model.batch import Batch
from dagster_project.model.daily_totals import count_unknown_keys, encode_totals, reject_answer
from dagster_project.model.response import Response
from dagster_project.model.window import Window
from dagster_project.text.raw_json import (
    NotJson,
    is_json,
    join_members,
    kind_of,
    members,
    read_count,
)
from dagster_project.vendors.tellody.activity_table import TABLE, TOTALS

SOURCE: Final = "tellody_activity"
LARGEST_TOTAL: Final = 2**60
"""The largest total: the sum of six is still a bigint."""


def to_batch(answer: Response, window: Window) -> Batch:
    """Encode the row of the response's day; none if that day is outside the window.

    Raises:
        AnswerNotTrusted: the response is no object with any of the six totals.
    """
    day = requested_day(answer.request)
    if day not in window:
        return encode_totals(TABLE, [])
    try:
        totals = read_totals(answer.body)
    except ValueUnreadable as error:
        return reject_answer(TABLE, answer.body, day, error.what)
    except AnswerNotTrusted as error:
        error.add_context(source=SOURCE, account=window.account.label, window=day)
        raise
    row = {
        "activity_on": day,
        "account": window.account.label,
        **totals.columns(),
        "extra": join_members(totals.unknown).decode() if totals.unknown else None,
    }
    batch = encode_totals(TABLE, [row])
    batch.nulls.update(key for key, total in totals.values.items() if total is None)
    batch.absent.update(TOTALS.keys() - totals.values.keys())
    batch.counts.update(count_unknown_keys(list(totals.unknown)))
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


def _untrusted_error(what: str) -> AnswerNotTrusted:
    return AnswerNotTrusted(
        f"Tellody answered the day's totals in an unknown form: {what}.",
        hint="run again; if it repeats, look at the stored response.",
    )
